"""Is my reward correct? Tests a dataset and a verifier with everything that training will give them.

Every ground truth is read. Worked solutions must pass and empty completions must fail; equivalent answers must pass,
near misses and hedges must not. Two verifiers can be compared on all of it. Nothing here needs a model or a GPU.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rlvr.audit.mutations import Mutation, equivalent_forms, hedges, near_misses
from rlvr.data.jsonl import read_jsonl
from rlvr.errors import DataError
from tasks.columns import value_at
from tasks.problem import question_problem
from verifiers import Spec, Verdict, Verifier, get_verifier, is_solved, verify_batch, with_threshold
from verifiers.accepted import accepted_texts
from verifiers.math import why_unreadable
from verifiers.values import Json

Z_95 = 1.959964  # two-sided 95 % quantile of the normal distribution
SHOWN_ROWS = 20
BOXED = r"The answer is \boxed{ANSWER}"


@dataclass(frozen=True)
class Item:
    """One row of a dataset. `answer` is the text that trials state: of a list of accepted answers the first.

    `truth` is what the verifier receives, if that is not the text, and `columns` the whole row.
    """

    row: int
    question: str
    answer: str
    solution: str | None
    truth: Json = None
    columns: Mapping[str, Json] = field(default_factory=dict)

    @property
    def gold(self) -> Json:
        """The ground truth as training passes it to the verifier."""
        return self.answer if self.truth is None else self.truth

    @property
    def context(self) -> dict[str, object]:
        """The context that training passes to the verifier besides completion and answer."""
        return question_problem(f"row-{self.row}", self.question, self.gold, self.columns).context


@dataclass(frozen=True)
class Trial:
    """One completion, the expected outcome, and the verdict."""

    item: Item
    kind: str
    completion: str
    should_pass: bool
    verdict: Verdict

    @property
    def failed(self) -> bool:
        """Whether the verdict tells neither that the completion solves its problem nor that it does not."""
        return is_solved(self.verdict) is None

    @property
    def mistaken(self) -> bool:
        return not self.failed and is_solved(self.verdict) != self.should_pass

    @property
    def why_failed(self) -> str:
        if self.verdict.score is None:
            return self.verdict.detail
        return (
            f"a score of {self.verdict.score:.4g} does not tell what is solved: name the least that does, --solved-at"
        )


@dataclass(frozen=True)
class Rate:
    """`count` of `total`, with Wilson's 95 % interval (1927)."""

    count: int
    total: int

    @property
    def interval(self) -> tuple[float, float]:
        if not self.total:
            return 0.0, 1.0
        share, n = self.count / self.total, self.total
        center = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
        margin = Z_95 / (1 + Z_95**2 / n) * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
        return max(0.0, center - margin), min(1.0, center + margin)

    def __str__(self) -> str:
        if not self.total:
            return "unknown, nothing was judged"
        low, high = self.interval
        return f"{self.count} of {self.total} ({self.count / self.total:.2%}, 95 % interval {low:.2%} to {high:.2%})"


@dataclass(frozen=True)
class Section:
    """One part of the audit: its trials, and whether a mistake in them is a false refusal or a false reward."""

    title: str
    mistake: str
    trials: tuple[Trial, ...]

    @property
    def rate(self) -> Rate:
        return Rate(sum(trial.mistaken for trial in self.trials), len(self.trials) - self.failures)

    @property
    def failures(self) -> int:
        return sum(trial.failed for trial in self.trials)

    @property
    def mistakes(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.mistaken]

    def by_kind(self) -> list[tuple[str, Rate]]:
        """Mistakes by kind of completion, the most frequent first."""
        totals = Counter(trial.kind for trial in self.trials if not trial.failed)
        wrong = Counter(trial.kind for trial in self.trials if trial.mistaken)
        return [(kind, Rate(count, totals[kind])) for kind, count in wrong.most_common()]


@dataclass(frozen=True)
class Disagreement:
    trial: Trial
    other: Verdict


