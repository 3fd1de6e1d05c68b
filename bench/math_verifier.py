"""The `math` verifier and math-verify side by side, in one process, on the same completions.

    python bench/math_verifier.py --data DIR [--rows 500]

DIR holds gsm8k_test.jsonl and math500.jsonl. Four kinds of pairs: official solutions against their own answers (right)
and against answers of other problems that differ in value (wrong), answers written otherwise (right) and near misses
(wrong). Prints, per grader and kind, how many verdicts were wrong, and median, p99 and slowest time; then the ratios.

math-verify is called as its README shows, with its default timeout of 5 s, and with the ground truth in dollar signs.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rlvr.audit.mutations import Mutation, equivalent_forms, near_misses
from verifiers import MathVerifier

Case = tuple[str, str, bool]


def load(folder: Path, rows: int) -> list[tuple[str, str]]:
    """`(solution, answer)` of both datasets."""
    pairs = []
    for line in (folder / "gsm8k_test.jsonl").read_text().splitlines()[:rows]:
        solution = json.loads(line)["answer"]
        pairs.append((solution, solution.split("####")[1].strip()))
    for line in (folder / "math500.jsonl").read_text().splitlines()[:rows]:
        row = json.loads(line)
        pairs.append((row["solution"], row["answer"]))
    return pairs


def cases(pairs: list[tuple[str, str]], seed: int) -> dict[str, list[Case]]:
    rng = random.Random(seed)
    shuffled = [answer for _, answer in pairs]
    rng.shuffle(shuffled)
    ours = MathVerifier()
    return {
        "official solutions": [(solution, answer, True) for solution, answer in pairs],
        "another problem's answer": [
            (solution, other, False)
            for (solution, answer), other in zip(pairs, shuffled, strict=True)
            if ours(rf"\boxed{{{answer}}}", other).score == 0.0  # the same value is no wrong answer
        ],
        "written otherwise": [
            (rf"So it is \boxed{{{form.text}}}", answer, True)
            for _, answer in pairs
            for form in some([form for form in equivalent_forms(answer) if form.kind != "dollar signs"], rng)
        ],
        "near misses": [
            (rf"So it is \boxed{{{form.text}}}", answer, False)
            for _, answer in pairs
            for form in some(near_misses(answer), rng)
        ],
    }


def some(forms: list[Mutation], rng: random.Random) -> list[Mutation]:
    return rng.sample(forms, min(3, len(forms)))


def measure(grade: Callable[[str, str], bool], rows: list[Case]) -> tuple[int, int, list[float]]:
    """Wrong answers rewarded, right answers refused, and the seconds of each call."""
    rewarded = refused = 0
    seconds = []
    for completion, answer, right in rows:
        started = time.perf_counter()
        correct = grade(completion, answer)
        seconds.append(time.perf_counter() - started)
        rewarded += correct and not right
        refused += right and not correct
    return rewarded, refused, seconds


def ours_grade() -> Callable[[str, str], bool]:
    verifier = MathVerifier()
    verifier(r"\boxed{\sqrt{6}+\sqrt{2}}", r"\sqrt{8+4\sqrt{3}}")  # start the worker
    return lambda completion, answer: verifier(completion, answer).score == 1.0


def math_verify_grade() -> Callable[[str, str], bool]:
    import logging

    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.ERROR)
    targets = [LatexExtractionConfig(), ExprExtractionConfig()]
    return lambda completion, answer: bool(verify(parse(f"${answer}$", targets), parse(completion, targets)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000, help="at most so many of each dataset")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    groups = cases(load(arguments.data, arguments.rows), arguments.seed)
    graders = {"rlvr math": ours_grade(), "math-verify": math_verify_grade()}
    everything: dict[str, list[float]] = {name: [] for name in graders}
    print(
        f"{'pairs':26} {'grader':12} {'cases':>6} {'rewarded':>9} {'refused':>8} {'median':>10} {'p99':>10} {'max':>10}"
    )
    for kind, rows in groups.items():
        for name, grade in graders.items():
            rewarded, refused, seconds = measure(grade, rows)
            everything[name] += seconds
            print(f"{kind:26} {name:12} {len(rows):6} {rewarded:9} {refused:8} {times(seconds)}")
    for name, seconds in everything.items():
        print(f"{'all':26} {name:12} {len(seconds):6} {'':9} {'':8} {times(seconds)}")
    ratios = [quantiles(everything["math-verify"])[at] / quantiles(everything["rlvr math"])[at] for at in range(3)]
    print("times as long as ours: median {:.0f}, p99 {:.0f}, max {:.0f}".format(*ratios))


def quantiles(seconds: list[float]) -> tuple[float, float, float]:
    ordered = sorted(seconds)
    return statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))], ordered[-1]


def times(seconds: list[float]) -> str:
    return " ".join(f"{1_000 * value:7.3f} ms" for value in quantiles(seconds))


if __name__ == "__main__":
    main()
