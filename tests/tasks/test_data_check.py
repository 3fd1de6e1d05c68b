import subprocess
import sys
from pathlib import Path

from tasks.data_check import check_data
from tests.tasks.test_preferences import assistant, user, write


def pair(prompt: str, chosen: str, rejected: str, **more: object) -> dict[str, object]:
    return {"prompt": [user(prompt)], "chosen": [assistant(chosen)], "rejected": [assistant(rejected)], **more}


def test_preferences_are_counted_measured_and_doubted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "pairs.jsonl",
        pair("q", "a long answer", "short"),
        pair("q", "a long answer", "short"),  # row 2: again
        pair("q", "short", "a long answer"),  # row 3: the opposite of the first two
        pair("r", "same", "same"),  # row 4
        pair("r", "x", "y", score_chosen=1, score_rejected=2),  # row 5
        pair("r", "", "y"),  # row 6: broken
    )
    report = check_data(path)
    assert (report.kind, report.rows, report.passed) == ("preferences", 6, False)
    assert report.broken == [(6, "field 'chosen[0].content': is empty; expected text")]
    assert report.doubtful == {
        "the same row again": [2],
        "best and worst answer are equal": [4],
        "the ratings do not put the best answer first": [5],
        "another row prefers the opposite": [1, 2, 3],
    }
    assert report.figures["rows whose best answer is the longer one"] == "40.0%"
    assert report.figures["form"] == "chats"
    assert report.figures["characters of the best answer"] == "median 5, 95 % at most 13, longest 13"
    assert "    row 6: field 'chosen[0].content': is empty; expected text" in report.lines()


def test_empty_rows_at_the_beginning_do_not_decide_what_a_file_holds(tmp_path: Path) -> None:
    empty = dict.fromkeys(("prompt", "chosen", "rejected"))
    report = check_data(write(tmp_path / "pairs.jsonl", empty, {**empty, "prompt": "q"}, pair("q", "a", "b")))
    assert (report.kind, [row for row, _ in report.broken]) == ("preferences", [1, 2])


def test_conversations_and_unpaired_rows_are_told_apart(tmp_path: Path) -> None:
    talk = {"messages": [user("q"), user("again"), assistant("a")]}
    report = check_data(write(tmp_path / "sft.jsonl", talk, talk))
    assert report.kind == "conversations"
    assert report.doubtful == {"the same row again": [2], "two turns of one role in a row": [1, 2]}
    judged = [{"prompt": "Q:", "completion": " a", "label": label} for label in (True, False, False)]
    report = check_data(write(tmp_path / "kto.jsonl", *judged))
    assert report.kind == "unpaired preferences"
    assert report.figures["wanted"] == "1 of 3"
    assert report.doubtful["the same answer is wanted in one row and unwanted in another"] == [1, 2, 3]
    assert report.doubtful["the same row again"] == [3]


def test_the_command_ends_with_1_where_a_row_is_broken(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", pair("q", "a", "b"), "[]")
    process = subprocess.run([sys.executable, "-m", "rlvr", "data", "check", path], capture_output=True, text=True)
    assert process.returncode == 1
    assert "pairs.jsonl: 2 rows of preferences" in process.stdout
    assert "row 2: field '(the whole line)': expected a JSON object, got list" in process.stdout
    write(tmp_path / "pairs.jsonl", pair("q", "a", "b"))
    process = subprocess.run([sys.executable, "-m", "rlvr", "data", "check", path], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")


def test_questions_with_ground_truths_are_rows_of_a_task(tmp_path: Path) -> None:
    path = write(
        tmp_path / "gsm8k.jsonl",
        {"question": "1+1?", "answer": "one and one\n#### 2"},
        {"question": "1+1?", "answer": "#### 3"},
        {"question": "2+2?", "answer": "#### 4"},
        {"question": "3+3?", "answer": ""},
    )
    report = check_data(path)
    assert (report.kind, report.broken) == ("problems", [(4, "field 'answer': is empty; expected the ground truth")])
    assert report.figures["different questions"] == "2"
    assert report.doubtful == {"the same question again": [2], "the same question has different answers": [1, 2]}
    assert report.figures["use it as a task"].startswith(f"task: {{name: gsm8k, train: {path}}}")
    assert report.figures["or as demonstrations"] == f"trainer: sft with data: {{train: {path}}}"


def test_other_columns_of_problems_are_named_in_the_way_to_use_them(tmp_path: Path) -> None:
    rows = [{"problem": f"{n}+1?", "answer": n + 1, "solution": "add", "level": 3} for n in range(3)]
    report = check_data(write(tmp_path / "math.jsonl", *rows))
    assert (report.kind, report.passed) == ("problems", True)
    assert report.figures["ground truths"] == "int (3)"
    usage = f"task: {{name: dataset, train: {tmp_path / 'math.jsonl'}, question_column: problem}}"
    assert report.figures["use it as a task"] == usage
    assert "form" not in report.figures
    assert "or as demonstrations" not in report.figures


def test_the_real_gsm8k_is_sound(data: Path) -> None:
    report = check_data(str(data / "gsm8k_train.jsonl"))
    assert (report.kind, report.passed) == ("problems", True)
    assert "name: gsm8k" in report.figures["use it as a task"]


def test_every_layout_is_described_as_it_is_read(tmp_path: Path) -> None:
    orca = {"system": "", "question": "q", "chosen": "a", "rejected": "b", "id": 1}
    report = check_data(write(tmp_path / "orca.jsonl", orca, {**orca, "system": "Be brief."}))
    assert (report.kind, report.passed) == ("preferences", True)
    assert report.figures["read as"] == "system, question, chosen and rejected, as messages"
    assert report.figures["not read"] == "id"
    mixed = [{"messages": [user("q"), assistant("a")]}, {"instruction": "q", "input": "", "output": "a"}]
    report = check_data(write(tmp_path / "mixed.jsonl", *mixed))
    assert report.figures["read as"] == "messages (1) | instruction, input and output, as messages (1)"
    assert report.doubtful == {"the same row again": [2]}


def test_the_command_takes_names_of_columns(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from rlvr.cli import app

    path = write(tmp_path / "rows.jsonl", {"ask": "q:", "good": " a", "bad": " b"})
    options = ["--column", "prompt=ask", "--column", "chosen=good", "--column", "rejected=bad", "--texts", "chat"]
    result = CliRunner().invoke(app, ["data", "check", path, *options])
    assert (result.exit_code, "1 rows of preferences" in result.stdout) == (0, True)
    assert "read as: prompt, chosen and rejected, as messages" in result.stdout
    result = CliRunner().invoke(app, ["data", "check", path, "--column", "chosn=good"])
    assert "--column: 'chosn' is not read; did you mean 'chosen'?" in str(result.exception)
