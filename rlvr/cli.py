"""The command line. Every command imports what it needs when it is called, so that `--help` is fast."""

import errno
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rlvr.commands import data as data_commands
from rlvr.commands import verifier as verifier_commands
from rlvr.errors import ConfigError, RlvrError

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended

app = typer.Typer(
    name="rlvr",
    help="Train reasoning models with verifiable rewards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
ConfigArgument = Annotated[
    Path,
    typer.Argument(help="A YAML file, such as configs/quickstart.yaml, or a run folder.", show_default=False),
]
StepOption = Annotated[int | None, typer.Option(min=0, help="The checkpoint of this step.", show_default=False)]
BestOption = Annotated[bool, typer.Option("--best", help="The checkpoint that checkpoint.best kept.")]
OverridesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides with dotted keys.", show_default=False)
]


@app.command()
def train(config: ConfigArgument, overrides: OverridesArgument = None) -> None:
    """Train, or resume from the last checkpoint in the run folder.

    Example: rlvr train configs/quickstart.yaml seed=1 out=runs/seed1

    A run folder resumes with its own configuration: rlvr train runs/seed1 steps=400
    """
    from rlvr.config.file import load_config

    loaded = load_config(config, overrides or [])
    from rlvr.trainers import run_trainer

    if run_trainer(loaded).interrupted:
        raise typer.Exit(INTERRUPTED)


@app.command()
def eval(
    source: Annotated[Path, typer.Argument(help="A recipe, a run folder or a checkpoint.", show_default=False)],
    overrides: OverridesArgument = None,
    step: StepOption = None,
    best: BestOption = False,
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder for the result; empty: evaluations/eval-N of the run.", show_default=False),
    ] = None,
) -> None:
    """Evaluate a model on a recipe's held-out problems: greedy, avg@k, pass@k and maj@k with 95 % intervals.

    Example: rlvr eval configs/quickstart.yaml model.path=runs/quickstart/model

    Of a run, its model or newest checkpoint: rlvr eval runs/quickstart --step 100 eval.problems=2000
    """
    from rlvr.commands.evaluate_model import evaluate_source

    evaluate_source(source, overrides or [], step, best, out, shlex.join(["rlvr", *sys.argv[1:]]))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder, a checkpoint, or adapters to merge.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="A new folder.", show_default=False)],
    step: StepOption = None,
    best: BestOption = False,
    adapter: Annotated[bool, typer.Option("--adapter", help="Only the adapters, in peft's format.")] = False,
) -> None:
    """Write a Hugging Face folder of any state of a run: its model, or a checkpoint with adapters merged in.

    Example: rlvr export runs/quickstart exported --step 100
    """
    from rlvr.commands.export import export as export_state

    print(f"{export_state(run, out, step, best, adapter)} is in {out}")


@app.command()
def push(
    run: Annotated[Path, typer.Argument(help="A run folder or a checkpoint.", show_default=False)],
    repo: Annotated[str, typer.Argument(help="The repository, USER/NAME.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="If the repository is new, make it private.")] = False,
    step: StepOption = None,
    best: BestOption = False,
    adapter: Annotated[bool, typer.Option("--adapter", help="Only the adapters, in peft's format.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only write the model card, to card.md in the run.")
    ] = False,
) -> None:
    """Upload a state of a run to the hub, with a model card: accuracy before and after, recipe, data, licence.

    Example: rlvr push runs/quickstart me/quickstart --private
    """
    from rlvr.commands.push import push as push_state

    print(push_state(run, repo, private, step, best, adapter, dry_run))


@app.command()
def compare(
    config: Annotated[
        Path, typer.Argument(help="A YAML file, such as configs/compare_quickstart.yaml.", show_default=False)
    ],
    overrides: OverridesArgument = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time; empty: as in the file.")] = None,
    png: Annotated[bool, typer.Option("--png", help="Also write the figures as PNG (needs matplotlib).")] = False,
) -> None:
    """Train variants under one protocol and report which is better, by how much, and with what certainty.

    Example: rlvr compare configs/compare_quickstart.yaml --jobs 2
    """
    from rlvr.compare.compare import compare as run_comparison

    code = run_comparison(config, overrides or [], jobs, png)
    if code:
        raise typer.Exit(code)


@app.command()
def overoptimization(
    runs: Annotated[list[Path], typer.Argument(help="Run folders with evaluations.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("overoptimization.html"),
    reward_model: Annotated[
        str | None,
        typer.Option(
            help="Empty: the reward model that the first of the runs was trained against.", show_default=False
        ),
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Also write the charts as PNG (needs matplotlib).")] = False,
) -> None:
    """Show a reward model's score beside the true score over the evaluations of runs, and flag overoptimization.

    Example: rlvr overoptimization runs/rlhf/ppo runs/rlhf/dpo --out runs/rlhf/overoptimization.html
    """
    from rlvr.commands.overoptimization import write_page

    named = [f"--reward-model {reward_model}"] if reward_model else []
    write_page(
        runs, out, reward_model, " ".join(["rlvr overoptimization", *map(str, runs), f"--out {out}", *named]), png
    )


app.command("truth", hidden=True)(overoptimization)  # its older name


@app.command("config")
def show_config(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file, such as configs/quickstart.yaml.", show_default=False)
    ] = None,
    overrides: OverridesArgument = None,
    key_page: Annotated[bool, typer.Option("--reference", help="Print a page with every key instead.")] = False,
) -> None:
    """Print the resolved configuration of a file with overrides, and run all checks that need no model.

    Example: rlvr config configs/quickstart.yaml objective=grpo
    """
    from rlvr.config.file import dump_config, load_config

    if key_page:
        from rlvr.commands import config_page

        print(config_page.key_page(), end="")
        return
    if config is None:
        raise ConfigError("expected a YAML file, such as configs/quickstart.yaml: see rlvr config --help")
    loaded = load_config(config, overrides or [])
    print(dump_config(loaded), end="", flush=True)
    from rlvr.preflight import check

    check(loaded)


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="A preset to explain.", show_default=False)] = None,
) -> None:
    """List the presets of the objective, or explain one: formula, paper, reading, every choice.

    Example: rlvr presets dapo
    """
    from rlvr.algorithms.presets import describe, listing

    try:
        print(describe(name) if name else listing())
    except ValueError as error:
        raise ConfigError(str(error)) from error


app.command()(verifier_commands.verify)
app.command()(verifier_commands.audit)
app.add_typer(verifier_commands.verifier_app, name="verifier")
app.command()(data_commands.pairs)
app.add_typer(data_commands.data_app, name="data")


sandbox_app = typer.Typer(help="The sandbox that runs programs written by models.", no_args_is_help=True)
app.add_typer(sandbox_app, name="sandbox")


@sandbox_app.callback()
def sandbox_group() -> None:
    """The sandbox that runs programs written by models."""


@sandbox_app.command("doctor")
def sandbox_doctor() -> None:
    """Print what this machine offers the sandbox: each primitive, the tier, and a measured rate.

    Example: rlvr sandbox doctor
    """
    from sandbox.doctor import report

    for line in report():
        print(line, flush=True)


def main() -> None:
    """Run the command line. Errors that rlvr raises on purpose are printed without a traceback, with exit code 1."""
    if os.getcwd() not in sys.path:  # `my_checks:same_word` is found in the current folder, as with python -m
        sys.path.insert(0, os.getcwd())
    try:
        app()
    except RlvrError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        way_out = "free some space and start the same command again: it resumes from the last checkpoint"
        print(
            f"error: the disk is full: cannot write {error.filename or 'a file of the run'}; {way_out}", file=sys.stderr
        )
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
