"""The evaluations and training metrics of a run folder, as arrays.

P held-out problems, E evaluations, K sampled completions per problem, N training steps.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pyarrow.parquet

from rlvr.errors import DataError
from rlvr.report.statistics import Array
from rlvr.rollouts.evaluate import any_of, lowest, majority
from rlvr.runfolder.metrics import read_metrics

PROCESS = "process.json"  # written by `rlvr compare` about the process of a run
# The training time of a step, without evaluations and checkpoints.
TRAINING_STAGES = ("time/sample", "time/learn", "time/sync")


@dataclass(frozen=True)
class Item:
    """A held-out problem as the page shows it."""

    id: str
    cohort: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class Answer:
    """A greedy completion of the last evaluation."""

    text: str
    solved: bool
    status: str
    tokens: int


@dataclass(frozen=True)
class RunResult:
    """One finished run.

    `greedy` and `majority` are `(E, P)`, 1 where the problem is solved, NaN where that is unknown; `scores`, `solved`
    and `tokens` are `(E, P, K)` over the sampled completions. `training` holds metrics by name, each `(N,)`.
    `tokens_so_far` and `seconds_so_far` are `(N + 1,)`, by step from 0; tokens are those of sampled completions, NaN if
    the run kept no ledger.
    """

    variant: str
    seed: int
    items: tuple[Item, ...]
    eval_steps: tuple[int, ...]
    greedy: Array
    majority: Array
    scores: Array
    solved: Array
    tokens: Array
    answers: tuple[Answer, ...]
    training: dict[str, Array]
    tokens_so_far: Array
    seconds_so_far: Array
    peak_memory_bytes: int | None

    @property
    def samples(self) -> int:
        return self.scores.shape[2]

    @property
    def scores_are_shares(self) -> bool:
        """Whether every score lies in [0, 1], so that a mean can be read as a percentage."""
        return bool(((self.scores >= 0) & (self.scores <= 1)).all())

    @property
    def any_solved(self) -> Array:
        """Whether one of the completions of the last evaluation solves each problem `(P,)`, NaN where unknown."""
        return numpy.array([_number(any_of([_known(one) for one in own])) for own in self.solved[-1]])


def read_run(folder: Path, variant: str, seed: int) -> RunResult:
    """Read a finished run. Raises `DataError` if an evaluation is missing or damaged."""
    evaluations = sorted((folder / "evaluations").glob("step-*-greedy.parquet"))
    if len(evaluations) < 2:
        raise DataError(
            f"{folder / 'evaluations'}: got {len(evaluations)} evaluations, expected one before and one after "
            "training; delete the run folder, and start the same command again"
        )
    greedy_rows = [_rows(path) for path in evaluations]
    drawn_rows = [_rows(path.with_name(path.name.replace("greedy", "drawn"))) for path in evaluations]
    items = tuple(Item(row["problem_id"], row["cohort"] or "", row["prompt"], row["answer"]) for row in greedy_rows[0])
    drawn = [_by_group(rows, len(items)) for rows in drawn_rows]
    floor = lowest(row["reward"] for groups in drawn for rows in groups for row in rows)
    metrics = [row for row in read_metrics(folder / "metrics.jsonl") if row["step"] > 0]
    return RunResult(
        variant,
        seed,
        items,
        eval_steps=tuple(rows[0]["step"] for rows in greedy_rows),
        greedy=numpy.array([[_number(_solved(row)) for row in rows] for rows in greedy_rows]),
        majority=numpy.array([[_number(_majority(rows)) for rows in groups] for groups in drawn]),
        scores=numpy.array([[[_score(row, floor) for row in rows] for rows in groups] for groups in drawn]),
        solved=numpy.array([[[_number(_solved(row)) for row in rows] for rows in groups] for groups in drawn]),
        tokens=numpy.array(
            [[[row["tokens"] for row in rows] for rows in groups] for groups in drawn], dtype=numpy.float64
        ),
        answers=tuple(
            Answer(row["completion"], _solved(row) is True, row["status"] or "none", row["tokens"])
            for row in greedy_rows[-1]
        ),
        training=_columns(metrics),
        tokens_so_far=_cumulative([_step_tokens(folder, int(row["step"])) for row in metrics]),
        seconds_so_far=_cumulative([sum(row.get(stage) or 0.0 for stage in TRAINING_STAGES) for row in metrics]),
        peak_memory_bytes=_peak_memory(folder),
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read: {error}; delete the run folder, and start the same command again"
        ) from None
    return rows


def _by_group(rows: Sequence[dict[str, Any]], groups: int) -> list[list[dict[str, Any]]]:
    rows_of_groups: list[list[dict[str, Any]]] = [[] for _ in range(groups)]
    for row in rows:
        rows_of_groups[row["group"]].append(row)
    return rows_of_groups


def _majority(rows: Sequence[dict[str, Any]]) -> bool | None:
    return majority([(row["extracted"], _solved(row)) for row in rows], otherwise=False)


def _score(row: dict[str, Any], floor: float) -> float:
    """The score of a completion; `floor` where its grader failed."""
    return floor if row["reward"] is None else float(row["reward"])


def _solved(row: dict[str, Any]) -> bool | None:
    """Whether a completion solved its problem, `None` if unknown; one whose grader failed did not.

    Ledgers from before this column hold rewards in [0, 1], of which 1 solves.
    """
    if row["reward"] is None:
        return False
    solved: bool | None = row["solved"] if "solved" in row else row["reward"] == 1
    return solved


def _number(solved: bool | None) -> float:
    return numpy.nan if solved is None else float(solved)


def _known(solved: float) -> bool | None:
    return None if numpy.isnan(solved) else bool(solved)


def _columns(metrics: Sequence[dict[str, float]]) -> dict[str, Array]:
    """Each training metric `(N,)`, NaN where a step lacks it."""
    names = dict.fromkeys(name for row in metrics for name in row if not name.startswith(("eval/", "time/", "speed/")))
    return {
        name: numpy.array([numpy.nan if row.get(name) is None else row[name] for row in metrics], dtype=numpy.float64)
        for name in names
    }


def _step_tokens(folder: Path, step: int) -> float:
    path = folder / "rollouts" / f"step-{step:06d}.parquet"
    if not path.exists():
        return numpy.nan
    return float(sum(pyarrow.parquet.read_table(path, columns=["tokens"])["tokens"].to_pylist()))


def _cumulative(values: Sequence[float]) -> Array:
    return numpy.concatenate([[0.0], numpy.cumsum(numpy.array(values, dtype=numpy.float64))])


def _peak_memory(folder: Path) -> int | None:
    path = folder / PROCESS
    return json.loads(path.read_text())["peak_memory_bytes"] if path.exists() else None
