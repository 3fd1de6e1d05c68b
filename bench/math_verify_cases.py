"""The `math` verifier on math-verify's own published test cases: every disagreement, as a Markdown table.

    python bench/math_verify_cases.py --tests DIR [--mode lenient]

DIR is the `tests` folder of math-verify's source distribution. The cases are read out of the parametrized tests without
running them; cases that only exercise its settings or its parser are left out.
"""

import argparse
import ast
from pathlib import Path
from typing import NamedTuple

from verifiers import MathVerifier


class Case(NamedTuple):
    file: str
    test: str
    gold: str
    completion: str
    correct: bool


def cases(folder: Path) -> list[Case]:
    """Every `gold, pred, expected` row of every parametrized test."""
    cases = []
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("parametrize"):
                    cases += [Case(path.stem, node.name, *row) for row in rows(mark)]
    return cases


def rows(mark: ast.Call) -> list[tuple[str, str, bool]]:
    try:
        names = ast.literal_eval(mark.args[0])
        table = mark.args[1].elts  # type: ignore[attr-defined]
    except (ValueError, AttributeError, IndexError):
        return []
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    label = "expected" if "expected" in names else "result"
    if not {"gold", "pred", label} <= set(names):
        return []
    cases = []
    for line in table:
        try:
            values = dict(zip(names, ast.literal_eval(line), strict=True))
        except (ValueError, SyntaxError):  # a row that is computed
            continue
        if isinstance(values["gold"], str) and isinstance(values["pred"], str):
            cases.append((values["gold"], values["pred"], bool(values[label])))
    return cases


def shortened(text: str) -> str:
    text = " ".join(text.split()).replace("|", r"\|")
    return f"`{text}`" if len(text) <= 70 else f"`... {text[-66:]}`"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=Path, required=True)
    parser.add_argument("--mode", default="standard", choices=["marked", "standard", "lenient"])
    arguments = parser.parse_args()
    verifier = MathVerifier(mode=arguments.mode)
    every = cases(arguments.tests)
    lines = []
    for case in every:
        verdict = verifier(case.completion, case.gold)
        if (verdict.score == 1.0) != case.correct:
            lines.append(
                f"| {case.test.removeprefix('test_')} | {shortened(case.gold)} | {shortened(case.completion)} | "
                f"{'correct' if case.correct else 'wrong'} | {verdict.status}: {verdict.detail} |"
            )
    print(f"{len(every)} cases, {len(every) - len(lines)} agree, {len(lines)} do not\n")
    print("| test | ground truth | completion | their label | ours |\n|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
