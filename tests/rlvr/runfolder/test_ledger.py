"""Every completion with all that is known of it, in parquet."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet

from rlvr.runfolder.ledger import SCHEMA, write_ledger
from rlvr.types import Group, Rollout
from tasks import Problem
from verifiers import Verdict
from verifiers.values import Numeral

PROBLEM = Problem(
    "p-7",
    ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 3?"}),
    "5",
    source="toy",
    cohort="easy",
)
RIGHT = Rollout(
    [1, 2],
    [3, 4, 5],
    [True, False, True],
    [-0.5, 0.0, -0.25],
    "stop",
    policy_version=4,
    text="#### 5",
    verdict=Verdict(1.0, "correct", extracted="5", detail="equal numbers"),
    reward=1.0,
    shaping=-0.25,
    advantage=0.5,
)
UNJUDGED = Rollout([1, 2], [3], [True], [-0.5], "length", policy_version=3, text="…")


def test_a_row_holds_the_problem_the_completion_its_verdict_and_what_it_was_worth(tmp_path: Path) -> None:
    write_ledger(tmp_path / "step.parquet", 9, [Group(PROBLEM, (RIGHT,), draw=12)])
    (row,) = pyarrow.parquet.read_table(tmp_path / "step.parquet").to_pylist()
    assert row == {
        "step": 9,
        "group": 0,
        "draw": 12,
        "problem_id": "p-7",
        "source": "toy",
        "cohort": "easy",
        "prompt": "2 + 3?",
        "answer": "5",
        "completion": "#### 5",
        "status": "correct",
        "extracted": "5",
        "detail": "equal numbers",
        "reward": 1.0,
        "solved": True,
        "parts": None,
        "shaping": -0.25,
        "advantage": 0.5,
        "tokens": 2,  # those that the policy chose
        "finish": "stop",
        "policy_version": 4,
    }


def test_what_is_not_known_is_null_and_no_number(tmp_path: Path) -> None:
    write_ledger(tmp_path / "step.parquet", 9, [Group(PROBLEM, (RIGHT,)), Group(PROBLEM, (UNJUDGED, RIGHT))])
    rows = pyarrow.parquet.read_table(tmp_path / "step.parquet").to_pylist()
    assert [row["group"] for row in rows] == [0, 1, 1]
    unknown = {name for name, value in rows[1].items() if value is None}
    assert unknown == {"status", "extracted", "detail", "reward", "advantage", "solved", "parts"}
    assert (rows[1]["completion"], rows[1]["finish"]) == ("…", "length")


def test_a_step_without_completions_has_the_same_columns(tmp_path: Path) -> None:
    write_ledger(tmp_path / "step.parquet", 9, [])
    table = pyarrow.parquet.read_table(tmp_path / "step.parquet")
    assert table.num_rows == 0
    assert table.schema.equals(SCHEMA)


def test_a_step_that_is_taken_again_is_written_anew(tmp_path: Path) -> None:
    write_ledger(tmp_path / "step.parquet", 9, [Group(PROBLEM, (RIGHT, RIGHT))])
    write_ledger(tmp_path / "step.parquet", 9, [Group(PROBLEM, (UNJUDGED,))])
    assert pyarrow.parquet.read_table(tmp_path / "step.parquet")["completion"].to_pylist() == ["…"]


def test_an_answer_that_is_not_text_is_written_as_json(tmp_path: Path) -> None:
    answers = [Numeral("0.10"), ["a", 2], {"b": True}, 12345678901234567890]
    groups = [Group(replace(PROBLEM, answer=answer), (RIGHT,)) for answer in answers]
    write_ledger(tmp_path / "step.parquet", 9, groups)
    rows = pyarrow.parquet.read_table(tmp_path / "step.parquet").to_pylist()
    assert [row["answer"] for row in rows] == ["0.10", '["a", 2]', '{"b": true}', "12345678901234567890"]
