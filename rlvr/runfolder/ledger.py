"""The ledger: every completion of every step, with its verdict, reward and advantage, in parquet.

`solved` is null where the verdict does not tell; `parts` are the scores of the parts of a composition, as JSON.

There is one file per step, written to a temporary name and renamed. `datasets.load_dataset("parquet",
data_files="runs/x/rollouts/*.parquet")` or any other reader of parquet opens all of them at once. An answer that is not
text is written as JSON.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

from rlvr.runfolder.files import whole_file
from rlvr.types import Group
from verifiers.values import as_text


def write_ledger(path: Path, step: int, groups: Sequence[Group]) -> None:
    """Write the rollouts of one step to `path`."""
    rows = []
    flat = [(index, group, rollout) for index, group in enumerate(groups) for rollout in group.rollouts]
    for index, group, rollout in flat:
        verdict = rollout.verdict
        rows.append(
            {
                "step": step,
                "group": index,
                "draw": group.draw,
                "problem_id": group.problem.id,
                "source": group.problem.source,
                "cohort": group.problem.cohort,
                "prompt": group.problem.prompt[-1]["content"],
                "answer": as_text(group.problem.answer),
                "completion": rollout.text,
                "status": verdict.status if verdict else None,
                "extracted": verdict.extracted if verdict else None,
                "detail": verdict.detail if verdict else None,
                "reward": rollout.reward,
                "solved": rollout.solved,
                "parts": json.dumps(dict(verdict.parts)) if verdict and verdict.parts else None,
                "shaping": rollout.shaping,
                "advantage": rollout.advantage,
                "tokens": rollout.sampled_tokens,
                "finish": rollout.finish,
                "policy_version": rollout.policy_version,
            }
        )
    with whole_file(path) as partial:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=SCHEMA), partial)


SCHEMA = pyarrow.schema(
    [
        ("step", pyarrow.int32()),
        ("group", pyarrow.int32()),
        ("draw", pyarrow.int64()),
        ("problem_id", pyarrow.string()),
        ("source", pyarrow.string()),
        ("cohort", pyarrow.string()),
        ("prompt", pyarrow.string()),
        ("answer", pyarrow.string()),
        ("completion", pyarrow.string()),
        ("status", pyarrow.string()),
        ("extracted", pyarrow.string()),
        ("detail", pyarrow.string()),
        ("reward", pyarrow.float32()),
        ("solved", pyarrow.bool_()),
        ("parts", pyarrow.string()),
        ("shaping", pyarrow.float32()),
        ("advantage", pyarrow.float32()),
        ("tokens", pyarrow.int32()),
        ("finish", pyarrow.string()),
        ("policy_version", pyarrow.int32()),
    ]
)
