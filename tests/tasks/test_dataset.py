"""Tables of one's own: their layouts, what is held out of them, and the errors for those that cannot be used."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks import make_task
from tasks.registry import sources_of
from verifiers import verify_batch
from verifiers.values import json_text


def table(tmp_path: Path, count: int, empty: int = -1, name: str = "rows.jsonl") -> Path:
    path = tmp_path / name
    rows = [{"question": f"1+{n}?", "answer": "" if n == empty else str(n + 1)} for n in range(count)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize(("rows", "held_out"), [(2, 1), (10, 2), (11, 3), (2560, 512), (4000, 512)])
def test_a_fifth_of_the_rows_is_held_out_and_512_at_most(tmp_path: Path, rows: int, held_out: int) -> None:
    task = make_task("dataset", {"train": str(table(tmp_path, rows))}, seed=0)
    kept_back = task.held_out(10_000)
    assert len(kept_back) == held_out
    assert [problem.prompt[0]["content"] for problem in kept_back[:3]] == ["1+0?", "1+5?", "1+10?"][:held_out]
    trained_on = {task.problem(number).answer for number in range(rows - held_out)}
    assert trained_on.isdisjoint(problem.answer for problem in kept_back)
    assert len(trained_on) == rows - held_out


def test_one_row_cannot_be_split(tmp_path: Path) -> None:
    task = make_task("dataset", {"train": str(table(tmp_path, 1))}, seed=0)
    with pytest.raises(ValueError, match=r"has 1 rows with 1 different questions, and 1 are held out"):
        task.problem(0)


def test_an_empty_answer_is_found_when_the_rows_are_loaded(tmp_path: Path) -> None:
    whole, holed = table(tmp_path, 50), table(tmp_path, 50, empty=37, name="holed.jsonl")
    with pytest.raises(ValueError, match=r"row train-37: column 'answer' is empty; expected the ground truth"):
        make_task("dataset", {"train": str(holed)}, seed=0).problem(0)
    tested = make_task("dataset", {"train": str(whole), "test": str(holed)}, seed=0)
    with pytest.raises(ValueError, match=r"row test-37: column 'answer' is empty"):
        tested.held_out(1)


def test_a_text_that_yaml_leaves_empty_is_empty(tmp_path: Path) -> None:
    knobs = {"train": str(table(tmp_path, 10)), "test": None, "cohort_column": None}
    assert len(make_task("dataset", knobs, seed=0).held_out(10)) == 2


def test_an_empty_solution_is_no_solution(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "q", "answer": "1", "why": null}\n{"question": "q", "answer": "1", "why": "so 1"}\n')
    task = make_task("dataset", {"train": str(path), "test": str(path), "solution_column": "why"}, seed=0)
    assert [problem.solution for problem in task.held_out(2)] == [None, "so 1"]


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", ""), ("b.jsonl", "\n"), ("c.csv", "question,answer\n")])
def test_a_table_without_rows_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name}' has no rows; expected at least one, as (json|csv)$"):
        make_task("dataset", {"train": str(tmp_path / name)}, seed=0).problem(0)


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    with pytest.raises(ValueError, match=r"notes.txt' has an unknown extension: expected .jsonl, .json"):
        make_task("dataset", {"train": str(notes)}, seed=0).problem(0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"held_out_rows": -1}, "the task 'dataset': held_out_rows: got -1, expected at least 0"),
        ({"held_out_rows": "many"}, "the task 'dataset': held_out_rows: got 'many', expected a whole number"),
        ({"question_column": 3}, "the task 'dataset': question_column: got 3, expected text"),
        ({}, "the task 'dataset': train: is missing"),
    ],
)
def test_a_knob_of_the_wrong_type_is_refused_in_plain_words(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_task("dataset", {"train": "rows.jsonl", **knobs} if knobs else {}, seed=0)


def test_a_module_with_a_mistake_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_task_1.py").write_text("class Mine(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"'my_task_1:Mine' cannot .*SyntaxError: invalid syntax \(my_task_1.py, line"):
        make_task("my_task_1:Mine", {}, seed=0)


def lines(tmp_path: Path, rows: list[Any], name: str = "rows.jsonl") -> str:
    path = tmp_path / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


def asked(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def test_verls_layout_is_read_with_nested_names(tmp_path: Path) -> None:
    rows = [
        {
            "data_source": "math_dapo",
            "prompt": asked(f"{n}+1?"),
            "ability": "MATH",
            "reward_model": {"ground_truth": str(n + 1), "style": "rule"},
            "extra_info": {"index": n},
        }
        for n in range(10)
    ]
    knobs = {"question_column": "prompt", "answer_column": "reward_model.ground_truth", "cohort_column": "data_source"}
    problem = make_task("dataset", {"train": lines(tmp_path, rows), **knobs}, seed=0).held_out(1)[0]
    assert (problem.prompt, problem.answer, problem.cohort) == (
        ({"role": "user", "content": "0+1?"},),
        "1",
        "math_dapo",
    )
    assert problem.columns == rows[0]
    assert problem.context["extra_info"] == {"index": 0}
    assert problem.context["prompt"] == problem.prompt  # what the policy read, and not the column


def test_the_same_rows_in_parquet_are_the_same_problems(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"prompt": asked(f"{n}+1?"), "reward_model": {"ground_truth": str(n + 1)}} for n in range(10)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    knobs = {"question_column": "prompt", "answer_column": "reward_model.ground_truth"}
    one, two = (
        make_task("dataset", {"train": file, **knobs}, seed=0)
        for file in (lines(tmp_path, rows), str(tmp_path / "rows.parquet"))
    )
    assert [p.prompt for p in one.held_out(9)] == [p.prompt for p in two.held_out(9)]
    assert one.problem(3).answer == two.problem(3).answer


def test_rows_without_an_answer_are_for_verifiers_that_need_none(tmp_path: Path) -> None:
    path = lines(tmp_path, [{"prompt": f"Write about {n}.", "length": n} for n in range(10)])
    for nothing in ("", None):
        task = make_task("dataset", {"train": path, "question_column": "prompt", "answer_column": nothing}, seed=0)
        assert (task.held_out(1)[0].answer, task.held_out(1)[0].context["length"]) == ("", 0)
    with pytest.raises(ValueError, match="has no column 'answer'; it has: prompt, length"):
        make_task("dataset", {"train": path, "question_column": "prompt"}, seed=0).problem(0)


def test_a_system_message_of_a_row_stays_and_the_recipes_is_for_the_others(tmp_path: Path) -> None:
    own = [{"role": "system", "content": "Own."}]
    rows = [{"question": [*(own if n < 2 else []), *asked(f"{n}?")], "answer": n} for n in range(10)]
    task = make_task("dataset", {"train": lines(tmp_path, rows), "system": "Recipe.", "instruction": "Go."}, seed=0)
    problems = [task.problem(n) for n in range(8)] + task.held_out(9)
    assert {p.columns["answer"]: p.prompt[0]["content"] for p in problems} == {
        n: "Own." if n < 2 else "Recipe." for n in range(10)
    }
    assert all(len(p.prompt) == 2 and p.prompt[1]["content"].endswith("?\nGo.") for p in problems)
    assert any("2 of 10 rows have a system message of their own and keep it" in note for note in task.notes())
    everywhere = lines(tmp_path, [{"question": [*own, *asked("?" * n)], "answer": n} for n in range(1, 9)], "b.jsonl")
    with pytest.raises(ValueError, match=r"each row has a system message of its own, so task\.system would never"):
        make_task("dataset", {"train": everywhere, "system": "Recipe."}, seed=0).problem(0)
    assert make_task("dataset", {"train": everywhere}, seed=0).problem(0).prompt[0]["content"] == "Own."


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ([], "column 'question' is empty"),
        ([{"role": "user"}], r"row train-1, field 'question\[0\]"),
        (
            [*asked("q"), {"role": "assistant", "content": "a"}],
            r"field 'question\[1\].role': got 'assistant'",
        ),
        ({"text": "q"}, r"row train-1, field 'question\[0\]'"),
    ],
)
def test_messages_that_are_no_prompt_are_refused_with_their_row(tmp_path: Path, question: Any, said: str) -> None:
    rows = [{"question": "q", "answer": "1"}, {"question": question, "answer": "2"}]
    with pytest.raises(ValueError, match=said):
        make_task("dataset", {"train": lines(tmp_path, rows)}, seed=0).problem(0)


def test_an_answer_of_any_type_arrives_digit_for_digit(tmp_path: Path) -> None:
    written = [
        "0.10",
        "1e-7",
        "12345678901234567890123",
        "true",
        '["a", 2, 2.50]',
        '{"a": 1.0}',
        '"007"',
        "[]",
        "{}",
        "0",
        "1",
        "2.5",
    ]
    path = lines(tmp_path, [f'{{"question": "q{n}", "answer": {text}}}' for n, text in enumerate(written)])
    task = make_task("dataset", {"train": path}, seed=0)
    answers = {p.prompt[0]["content"]: p.answer for p in [task.problem(n) for n in range(9)] + task.held_out(9)}
    assert [json_text(answers[f"q{n}"]) for n in range(len(written))] == written
    assert [type(answers[f"q{n}"]) for n in range(2, 10)] == [int, bool, list, dict, str, list, dict, int]


def test_a_text_that_is_a_list_of_messages_in_json_is_messages(tmp_path: Path) -> None:
    written = [json.dumps(asked("a?")), '[{"role": "user"}]', "[{x}] is what?"]
    path = lines(tmp_path, [{"question": text, "answer": "1"} for text in written] * 2)
    task = make_task("dataset", {"train": path, "held_out_rows": 0}, seed=0)
    assert {task.problem(number).prompt[0]["content"] for number in range(6)} == {"a?", *written[1:]}


def test_names_with_dots_and_entries_of_lists_are_found(tmp_path: Path) -> None:
    rows = [{"q.text": f"{n}?", "a": {"b": [[n], n]}, "a.b": {"0": "mine"}} for n in range(10)]
    path = lines(tmp_path, rows)

    def answer(column: str) -> Any:
        return (
            make_task("dataset", {"train": path, "question_column": "q.text", "answer_column": column}, 0)
            .held_out(2)[1]
            .answer
        )

    assert [answer("a.b.0"), answer("a.b.1"), answer("a"), answer("a.b.1")] == ["mine", 5, {"b": [[5], 5]}, 5]
    with pytest.raises(ValueError, match=r"has no column 'a.c'; a has: b. Name"):
        answer("a.c")


def test_a_question_that_is_repeated_is_never_both_held_out_and_trained_on(tmp_path: Path) -> None:
    """As in the public set of 17 thousand prompts in which each is there a hundred times."""
    rows = [{"question": f"1 + {n % 17}?{' ' * (n % 3)}", "answer": str(n % 17 + 1), "copy": n} for n in range(1700)]
    task = make_task("dataset", {"train": lines(tmp_path, rows)}, seed=0)
    held_out = {p.answer for p in task.held_out(1000)}
    assert len(held_out) == len(task.held_out(1000)) == 4
    trained = Counter(task.problem(number).answer for number in range(1300))
    assert set(trained) == {str(n + 1) for n in range(17)} - held_out
    assert set(trained.values()) == {100}  # repeated rows stay in training
    assert task.notes() == (
        f"{tmp_path}/rows.jsonl: 1700 rows ask 17 different questions; training keeps the repeated ones",
        f"{tmp_path}/rows.jsonl: 4 of 17 different questions are held out, and 1300 rows are trained on",
    )


def test_rows_that_are_in_the_test_set_are_not_trained_on_unless_the_recipe_says_so(tmp_path: Path) -> None:
    train = lines(tmp_path, [{"question": f"{n}?", "answer": str(n)} for n in range(20)])
    test = lines(tmp_path, [{"problem": f" {n}?\n", "target": {"value": n}} for n in range(15, 25)], "test.jsonl")
    columns = {"question": "problem", "answer": "target.value"}
    task = make_task("dataset", {"train": train, "test": test, "test_columns": columns}, seed=0)
    assert [p.answer for p in task.held_out(99)] == list(range(15, 25))
    assert {task.problem(number).answer for number in range(30)} == {str(n) for n in range(15)}
    (note,) = task.notes()
    assert note.endswith(f"5 of 20 rows ask a question of the test set {test}, and are left out of training")
    kept = make_task("dataset", {"train": train, "test": test, "test_columns": columns, "overlap": "keep"}, seed=0)
    assert len({kept.problem(number).answer for number in range(20)}) == 20
    assert kept.notes()[0].endswith("and are trained on (overlap: keep)")


def test_held_out_rows_beside_a_test_set_are_said_to_be_unused(tmp_path: Path) -> None:
    files = {"train": str(table(tmp_path, 9)), "test": str(table(tmp_path, 3, name="test.jsonl"))}
    (note, _) = make_task("dataset", {**files, "held_out_rows": 4}, seed=0).notes()
    assert note.startswith("held_out_rows: 4 is not used, since the held-out problems are those of the test set ")


def test_a_file_that_is_its_own_test_set_is_evaluated_on_and_not_trained_on(tmp_path: Path) -> None:
    path = lines(tmp_path, [{"question": f"{n}?", "answer": str(n)} for n in range(5)])
    task = make_task("dataset", {"train": path, "test": path}, seed=0)
    assert len(task.held_out(9)) == 5
    with pytest.raises(ValueError, match=r"each of its questions is in the test set .* or set task\.overlap=keep"):
        task.problem(0)


def test_rows_added_at_the_end_of_a_file_keep_what_is_held_out(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "answer": str(n)} for n in range(60)]
    before = make_task("dataset", {"train": lines(tmp_path, rows[:23])}, seed=0)
    held_out = [p.answer for p in before.held_out(99)]
    after = make_task("dataset", {"train": lines(tmp_path, rows)}, seed=0)  # the same file, which has changed
    assert [p.answer for p in after.held_out(99)][: len(held_out)] == held_out
    assert len(after.held_out(99)) == 12
    assert not set(held_out) & {after.problem(n).answer for n in range(100)}


def test_rows_are_read_once_for_equal_tasks(tmp_path: Path) -> None:
    knobs = {"train": lines(tmp_path, [{"question": f"{n}?", "answer": str(n)} for n in range(9)])}
    one, two = (make_task("dataset", knobs, seed=seed) for seed in (0, 1))
    other = make_task("dataset", {**knobs, "instruction": "x"}, seed=0)
    assert one._train is two._train  # type: ignore[attr-defined]
    assert other._train is not one._train  # type: ignore[attr-defined]
    assert other._train.rows is one._train.rows  # type: ignore[attr-defined]


def test_a_task_names_its_files(tmp_path: Path) -> None:
    train, test = lines(tmp_path, [{"question": "a", "answer": "1"}]), lines(tmp_path, [], "test.jsonl")
    assert make_task("dataset", {"train": [train, train], "test": test}, seed=0).sources() == (train, test)  # type: ignore[attr-defined]
    assert sources_of(make_task("arithmetic", {}, seed=0)) == ()


def test_a_row_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    path = lines(tmp_path, [{"question": "a", "answer": "1"}, {"question": "b"}, {"answer": "1"}])
    with pytest.raises(ValueError, match="row train-1: column 'answer' is empty"):
        make_task("dataset", {"train": path}, seed=0).problem(0)


def test_a_verifier_of_a_task_may_have_settings(tmp_path: Path) -> None:
    spec = {"name": "numeric", "absolute": 0.5}
    rows = [{"question": f"{n}?", "answer": n} for n in range(5)]
    task = make_task("dataset", {"train": lines(tmp_path, rows), "verifier": spec}, seed=0)
    assert task.problem(0).verifier == spec


def test_a_task_says_how_many_rows_it_trains_on(tmp_path: Path) -> None:
    path = lines(tmp_path, [{"question": f"{n}?", "answer": n} for n in range(20)])
    task = make_task("dataset", {"train": path}, seed=0)
    assert task.training_rows() == 16  # type: ignore[attr-defined]
    assert len({task.problem(number).id for number in range(16)}) == 16
    assert make_task("countdown", {}, seed=0).training_rows() is None  # type: ignore[attr-defined]


def test_columns_that_a_task_fixes_cannot_differ_in_the_test_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the task 'mbpp': test_columns: this task has no question_column that could"):
        make_task("mbpp", {"train": "a.jsonl", "test": "b.jsonl", "test_columns": {"question": "x"}}, seed=0)


def test_a_subclass_with_another_format_is_held_out_by_content_too(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "my_task_2.py").write_text(
        "from dataclasses import dataclass\n"
        "from tasks.dataset import DatasetTask\n\n"
        "@dataclass(frozen=True)\n"
        "class Mine(DatasetTask):\n"
        "    def ground_truth(self, answer, id, source):\n"
        "        return str(answer).upper()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = lines(tmp_path, [{"question": f"{n % 5}?", "answer": f"a{n % 5}"} for n in range(20)])
    task = make_task("my_task_2:Mine", {"train": path}, seed=0)
    assert [p.answer for p in task.held_out(5)] == ["A0"]
    assert {task.problem(number).answer for number in range(16)} == {"A1", "A2", "A3", "A4"}
    assert task.problem(0).columns["answer"].startswith("a")


def test_columns_that_cannot_be_arguments_are_in_columns_only(tmp_path: Path) -> None:
    names = ("self", "completion", "answer", "columns", "class", "a b", "prompt", "level")
    path = lines(tmp_path, [{"question": f"{n}?", **dict.fromkeys(names, 1)} for n in range(5)])
    problem = make_task("dataset", {"train": path}, seed=0).problem(0)
    assert problem.context.keys() == {"question", "level", "prompt", "problem_id", "columns"}
    assert problem.columns.keys() == {"question", *names}
    (verdict,) = verify_batch([("c", 1, problem.context)], "tests.verifiers.columns:gets_everything")
    assert verdict.detail == "columns,level,problem_id,prompt,question"
