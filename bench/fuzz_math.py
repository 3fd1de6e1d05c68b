"""Feed mutated answers to the `math` verifier: no crash, no reward without cause, no worker left behind.

    python -m bench.fuzz_math --count 1000000 [--pumped 20000] [--seed 0] [--data DIR]

Seeds are the labelled cases of the tests and, with --data, the MATH-500 answers. A mutation cuts, doubles, swaps,
inserts and splices pieces of LaTeX. Every verdict must be a Verdict with a score of 0 or 1 (or a bad ground truth) in
under a second; a string must be correct against itself or nowhere; swapping the two must not change the verdict.
Pumped strings repeat one to four pieces up to the longest completion that is read: what takes a pattern or a loop more
than linear time takes minutes there.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.verifiers.math.cases import DIFFERENT, SAME
from tests.verifiers.math.hostile import VALUES
from verifiers import MathVerifier, Verdict, get_verifier
from verifiers.code import extract_code

LATEX = r"""\frac{ } { ( ) [ ] \{ \} ^ _ ! , \pm \cup \sqrt{ \sin | = < \le \in : % $ \text{ x 1 0 9 . - + / \cdot
    \infty \boxed{ #### & \\ \begin{pmatrix} \end{pmatrix} e i \pi ^\circ ² é '"""
PIECES = [*sorted(set(LATEX.split())), " and ", " or ", "\x00"]
PROSE = [
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\u00a0",
        "\u2212",
        "a",
        "ab ",
        "A,",
        "a-b ",
        "'",
        '"',
        ". ",
        ", ",
        "; ",
        "~",
        "*",
        "**",
        "_",
    ),
    *("#", "`", "```", "|", "<", ">", "</think>", "<answer>", "</answer>", "answer ", "the answer is ", "so ", "if "),
    *("not ", "is ", "was ", "of ", "to ", "per ", "by ", "km ", "m/s ", "hours ", "12 eggs ", "5% ", "$5"),
    *("1,", "1.", "1/", "1 ", "1:"),
]
AROUND = [
    *(
        "{}",
        r"\boxed{{{}}}",
        "The answer is {}",
        "#### {}",
        "<answer>{}</answer>",
        r"\boxed{{5}} {}",
        r"{} \boxed{{5}}",
    ),
    *(
        "<think>{}",
        "<think>{}</think> 5",
        "A: {}",
        "```python\n{}\n```",
        "```{}",
        "Answer: ${}$",
        "{} so the answer is 5",
    ),
]
LENGTHS = (300, 1_000, 4_000, 30_000, 300_000)


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


def pumped(rng: random.Random, longest: int = LENGTHS[-1]) -> str:
    """A few pieces, repeated to a length, between what may stand around an answer."""
    length = rng.choice([length for length in LENGTHS if length <= longest])
    unit = "".join(rng.choices([*PIECES, *PROSE], k=rng.choice([1, 1, 2, 2, 3, 4])))
    inside = rng.choice(["", "1", "a"]) + unit * (length // len(unit)) + rng.choice(["", "!", "1", "a", ".", "}"])
    return rng.choice(AROUND).format(inside)


def pump(count: int, seed: int, longest: int = LENGTHS[-1]) -> tuple[float, str]:
    """Give `count` pumped strings to every reader of completions; the most processor seconds, and for what."""
    rng = random.Random(seed)
    readers = {name: get_verifier(name) for name in ("math", "numeric", "exact", "choice", "format")}
    calls = {
        name: partial(reader, answer="\\frac{1}{2}" if name == "math" else "5") for name, reader in readers.items()
    }
    calls["code"] = extract_code
    slowest = (0.0, "")
    for _ in range(count):
        text = pumped(rng, longest)
        for name, call in calls.items():
            started = time.thread_time()
            call(text)
            slowest = max(slowest, (time.thread_time() - started, f"{name}: {len(text)} characters, {text[:60]!r}"))
    return slowest


def seeds_from(data: Path | None) -> list[str]:
    seeds = [text for table in (SAME, DIFFERENT) for pairs in table.values() for pair in pairs for text in pair]
    seeds += [value for value in VALUES if len(value) < 200]
    if data is not None:
        seeds += [json.loads(line)["answer"] for line in (data / "math500.jsonl").read_text().splitlines()]
    return sorted({seed for seed in seeds if seed.strip()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--pumped", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    started = time.perf_counter()
    statuses = fuzz(arguments.count, arguments.seed, seeds_from(arguments.data))
    print(f"{arguments.count} strings in {time.perf_counter() - started:.0f} s: {dict(statuses)}")
    started = time.perf_counter()
    seconds, text = pump(arguments.pumped, arguments.seed)
    print(
        f"{arguments.pumped} pumped strings in {time.perf_counter() - started:.0f} s: slowest {seconds:.3f} s, {text}"
    )
    running = subprocess.run(["ps", "-o", "pid,ppid,rss,args", "-e"], capture_output=True, text=True, check=True).stdout
    templates = [line for line in running.splitlines() if line.split()[1] == str(os.getpid()) and "template" in line]
    owned = {line.split()[0] for line in templates}
    workers = templates + [line for line in running.splitlines() if line.split()[1] in owned]
    print(f"template and worker processes alive: {len(workers)} (the template and at most one worker are expected)")
    for line in workers:
        print(line[:100])
    sys.exit(len(workers) > 2 or seconds > 1)


if __name__ == "__main__":
    main()
