"""The commands for verifiers: `rlvr verify`, `rlvr audit`, `rlvr verifier new` and `rlvr verifier test`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rlvr.data.jsonl import read_jsonl
from rlvr.errors import ConfigError, DataError
from tasks.problem import Problem, question_problem

verifier_app = typer.Typer(help="Write and test your own verifiers.", no_args_is_help=True, rich_markup_mode=None)
VerifierOption = Annotated[
    str, typer.Option(help="A verifier's name, module:name, or settings as in a recipe: '{name: math, mode: lenient}'.")
]
WorkersOption = Annotated[int, typer.Option(help="Worker processes.", min=1)]
TimeoutOption = Annotated[float, typer.Option(help="Deadline of each check.", min=0.001)]


def verify(
    completion: Annotated[str | None, typer.Argument(help="The text of a completion.", show_default=False)] = None,
    answer: Annotated[str | None, typer.Argument(help="The ground truth.", show_default=False)] = None,
    verifier: VerifierOption = "math",
    input: Annotated[
        Path | None,
        typer.Option(
            help="A .jsonl file with completion and answer in each line, and what else the verifier reads.",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[str, typer.Option(help="The question, for verifiers that read it.")] = "",
    workers: WorkersOption = 2,
    timeout_seconds: TimeoutOption = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    r"""Print the verdict of a verifier on a completion, and the reason.

    Example: rlvr verify 'so it is \boxed{0.5}' '\frac{1}{2}'
    """
    from verifiers import get_verifier, verify_batch

    if input is not None:
        checks = read_checks(input)
    elif completion is not None and answer is not None:
        checks = [(completion, question_problem("command-line", prompt, answer))]
    else:
        raise ConfigError("expected a completion and an answer, or --input FILE: see rlvr verify --help")
    try:
        checker = get_verifier(spec_of(verifier, "--verifier"), "--verifier")
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    # As in training, with the problem's context: a verifier that does not accept it fails here.
    pairs = [(completion, problem.answer, problem.context) for completion, problem in checks]
    verdicts = verify_batch(pairs, checker, workers=workers, timeout_seconds=timeout_seconds)
    for verdict in verdicts:
        if as_json:
            print(json.dumps({**asdict(verdict), "parts": dict(verdict.parts)}))
        else:
            score = "none" if verdict.score is None else f"{verdict.score:.2f}"
            print(f"{score}  {verdict.status:9}  {verdict.extracted or '-'}  ({verdict.detail})")
    if input is not None and not as_json:
        counts = {status: sum(one.status == status for one in verdicts) for status in {one.status for one in verdicts}}
        print(f"{len(verdicts)} checked: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))


def spec_of(text: str, option: str) -> str | dict[str, Any]:
    """A verifier on the command line: a name, or in braces the value of `verify.verifier` in a recipe."""
    if not text.lstrip().startswith("{"):
        return text
    from rlvr.config.file import parsed_value

    spec: dict[str, Any] = parsed_value(f"{option}={text}")
    return spec


def read_checks(path: Path) -> list[tuple[str, Problem]]:
    """The completions of a .jsonl file and their problems. Raises `DataError` with the number of a broken line."""
    checks = []
    for number, row in read_jsonl(path):
        missing = [name for name in ("completion", "answer") if name not in row]
        if missing:
            raise DataError(
                f"{path}, line {number}: the key {missing[0]!r} is missing; expected "
                f'{{"completion": ..., "answer": ...}}, got {", ".join(row)}'
            )
        problem = question_problem(f"line-{number}", str(row.get("prompt", "")), row["answer"], row)
        checks.append((str(row["completion"]), problem))
    if not checks:
        raise DataError(f'{path} has no lines; expected {{"completion": ..., "answer": ...}} in each')
    return checks


def audit(
    dataset: Annotated[
        str, typer.Argument(help="A .jsonl file, or a dataset as in a recipe's task.", show_default=False)
    ],
    verifier: VerifierOption = "math",
    against: Annotated[str, typer.Option(help="A second verifier to compare with.")] = "",
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained page.", show_default=False)] = None,
    rows: Annotated[int, typer.Option(help="Largest number of rows; 0 for all.", min=0)] = 0,
    answer_column: Annotated[str, typer.Option(help="Column of the ground truth.")] = "answer",
    solution_column: Annotated[str, typer.Option(help="Column of the worked solution, if any.")] = "solution",
    wrap: Annotated[
        str, typer.Option(help="Text in which a completion states its answer, in the place of ANSWER.")
    ] = r"The answer is \boxed{ANSWER}",
    seed: Annotated[int, typer.Option(help="Seed of the order of the trials.")] = 0,
    workers: WorkersOption = 2,
    timeout_seconds: TimeoutOption = 5.0,
    solved_at: Annotated[
        float | None,
        typer.Option(
            help="Score from which a completion is right; empty: as the verifier says, or 1.", show_default=False
        ),
    ] = None,
) -> None:
    """Find out whether a reward can be trusted before training on it. Exit code 1 if it makes mistakes.

    Example: rlvr audit gsm8k_test.jsonl --verifier math --html audit.html
    """
    from rlvr.audit.audit import audit as run_audit
    from rlvr.audit.audit import load_items
    from rlvr.audit.report import as_html, as_text

    if "ANSWER" not in wrap:
        raise ConfigError(f"--wrap must hold the word ANSWER: got {wrap!r}")
    items = load_items(dataset, answer_column=answer_column, solution_column=solution_column, rows=rows)
    try:
        audited = run_audit(
            items,
            spec_of(verifier, "--verifier"),
            source=Path(dataset).name,
            against=spec_of(against, "--against"),
            wrap=wrap,
            seed=seed,
            workers=workers,
            timeout_seconds=timeout_seconds,
            solved_at=solved_at,
        )
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    print(as_text(audited))
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(as_html(audited))
        print(f"written: {html}")
    if not audited.passed:
        raise typer.Exit(1)


@verifier_app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="A Python module name, such as my_verifier.", show_default=False)],
    folder: Annotated[Path | None, typer.Option(help="The folder; by default ./NAME.", show_default=False)] = None,
) -> None:
    """Write a small installable package: one function, one entry point, one test.

    Example: rlvr verifier new my_verifier
    """
    from rlvr.audit.conformance import write_package

    target = folder or Path(name)
    for path in write_package(name, target):
        print(path)
    print(f"next: pip install -e {target} && rlvr verifier test {name}")


@verifier_app.command("test")
def check(
    verifier: Annotated[
        str,
        typer.Argument(
            help="A verifier's name, module:name, or settings as in a recipe: '{name: math, mode: lenient}'.",
            show_default=False,
        ),
    ],
    answer: Annotated[str, typer.Option(help="A ground truth that it can read.")] = "42",
    timeout_seconds: TimeoutOption = 5.0,
) -> None:
    """Check the requirements for verifiers: a verdict on any text, in time, deterministic. Exit code 1 if it fails.

    Example: rlvr verifier test my_verifier
    """
    from rlvr.audit.conformance import conformance

    try:
        findings = conformance(spec_of(verifier, "VERIFIER"), answer=answer, timeout_seconds=timeout_seconds)
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    for finding in findings:
        print(
            f"{'ok  ' if finding.kept else 'FAIL'}  {finding.duty}"
            + (f"  ({finding.detail})" if finding.detail else "")
        )
    if not all(finding.kept for finding in findings):
        raise typer.Exit(1)
