"""Held to the real rows where `RLVR_DATA` names their folder; to four rows in the same form where it does not."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tasks.gsm8k import GSM8K
from tasks.registry import make_task
from tasks.rows import load_rows
from verifiers import verify_batch


@pytest.fixture
def gsm8k(data: Path) -> GSM8K:
    return GSM8K(train=str(data / "gsm8k_train.jsonl"), test=str(data / "gsm8k_test.jsonl"), subset=None)


def trained(gsm8k: GSM8K) -> int:
    """The number of training rows: all of them, since no question of the test set is among them."""
    return len(load_rows(gsm8k.train, "train"))


def test_all_rows_load_and_every_ground_truth_parses(gsm8k: GSM8K, has_all_data: bool) -> None:
    test, count = gsm8k.held_out(10_000), trained(gsm8k)
    assert (len(test), count) == ((1319, 7473) if has_all_data else (4, 4))
    for problem in [*test, *(gsm8k.problem(number) for number in range(count))]:
        float(problem.answer)
        assert problem.solution
        assert "<<" not in problem.solution
    assert len({gsm8k.problem(number).id for number in range(count)}) == count


@pytest.mark.parametrize("instruction", [GSM8K.instruction, "End with #### and the number."])
def test_each_official_solution_is_judged_correct(data: Path, gsm8k: GSM8K, instruction: str) -> None:
    task = GSM8K(gsm8k.train, gsm8k.test, subset=None, instruction=instruction)
    problems = task.held_out(10_000)
    verdicts = verify_batch([(problem.solution or "", problem.answer) for problem in problems])
    wrong = [(p.id, v) for p, v in zip(problems, verdicts, strict=True) if v.score != 1.0]
    assert wrong == []


def test_the_neighbours_answer_is_judged_wrong(gsm8k: GSM8K) -> None:
    problems = gsm8k.held_out(10_000)
    shifted = [*problems[1:], problems[0]]
    pairs = [
        (a.solution or "", b.answer)
        for a, b in zip(problems, shifted, strict=True)
        if float(a.answer) != float(b.answer)
    ]
    assert all(verdict.score == 0.0 for verdict in verify_batch(pairs))


def test_the_question_carries_the_instruction_and_a_system_message_opens_the_chat(data: Path) -> None:
    knobs = {
        "train": str(data / "gsm8k_train.jsonl"),
        "test": "",
        "subset": None,
        "held_out_rows": 1,
        "system": "Think.",
    }
    problem = make_task("gsm8k", knobs, seed=0).problem(0)
    assert problem.prompt[0] == {"role": "system", "content": "Think."}
    assert problem.prompt[1]["content"].endswith("\\boxed{}.")


def test_each_pass_has_an_order_of_its_own_and_every_row_once(data: Path, gsm8k: GSM8K) -> None:
    count = trained(gsm8k)
    first, second = ([gsm8k.problem(epoch * count + n).id for n in range(count)] for epoch in range(2))
    assert sorted(first) == sorted(second)
    assert count < 10 or first != second


def test_parquet_files_load_like_jsonl(data: Path, gsm8k: GSM8K, tmp_path: Path) -> None:
    rows = list(load_rows(gsm8k.test, "test"))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "test.parquet")
    again = GSM8K(gsm8k.train, str(tmp_path / "test.parquet"), subset=None)
    assert [p.answer for p in again.held_out(5)] == [p.answer for p in gsm8k.held_out(5)]


def rows_file(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows))
    return str(path)


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = rows_file(tmp_path, '{"problem": "1+1?", "answer": "#### 2"}')
    with pytest.raises(ValueError, match="has no column 'question'; it has: problem, answer"):
        GSM8K(path, path, subset=None).problem(0)


def test_a_row_without_an_answer_is_named(tmp_path: Path) -> None:
    path = rows_file(tmp_path, '{"question": "1+1?", "answer": "two"}')
    with pytest.raises(ValueError, match=r"row train-0: expected an answer that ends in '#### number', got 'two'"):
        GSM8K(path, path, subset=None).problem(0)
    path = rows_file(tmp_path, '{"question": "1+1?", "answer": null}')
    with pytest.raises(ValueError, match="row train-0: column 'answer' is empty"):
        GSM8K(path, path, subset=None).problem(0)


def test_a_file_that_is_not_there_or_not_readable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no such file"):
        GSM8K(str(tmp_path / "no.jsonl"), subset=None).problem(0)
    good = '{"question": "1+1?", "answer": "#### 2"}\n'
    for broken, why in (('{"question": ', "which is not JSON"), ('["1+1?", "#### 2"]', "expected a JSON object")):
        path = rows_file(tmp_path, good + "\n" + broken + "\n" + good)
        with pytest.raises(ValueError, match=f"cannot be read as json: line 3: got .*, {why}"):
            GSM8K(path, path, subset=None).problem(0)


def test_a_knob_or_task_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'instruction'"):
        make_task("gsm8k", {"instrution": "x"}, seed=0)
    with pytest.raises(ValueError, match="did you mean 'gsm8k'"):
        make_task("gsm8", {}, seed=0)
