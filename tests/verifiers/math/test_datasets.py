"""On real data: every official answer is correct, and no problem's solution answers another problem."""

import json
import random
from pathlib import Path

from verifiers import MathVerifier, verify_batch
from verifiers.math import render, undress
from verifiers.math.tree.parse import parse

# Pairs of different problems whose answers are written differently and are the same value: (solution's, other's).
SAME_VALUE = [
    {"x=5", "5"},
    {r"36^\circ", "36", r"\$36"},
    {r"30^\circ", "30"},
    {r"90^\circ", "90"},
    {r"120^\circ", "120"},
    {r"180^\circ", r"\pi"},
    {r"\frac14", r"\frac{1}{4}"},
    {r"10,\!080", "10080"},
    {r"15\mbox{ cm}^2", "15"},
    {r"2 \sqrt{5}", r"2\sqrt{5}"},
    {"(-2,1)", "-2,1"},
    {"-2,1", "1,-2"},
]


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def gsm8k(data: Path) -> list[tuple[str, str]]:
    found = [row for split in ("train", "test") for row in rows(data / f"gsm8k_{split}.jsonl")]
    return [(row["answer"], row["answer"].split("####")[1].strip()) for row in found]


def test_every_gsm8k_solution_is_correct(data: Path) -> None:
    pairs = gsm8k(data)
    assert pairs
    assert [pair for pair, verdict in zip(pairs, verify_batch(pairs), strict=True) if verdict.score != 1.0] == []


def test_every_math500_solution_is_correct(data: Path) -> None:
    pairs = [(row["solution"], row["answer"]) for row in rows(data / "math500.jsonl")]
    assert [pair for pair, verdict in zip(pairs, verify_batch(pairs), strict=True) if verdict.score != 1.0] == []


def test_no_math500_solution_answers_another_problem(data: Path) -> None:
    problems = rows(data / "math500.jsonl")
    rng = random.Random(0)
    meant, pairs = [], []
    for row in problems:
        others = [other for other in problems if other["answer"] != row["answer"]]
        for other in rng.sample(others, min(20, len(others))):
            meant.append((row["answer"], other["answer"]))
            pairs.append((row["solution"], other["answer"]))
    rewarded = [one for one, verdict in zip(meant, verify_batch(pairs), strict=True) if verdict.score != 0.0]
    assert [one for one in rewarded if not any(set(one) <= same for same in SAME_VALUE)] == []


def test_every_math500_answer_equals_itself_when_it_is_written_anew(data: Path) -> None:
    verifier = MathVerifier()
    for row in rows(data / "math500.jsonl"):
        text = render(parse(undress(row["answer"])))
        assert verifier(rf"\boxed{{{text}}}", row["answer"]).score == 1.0, (row["answer"], text)
