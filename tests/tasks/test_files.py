"""Files as people have them: every value as it was written, every form that a source may have."""

import bz2
import gzip
import json
import lzma
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tasks.files import open_file
from tasks.rows import files_of, load_rows
from verifiers.values import json_text

LINES = '{"q": "a", "a": 0.10}\n\n{"q": "b", "a": 12345678901234567890, "extra": true}\r\n{"q": "c", "a": 1e-7}'


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_json_lines_keep_digits_and_types_and_may_have_different_columns(tmp_path: Path) -> None:
    rows = load_rows(str(written(tmp_path, "a.jsonl", LINES)), "train")
    assert [json_text(row["a"]) for row in rows] == ["0.10", "12345678901234567890", "1e-7"]
    assert [sorted(row) for row in rows] == [["a", "q"], ["a", "extra", "q"], ["a", "q"]]
    assert json_text(rows[-1]["a"]) == "1e-7"


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), ("", bytes)]
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.ndjson"])
def test_compressed_lines_are_the_same_rows(tmp_path: Path, name: str, suffix: str, compress: Any) -> None:
    rows = load_rows(str(written(tmp_path, name + suffix, compress(b"\xef\xbb\xbf" + LINES.encode()))), "train")
    assert [row["q"] for row in rows] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text",
    [
        '[{"q": "a", "n": 1.50}, {"q": "b", "n": 2}]',
        '{"q": ["a", "b"], "n": [1.50, 2]}',
        '[\n  {"q": "a", "n": 1.50},\n  {"q": "b", "n": 2}\n]',
    ],
)
def test_a_json_file_holds_a_list_or_columns(tmp_path: Path, text: str) -> None:
    rows = load_rows(str(written(tmp_path, "a.json", text)), "train")
    assert json_text(list(rows)) == '[{"q": "a", "n": 1.50}, {"q": "b", "n": 2}]'


def test_cells_of_a_csv_file_stay_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\ufeffid,date,n,note\n007,2020-01-02,0.10,"two\nlines, quoted"\n,,1,\n')
    assert list(load_rows(str(path), "train")) == [
        {"id": "007", "date": "2020-01-02", "n": "0.10", "note": "two\nlines, quoted"},
        {"id": None, "date": None, "n": "1", "note": None},
    ]
    tabs = written(tmp_path, "a.tsv", "q\ta\n1,5\t2\n")
    assert list(load_rows(str(tabs), "train")) == [{"q": "1,5", "a": "2"}]


def test_a_line_with_too_many_cells_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "q,a\n1,2\n1,2,3\n")
    with pytest.raises(ValueError, match=r"cannot be read as csv: line 3: got 3 cells, expected 2: q, a"):
        load_rows(str(path), "train")


def test_typed_columns_arrive_as_plain_values(tmp_path: Path) -> None:
    row = {"m": [{"role": "user", "content": "x"}], "d": Decimal("1.10"), "t": date(2020, 1, 2), "b": b"\x01", "n": 2}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    (read,) = load_rows(str(tmp_path / "a.parquet"), "train")
    assert json_text(read) == (
        '{"m": [{"role": "user", "content": "x"}], "d": 1.10, "t": "2020-01-02", "b": "01", "n": 2}'
        if list(read["m"][0]) == ["role", "content"]
        else json_text({**row, "d": read["d"], "t": "2020-01-02", "b": "01", "m": read["m"]})
    )
    assert str(read["d"]) == "1.10"


