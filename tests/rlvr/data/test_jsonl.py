from pathlib import Path

import pytest

from rlvr.data.jsonl import read_jsonl
from rlvr.errors import DataError


def test_objects_come_with_their_lines_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n   \n{"a": "\u2028"}\r\n{"b": null}')
    assert read_jsonl(path) == [(1, {"a": 1}), (4, {"a": "\u2028"}), (5, {"b": None})]


def test_a_file_without_lines_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    assert read_jsonl(path) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}\n[1, 2]\n', r"rows\.jsonl, line 2: got '\[1, 2\]', expected a JSON object"),
        (b'{"a": 1}\n\n{"a": \n', r"rows\.jsonl, line 3: got '\{\"a\": ', which is not JSON: Expecting value"),
        (b'{"a": "\xff"}\n', r"rows\.jsonl is not UTF-8 text \(byte 7\); expected a \.jsonl file"),
    ],
)
def test_what_is_wrong_is_said_with_the_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_jsonl(path)


def test_a_long_line_is_shown_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("x" * 500)
    with pytest.raises(DataError, match=f"got '{'x' * 80}', which is not JSON"):
        read_jsonl(path)


def test_a_file_that_is_not_there_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.jsonl: there is no such file"):
        read_jsonl(tmp_path / "no.jsonl")
    with pytest.raises(DataError, match=r"is a folder; expected a \.jsonl file"):
        read_jsonl(tmp_path)