@dataclass(frozen=True)
class Audit:
    """The whole result. `disagreements` is empty without a second verifier."""

    source: str
    verifier: str
    items: int
    unreadable: tuple[tuple[Item, str], ...]
    contradictions: tuple[tuple[Item, Item], ...]  # rows with the same question and different answers
    sections: tuple[Section, ...]
    seconds: float
    checks_per_second: float
    against: str = ""
    disagreements: tuple[Disagreement, ...] = field(default=())

    @property
    def checks(self) -> int:
        return sum(len(section.trials) for section in self.sections)

    @property
    def failures(self) -> int:
        return sum(section.failures for section in self.sections)

    @property
    def mistakes(self) -> int:
        return sum(len(section.mistakes) for section in self.sections)

    @property
    def passed(self) -> bool:
        """Whether the verifier made no mistake, never failed, and agrees with the second verifier, if any."""
        return not (self.mistakes or self.failures or self.disagreements)

    @property
    def conclusion(self) -> str:
        """The whole result in one sentence."""
        if self.failures == self.checks:
            return f"the verifier {self.verifier!r} failed on every check and has judged nothing: fix it first"
        counts = {
            "mistakes": self.mistakes,
            "checks without a verdict": self.failures,
            f"disagreements with {self.against!r}": len(self.disagreements),
        }
        summary = ", ".join(f"{what}: {count}" for what, count in counts.items() if count)
        return f"the verifier {self.verifier!r} on this dataset: {summary}" if summary else "no mistakes found"


def load_items(
    source: str, *, question_column: str = "", answer_column: str = "answer", solution_column: str = "", rows: int = 0
) -> list[Item]:
    """The rows of a .jsonl file, or of any dataset that `tasks.rows` can read.

    An answer that ends in `#### 18` is also a worked solution. Raises `DataError` for a missing file or column.
    """
    path = Path(source)
    if path.suffix == ".jsonl":
        table: Iterable[Mapping[str, Any]] = (row for _, row in read_jsonl(path))
    else:
        from tasks.rows import load_rows

        try:
            table = load_rows(source, "test")
        except ValueError as problem:
            raise DataError(str(problem)) from problem
    items: list[Item] = []
    for number, row in enumerate(table):
        if rows and number >= rows:
            break
        try:
            truth = value_at(row, answer_column)
        except KeyError as problem:
            there = str(problem.args[0]).replace("has: ", "has ")
            raise DataError(f"dataset {source!r}, row {number}, has no column {answer_column!r}: {there}") from None
        texts = [""] if truth is None else accepted_texts(truth)
        if not texts:
            kind = type(truth).__name__
            raise DataError(
                f"dataset {source!r}, row {number}: column {answer_column!r} holds a {kind}; expected text, a "
                "number, or a list of accepted answers"
            )
        answer = texts[0]
        solution = row.get(solution_column or "solution")
        if "####" in answer:
            solution, answer = answer, answer.rpartition("####")[2]
        question = row.get(question_column) or row.get("question") or row.get("problem") or ""
        gold = truth if isinstance(truth, list) else None
        worked = None if solution is None else str(solution)
        items.append(Item(number, str(question), answer.strip(), worked, gold, row))
    if not items:
        raise DataError(f"dataset {source!r} has no rows")
    return items


