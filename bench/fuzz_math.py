"""Feed mutated answers to the `math` verifier: no crash, no reward without cause, no worker left behind.

    PYTHONPATH=. python bench/fuzz_math.py --count 1000000 [--seed 0] [--data DIR]

Seeds are the labelled cases of the tests and, with --data, the MATH-500 answers. A mutation cuts, doubles, swaps,
inserts and splices pieces of LaTeX. Every verdict must be a Verdict with a score of 0 or 1 (or a bad ground truth) in
under a second; a string must be correct against itself or nowhere; swapping the two must not change the verdict.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.verifiers.math.cases import DIFFERENT, SAME
from tests.verifiers.math.hostile import VALUES
from verifiers import MathVerifier, Verdict
from verifiers.math.vocabulary import words

LATEX = words(
    r"""\frac{ } { ( ) [ ] \{ \} ^ _ ! , \pm \cup \sqrt{ \sin | = < \le \in : % $ \text{ x 1 0 9 . - + / \cdot \infty
    \boxed{ #### & \\ \begin{pmatrix} \end{pmatrix} e i \pi ^\circ ² é '"""
)
PIECES = [*sorted(LATEX), " and ", " or ", "\x00"]


def mutated(text: str, seeds: list[str], rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(text))
        to = min(len(text), at + rng.randint(0, 6))
        match rng.randint(0, 6):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:to] + text[at:to] * rng.randint(1, 4) + text[to:]
            case 2:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 3:
                text = text[:at] + rng.choice(seeds) + text[to:]
            case 4:
                text = text[to:] + text[:at]
            case 5:
                text = text[:at] + chr(rng.choice([rng.randint(32, 126), rng.randint(128, 0x2FFF)])) + text[to:]
            case 6:
                text = rng.choice(seeds)[:at] + text[at:]
    return text[:2_000]


def fuzz(count: int, seed: int, seeds: list[str]) -> Counter[str]:
    """Check `count` mutated strings; the number of verdicts by status. Raises `AssertionError` with what broke."""
    rng = random.Random(seed)
    verifier = MathVerifier(mode="lenient")
    statuses: Counter[str] = Counter()
    for number in range(count):
        truth = rng.choice(seeds)
        ours = mutated(rng.choice([truth, rng.choice(seeds)]), seeds, rng)
        boxed = rf"\boxed{{{ours}}}" if rng.random() < 0.8 else ours
        started = time.perf_counter()
        verdict = verifier(boxed, truth)
        seconds = time.perf_counter() - started
        statuses[verdict.status] += 1
        if not isinstance(verdict, Verdict) or verdict.status == "error" or seconds > 1.5:
            raise AssertionError(f"{boxed!r} against {truth!r}: {verdict} in {seconds:.2f} s")
        if number % 16 == 0 and "boxed" not in ours + truth and "#" not in ours and "$" not in ours + truth:
            there = verifier(rf"\boxed{{{ours}}}", truth).score
            back = verifier(rf"\boxed{{{truth}}}", ours).score
            if there == 1.0 and back == 0.0 and ours.count("{") == ours.count("}"):
                statuses["one way only"] += 1
                print(f"one way only: {ours!r} against {truth!r}")
    return statuses


def seeds_from(data: Path | None) -> list[str]:
    seeds = [text for table in (SAME, DIFFERENT) for pairs in table.values() for pair in pairs for text in pair]
    seeds += [value for value in VALUES if len(value) < 200]
    if data is not None:
        seeds += [json.loads(line)["answer"] for line in (data / "math500.jsonl").read_text().splitlines()]
    return sorted({seed for seed in seeds if seed.strip()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    started = time.perf_counter()
    statuses = fuzz(arguments.count, arguments.seed, seeds_from(arguments.data))
    print(f"{arguments.count} strings in {time.perf_counter() - started:.0f} s: {dict(statuses)}")
    running = subprocess.run(["ps", "-o", "pid,ppid,rss,args", "-e"], capture_output=True, text=True, check=True).stdout
    templates = [line for line in running.splitlines() if line.split()[1] == str(os.getpid()) and "template" in line]
    owned = {line.split()[0] for line in templates}
    workers = templates + [line for line in running.splitlines() if line.split()[1] in owned]
    print(f"template and worker processes alive: {len(workers)} (the template and at most one worker are expected)")
    for line in workers:
        print(line[:100])
    sys.exit(len(workers) > 2)


if __name__ == "__main__":
    main()
