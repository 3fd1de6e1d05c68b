"""Finished runs made of numbers, for tests of what is said of them."""

import numpy

from rlvr.report.results import Answer, Item, RunResult


def run_of(
    variant: str,
    seed: int,
    greedy: list[list[float]],
    scores: list[list[list[float]]] | None = None,
    tokens: list[list[list[float]]] | None = None,
    cohorts: list[str] | None = None,
    text: str = "3+4=7\n#### 7",
) -> RunResult:
    """Evaluations at steps 0, 10, ...; drawn completions, if not given, are two like the greedy one, of 10 tokens."""
    greedy_EP = numpy.array(greedy, dtype=numpy.float64)
    scores_EPK = numpy.stack([greedy_EP, greedy_EP], axis=2) if scores is None else numpy.array(scores)
    evaluations, problems = greedy_EP.shape
    last = 10 * (evaluations - 1)
    return RunResult(
        variant,
        seed,
        items=tuple(Item(f"p{i}", (cohorts or [""] * problems)[i], f"Problem {i}?", "7") for i in range(problems)),
        eval_steps=tuple(range(0, last + 1, 10)),
        greedy=greedy_EP,
        majority=greedy_EP,
        scores=scores_EPK,
        solved=(scores_EPK == 1).astype(numpy.float64),
        tokens=numpy.full(scores_EPK.shape, 10.0) if tokens is None else numpy.array(tokens, dtype=numpy.float64),
        answers=tuple(Answer(text, bool(solved), "correct" if solved else "wrong", 9) for solved in greedy_EP[-1]),
        training={"step": numpy.arange(1.0, last + 1), "reward/mean": numpy.linspace(0, 1, last)},
        tokens_so_far=100.0 * numpy.arange(last + 1),
        seconds_so_far=0.5 * numpy.arange(last + 1),
        peak_memory_bytes=10**9,
    )


def random_run(variant: str, seed: int, rate: float, problems: int = 120, spread: float = 0.0) -> RunResult:
    """A run that solves each problem with chance `rate`, moved by up to `spread` from seed to seed."""
    generator = numpy.random.default_rng([seed, len(variant), *variant.encode()])
    rate += spread * generator.uniform(-1, 1)
    greedy = [[0.0] * problems, (generator.random(problems) < rate).astype(float).tolist()]
    return run_of(variant, seed, greedy, cohorts=["easy" if i % 2 else "hard" for i in range(problems)])
