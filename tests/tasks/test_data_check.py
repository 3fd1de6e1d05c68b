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
