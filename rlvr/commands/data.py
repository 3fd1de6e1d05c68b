"""The commands for data: `rlvr data check` and `rlvr pairs`."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from rlvr.errors import ConfigError, DataError
from tasks.wording import in_words

data_app = typer.Typer(help="Check data before training on it.", no_args_is_help=True, rich_markup_mode=None)


@data_app.callback()
def data_group() -> None:
    """Check data before training on it."""


@data_app.command("check")
def check(
    source: Annotated[str, typer.Argument(help="A .jsonl or .parquet file, or a hub id.", show_default=False)],
    split: Annotated[str, typer.Option(help="Split of a hub dataset.")] = "train",
    subset: Annotated[str | None, typer.Option(help="Subset of a hub dataset.", show_default=False)] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="As in data.columns: --column prompt=question.", show_default=False),
    ] = None,
    texts: Annotated[str, typer.Option(help="As data.texts: auto, plain or chat.")] = "auto",
) -> None:
    """Describe a file of conversations, preferences or problems: format, counts, lengths, broken and doubtful rows.

    Exit code 1 if a row is broken. Example: rlvr data check pairs.jsonl
    """
    from rlvr.config import DataConfig
    from tasks.data_check import check_data
    from tasks.layouts import Reading

    columns = {name: of for name, _, of in (pair.partition("=") for pair in column or [])}
    try:
        read = DataConfig.model_validate({"train": source, "columns": columns, "texts": texts})
    except ValidationError as error:
        key, details = error.errors()[0]["loc"][0], in_words(error.errors()[0])
        raise ConfigError(f"--{str(key).removesuffix('s') if key == 'columns' else key}: {details}") from None
    try:
        report = check_data(source, split, subset, Reading(read.columns, read.texts))
    except ValueError as error:
        raise DataError(str(error)) from error
    print("\n".join(report.lines()))
    if not report.passed:
        raise typer.Exit(1)


def pairs(
    config: Annotated[
        Path, typer.Argument(help="A recipe with a task and a model, or a run folder.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Overrides with dotted keys.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write the pairs to.")] = Path("pairs.jsonl"),
    sft: Annotated[
        Path | None, typer.Option(help="Also write the right completions as conversations.", show_default=False)
    ] = None,
    problems: Annotated[int, typer.Option(help="Training problems to sample.", min=1)] = 256,
    samples: Annotated[int, typer.Option(help="Completions per problem.", min=1)] = 8,
    per_problem: Annotated[int, typer.Option(help="Most pairs, and conversations, per problem.", min=1)] = 1,
    noise: Annotated[float, typer.Option(help="Share of pairs whose answers are swapped.", min=0, max=1)] = 0.0,
    held_out: Annotated[bool, typer.Option("--held-out", help="Sample held-out problems, to evaluate on.")] = False,
) -> None:
    """Sample and verify completions, and write pairs of better and worse ones for reward_model and dpo.

    Example: rlvr pairs configs/quickstart.yaml model.path=runs/quickstart/model --out pairs.jsonl --sft right.jsonl
    """
    from rlvr.commands.sample_pairs import sample_pairs
    from rlvr.commands.state import state_of

    loaded, saved = state_of(config, overrides or [])
    checkpoint = saved.checkpoint if saved else None
    written = sample_pairs(loaded, out, sft, problems, samples, per_problem, noise, held_out, checkpoint)
    print(f"{written}; written: {out}" + (f", {sft}" if sft else ""))
