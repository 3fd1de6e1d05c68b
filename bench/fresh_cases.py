"""The `math` verifier and math-verify on the blindly labelled cases of `tests/verifiers/math/fresh_cases.py`.

    python bench/fresh_cases.py

Prints for each grader how many right answers it refused and how many wrong ones it rewarded. The cases were written
before this verifier was tried on them, but it was fixed afterwards: only the first run of each set was blind.
"""

from collections.abc import Callable

from bench.math_verifier import math_verify_grade, ours_grade
from tests.verifiers.math.fresh_cases import ANSWERS, COMPLETIONS, HEDGES, Case

Row = tuple[str, str, bool]


def rows(cases: list[Case], frame: str) -> list[Row]:
    """`(completion, ground truth, right)`."""
    return [
        (frame.replace("?", text), truth, right)
        for truth, good, bad in cases
        for right, texts in ((True, good), (False, bad))
        for text in texts
    ]


def errors(grade: Callable[[str, str], bool], table: list[Row]) -> tuple[int, int]:
    """Right answers refused and wrong answers rewarded."""
    verdicts = [(right, grade(completion, truth)) for completion, truth, right in table]
    return sum(right and not correct for right, correct in verdicts), sum(
        correct and not right for right, correct in verdicts
    )


def main() -> None:
    tables = {
        "answers": rows([case for cases in ANSWERS.values() for case in cases], r"So it is $\boxed{?}$."),
        "completions": rows(COMPLETIONS, "?"),
        "hedges": [(text, "42", False) for text in HEDGES],
    }
    for grader, grade in (("rlvr math", ours_grade()), ("math-verify", math_verify_grade())):
        for name, table in tables.items():
            rights = sum(right for _, _, right in table)
            refused, rewarded = errors(grade, table)
            print(f"{grader:12} {name:12} refused {refused} of {rights}, rewarded {rewarded} of {len(table) - rights}")


if __name__ == "__main__":
    main()
