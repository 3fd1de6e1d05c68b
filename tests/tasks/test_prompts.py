"""Named prompts, formats, and worked examples before the question."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks import Problem, make_task
from tasks.prompts import PROMPTS, filled, find_prompt


def task_of(tmp_path: Path, rows: list[dict[str, Any]] | None = None, **knobs: Any) -> Any:
    path = tmp_path / "rows.jsonl"
    rows = rows or [{"question": f"{n}+1?", "answer": n + 1, "level": n, "meta": {"unit": "cm"}} for n in range(10)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return make_task("dataset", {"train": str(path), **knobs}, seed=0)


def texts(problem: Problem) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in problem.prompt]


def test_a_named_prompt_is_the_papers(tmp_path: Path) -> None:
    (system, user) = texts(task_of(tmp_path, prompt="r1").held_out(1)[0])
    assert system[0] == "system"
    assert "<think> reasoning process here </think> <answer> answer here </answer>" in system[1]
    assert user == ("user", "0+1?")
    boxed = texts(task_of(tmp_path, prompt="boxed").held_out(1)[0])
    assert boxed[0] == ("system", "Please reason step by step, and put your final answer within \\boxed{}.")
    assert texts(task_of(tmp_path, prompt="gsm8k").held_out(1)[0])[0][1].startswith("0+1?\nReason step by step")
    assert texts(task_of(tmp_path, prompt="plain").held_out(1)[0]) == [("user", "0+1?")]
    own = texts(task_of(tmp_path, prompt="boxed", system="Mine.").held_out(1)[0])
    assert own[0] == ("system", "Mine.")
    assert all(prompt.user.count("{question}") == 1 for prompt in PROMPTS.values())


def test_a_format_holds_any_column_and_needs_no_care_for_latex(tmp_path: Path) -> None:
    form = "Level {level}, in {meta.unit}: {question}\nPut it in \\boxed{}, or \\frac{{a}}{{b}}."
    assert texts(task_of(tmp_path, prompt=form).held_out(1)[0]) == [
        ("user", "Level 0, in cm: 0+1?\nPut it in \\boxed{}, or \\frac{a}{b}.")
    ]


def test_a_value_that_holds_braces_is_not_filled_again() -> None:
    assert filled("{question} {a}", {"a": "{b}", "b": "no"}, "{a}") == "{a} {b}"


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"prompt": "bxed"}, r"prompt: got 'bxed', expected one of plain, r1, boxed, gsm8k, or a format that holds"),
        ({"prompt": "{question}", "instruction": "x"}, "prompt and instruction exclude each other"),
        ({"prompt": "{question} {answer}"}, "prompt: names 'answer', the column of the ground truth"),
        ({"examples": [{"question": "q"}]}, r"examples\[0\]: got question, expected question and answer"),
        ({"examples": [{"question": "q", "answer": "a"}], "few_shot": 1}, "examples and few_shot exclude each other"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused_at_once(tmp_path: Path, knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        task_of(tmp_path, **knobs)


def test_a_format_with_a_column_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"names the column 'levle'; it has: question, answer, level, meta. Write \{\{levle\}\}"
    ):
        task_of(tmp_path, prompt="{question} {levle}").problem(0)


def test_examples_come_as_turns_behind_the_system_message(tmp_path: Path) -> None:
    task = task_of(tmp_path, examples=[{"question": "1+1?", "answer": "so 2"}], system="Sys.", instruction="Box it.")
    assert texts(task.held_out(1)[0]) == [
        ("system", "Sys."), ("user", "1+1?\nBox it."), ("assistant", "so 2"), ("user", "0+1?\nBox it."),
    ]  # fmt: skip


def test_few_shot_examples_are_training_rows_and_never_the_question_itself(tmp_path: Path) -> None:
    task = task_of(tmp_path, few_shot=2)
    held_out = {problem.prompt[-1]["content"] for problem in task.held_out(10)}
    assert held_out == {"0+1?", "5+1?"}
    for problem in [task.problem(number) for number in range(8)] + task.held_out(10):
        shown = [content for role, content in texts(problem) if role == "user"]
        assert len(shown) == len(set(shown)) == 3
        assert not held_out & set(shown[:-1])
    assert texts(task.held_out(1)[0])[:4] == [
        ("user", "1+1?"),
        ("assistant", "2"),
        ("user", "2+1?"),
        ("assistant", "3"),
    ]


def test_few_shot_examples_need_enough_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 8 different questions to train on; expected more than task\.few_shot=8"):
        task_of(tmp_path, few_shot=8).problem(0)


def test_finding_a_prompt_by_name_or_format() -> None:
    assert find_prompt("r1") is PROMPTS["r1"]
    assert find_prompt("Q: {question}").user == "Q: {question}"