def test_a_glob_and_a_list_join_their_files_in_order(tmp_path: Path) -> None:
    for number in (2, 1, 3):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"n": number}]), tmp_path / f"part-{number}.parquet")
    glob = str(tmp_path / "part-*.parquet")
    assert [row["n"] for row in load_rows(glob, "train")] == [1, 2, 3]
    two = [str(tmp_path / "part-3.parquet"), str(written(tmp_path, "a.jsonl", '{"n": 9}'))]
    rows = load_rows(two, "train")
    assert ([row["n"] for row in rows], rows[1]["n"], rows[-1]["n"]) == ([3, 9], 9, 9)
    assert [path.name for path in files_of([glob, two[1]], "train")] == [
        "part-1.parquet", "part-2.parquet", "part-3.parquet", "a.jsonl",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no file has such a name"):
        load_rows(str(tmp_path / "none-*.parquet"), "train")


def test_a_folder_holds_splits_by_the_names_of_its_files(tmp_path: Path) -> None:
    written(tmp_path, "data/train-0.jsonl", '{"n": 0.10}')
    written(tmp_path, "data/train-1.jsonl", '{"n": 2}')
    written(tmp_path, "data/test.jsonl", '{"n": 3}')
    assert json_text([row["n"] for row in load_rows(str(tmp_path / "data"), "train")]) == "[0.10, 2]"
    assert [row["n"] for row in load_rows(str(tmp_path / "data"), "test")] == [3]
    with pytest.raises(ValueError, match="has no split 'validation'; it has: train, test"):
        load_rows(str(tmp_path / "data"), "validation")


def test_a_folder_of_save_to_disk_is_read(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    whole = Dataset.from_list([{"n": n} for n in range(4)])
    whole.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": whole, "dev": whole.select([3])}).save_to_disk(str(tmp_path / "many"))
    assert [row["n"] for row in load_rows(str(tmp_path / "one"), "train[1:3]")] == [1, 2]
    assert [row["n"] for row in load_rows(str(tmp_path / "many"), "dev")] == [3]
    with pytest.raises(ValueError, match="has no split 'test'; it has: train, dev"):
        load_rows(str(tmp_path / "many"), "test")


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train[:3]", [0, 1, 2]),
        ("train[-2:]", [8, 9]),
        ("train[50%:]", [5, 6, 7, 8, 9]),
        ("train[:1]+train[-1:]", [0, 9]),
        ("train[:1000]", list(range(10))),
        ("whatever", list(range(10))),
    ],
)
def test_a_split_may_take_a_part_of_a_file(tmp_path: Path, split: str, expected: list[int]) -> None:
    path = written(tmp_path, "a.jsonl", "\n".join(json.dumps({"n": n}) for n in range(10)))
    rows = load_rows(str(path), split)
    assert [row["n"] for row in rows] == expected
    assert rows[len(rows) - 1]["n"] == expected[-1]


def test_a_split_that_takes_nothing_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.jsonl", '{"n": 1}'))
    with pytest.raises(ValueError, match=r"has 1 rows, and 'train\[5:\]' takes none of them"):
        load_rows(path, "train[5:]")
    with pytest.raises(ValueError, match=r"got the split 'train\[x\]', expected something like train\[:1000\]"):
        load_rows(path, "train[x]")


def test_a_file_is_opened_once_until_it_changes(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"n": 1}')
    first = open_file(path)
    assert open_file(path) is first
    path.write_text('{"n": 22}\n{"n": 3}')
    assert [row["n"] for row in open_file(path)] == [22, 3]


def test_a_compression_that_needs_a_package_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl.zst", b"(\xb5/\xfd")
    with pytest.raises(ValueError, match=r"cannot be read as json: .*(zstandard|zstd|Zstd|frame)"):
        load_rows(str(path), "train")


def test_a_line_that_is_not_utf8_or_no_object_is_named(tmp_path: Path) -> None:
    rows = load_rows(str(written(tmp_path, "a.jsonl", b'{"n": 1}\n{"n": "\xff"}\n[1]\n')), "train")
    assert rows[0] == {"n": 1}
    with pytest.raises(ValueError, match="line 2: is not UTF-8 text"):
        rows[1]
    with pytest.raises(ValueError, match=r"line 3: got '\[1\]', expected a JSON object"):
        rows[2]
