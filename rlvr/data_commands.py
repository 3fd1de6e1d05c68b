"""The commands around data: `rlvr data check`."""

from typing import Annotated

import typer

from rlvr.errors import DataError

data_app = typer.Typer(help="Look at data before training on it.", no_args_is_help=True, rich_markup_mode=None)


@data_app.callback()
def data_group() -> None:
    """Look at data before training on it."""


@data_app.command("check")
def check(
    source: Annotated[str, typer.Argument(help="A .jsonl or .parquet file, or a hub id.", show_default=False)],
    split: Annotated[str, typer.Option(help="Of a hub dataset.")] = "train",
    subset: Annotated[str | None, typer.Option(help="Of a hub dataset.", show_default=False)] = None,
) -> None:
    """Say what conversations or preferences hold: format, counts, lengths, and rows that are broken or doubtful.

    Exit code 1 if a row is broken. Example: rlvr data check pairs.jsonl
    """
    from tasks.data_check import check_data

    try:
        report = check_data(source, split, subset)
    except ValueError as error:
        raise DataError(str(error)) from error
    print("\n".join(report.lines()))
    if not report.passed:
        raise typer.Exit(1)