def audit(
    items: Sequence[Item],
    verifier: Spec,
    *,
    source: str = "",
    against: Spec = "",
    wrap: str = BOXED,
    seed: int = 0,
    workers: int = 2,
    timeout_seconds: float = 5.0,
    solved_at: float | None = None,
) -> Audit:
    """Audit `verifier`. `wrap` is the text in which a completion states its answer, in the place of ANSWER. `solved_at`
    is the score that solves a problem, where the verifier does not say.

    Raises `ValueError` if the verifier cannot be found.
    """
    started = time.perf_counter()
    checker = get_verifier(verifier, "verifier")
    rng = random.Random(seed)
    shuffled = [item.answer for item in items]
    rng.shuffle(shuffled)

    def boxed(item: Item, forms: Iterable[Mutation]) -> list[tuple[Item, str, str]]:
        return [(item, form.kind, wrap.replace("ANSWER", form.text)) for form in forms]

    solutions = [(item, "worked solution", item.solution) for item in items if item.solution]
    plans: list[tuple[str, str, bool, list[tuple[Item, str, str]]]] = [
        ("worked solutions", "false refusal", True, solutions),
        ("the ground truth itself", "false refusal", True,
         [(item, "ground truth", wrap.replace("ANSWER", item.answer)) for item in items]),
        ("empty completions", "false reward", False, [(item, "empty", "") for item in items]),
        ("answers written otherwise", "false refusal", True,
         [row for item in items for row in boxed(item, equivalent_forms(item.answer))]),
        ("near misses", "false reward", False,
         [row for item in items for row in boxed(item, near_misses(item.answer))]),
        ("hedges and broken boxes", "false reward", False,
         [(item, hedge.kind, hedge.text) for item in items for hedge in hedges(item.answer)]),
    ]  # fmt: skip
    check = checks(checker, workers, timeout_seconds, solved_at)
    sections = tuple(
        Section(title, mistake, check(rows, should_pass)) for title, mistake, should_pass, rows in plans if rows
    )
    trials = [trial for section in sections for trial in section.trials]
    disagreements: tuple[Disagreement, ...] = ()
    if against:
        pairs = [(trial.completion, trial.item.gold, trial.item.context) for trial in trials]
        others = verify_batch(pairs, get_verifier(against, "against"), workers=workers, timeout_seconds=timeout_seconds)
        disagreements = tuple(
            Disagreement(trial, other)
            for trial, other in zip(trials, others, strict=True)
            if trial.verdict.score != other.score
        )
    seconds = time.perf_counter() - started
    return Audit(
        source=source,
        verifier=as_written(verifier),
        items=len(items),
        unreadable=tuple((item, reason) for item in items if (reason := why_unreadable(item.answer))),
        contradictions=contradictions(items, check, wrap),
        sections=sections,
        seconds=seconds,
        checks_per_second=len(trials) / seconds,
        against=as_written(against),
        disagreements=disagreements,
    )


Check = Callable[[Sequence[tuple[Item, str, str]], bool], tuple[Trial, ...]]


def as_written(spec: Spec) -> str:
    """A verifier as a recipe writes it, in one line."""
    if isinstance(spec, str):
        return spec
    return yaml.safe_dump(spec, default_flow_style=True, sort_keys=False, width=math.inf).strip()


def contradictions(items: Sequence[Item], check: Check, wrap: str) -> tuple[tuple[Item, Item], ...]:
    """Pairs of rows with the same question whose answers the verifier does not accept as equal."""
    first: dict[str, Item] = {}
    again = [
        (earlier, item)
        for item in items
        if (question := " ".join(item.question.split())) and (earlier := first.setdefault(question, item)) is not item
    ]
    rows = [(item, "the same question", wrap.replace("ANSWER", earlier.answer)) for earlier, item in again]
    return tuple(pair for pair, trial in zip(again, check(rows, True), strict=True) if trial.mistaken)


def checks(checker: Verifier, workers: int, timeout_seconds: float, solved_at: float | None = None) -> Check:
    def check(rows: Sequence[tuple[Item, str, str]], should_pass: bool) -> tuple[Trial, ...]:
        pairs = [(completion, item.gold, item.context) for item, _, completion in rows]
        verdicts = verify_batch(pairs, checker, workers=workers, timeout_seconds=timeout_seconds)
        return tuple(
            Trial(item, kind, completion, should_pass, with_threshold(verdict, solved_at))
            for (item, kind, completion), verdict in zip(rows, verdicts, strict=True)
        )

    return check
