"""Finds the rows that a recipe names: files, globs, lists of them, folders, or a data set of the hub."""

import glob
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tasks.columns import Row, value_at
from tasks.files import FORMATS, READERS, Joined, Part, Table, kind_of, open_file

# A hub id, a path, a glob, or several of these.
Source = str | Sequence[str]
# What `datasets.save_to_disk` leaves in a folder.
SAVED = ("dataset_dict.json", "dataset_info.json", "state.json")


def load_rows(source: Source, split: str, subset: str | None = None) -> Sequence[Row]:
    """The rows of a source.

    `source` is a file (`tasks.files` lists the formats), a glob (`data/*.parquet`), a list of these, a folder with one
    or more files of the `split` or saved with `save_to_disk`, or the id of a data set on the hub (`openai/gsm8k`, with
    its `subset`). `split` may take a part: `train[:1000]`, `train[10%:]`; of a single file its name says nothing.

    Raises `ValueError` if there is nothing to read, an extension is unknown, or the hub does not answer; a row that is
    broken raises it when it is looked at.
    """
    if not isinstance(source, str):
        if not source:
            raise ValueError("got an empty list of files, expected at least one")
        return Joined([load_rows(one, split, subset) for one in source])
    if not source:
        raise ValueError("got an empty name of a file, expected a path or a hub id")
    path, name = Path(source).expanduser(), split.partition("[")[0]
    if path.is_file() or kind_of(path) in READERS or is_glob(source):
        rows = [_rows_of(file, source) for file in _files(source)]
        return _part_of(rows[0] if len(rows) == 1 else Joined(rows), split, source)
    if any((path / mark).is_file() for mark in SAVED):
        return _part_of(_saved(path, name), split, source)
    if path.is_dir() and not subset and (files := _files_in(path, name)):
        return _part_of(Joined([_rows_of(file, source) for file in files]), split, source)
    return _loaded(source, split, subset)


def files_of(source: Source, split: str) -> tuple[Path, ...]:
    """The local files that a source reads for a split; none for a data set of the hub."""
    if not isinstance(source, str):
        return tuple(file for one in source for file in files_of(one, split))
    path = Path(source).expanduser()
    if path.is_file() or is_glob(source):
        return tuple(_files(source))
    if path.is_dir():
        named = () if any((path / mark).is_file() for mark in SAVED) else _files_in(path, split.partition("[")[0])
        return tuple(named or sorted(file for file in path.rglob("*") if file.is_file()))
    return ()


def is_glob(source: str) -> bool:
    return glob.has_magic(source) and not Path(source).expanduser().exists()


def _files(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if is_glob(source):
        found = sorted(Path(file) for file in glob.glob(str(path), recursive=True) if Path(file).is_file())
        if not found:
            raise ValueError(f"dataset {source!r}: no file has such a name")
        return found
    if not path.is_file():
        raise ValueError(
            f"dataset {source!r}: there is no such file; expected a file ending in {', '.join(FORMATS)}, "
            "or a hub id such as openai/gsm8k"
        )
    return [path]


def _rows_of(file: Path, source: str) -> Sequence[Row]:
    try:
        return open_file(file)
    except (ValueError, OSError) as error:
        where = f"dataset {source!r}" if file == Path(source).expanduser() else f"dataset {source!r}, file {file}"
        raise ValueError(f"{where} {error}") from error


def _files_in(folder: Path, split: str) -> list[Path]:
    """The tables in a folder that belong to a split by their names, as `datasets` understands these."""
    if (folder / "README.md").is_file() and "configs:" in (folder / "README.md").read_text(errors="replace"):
        return []  # a card that names the files of each split itself
    from datasets.data_files import DataFilesDict, EmptyDatasetError, get_data_patterns

    try:
        named = DataFilesDict.from_patterns(get_data_patterns(str(folder)), base_path=str(folder))
    except (EmptyDatasetError, FileNotFoundError):
        return []
    tables = {
        str(name): [Path(file) for file in files if kind_of(Path(file)) in READERS] for name, files in named.items()
    }
    present = {name: files for name, files in tables.items() if files}
    if present and split not in present:
        raise ValueError(f"dataset {str(folder)!r} has no split {split!r}; it has: {', '.join(present)}")
    return present.get(split, [])


def _saved(folder: Path, split: str) -> Sequence[Row]:
    from datasets import DatasetDict, load_from_disk

    try:
        saved = load_from_disk(str(folder))
    except Exception as error:  # a damaged folder
        raise ValueError(f"dataset {str(folder)!r} cannot be read: {type(error).__name__}: {error}") from error
    if isinstance(saved, DatasetDict):
        if split not in saved:
            raise ValueError(f"dataset {str(folder)!r} has no split {split!r}; it has: {', '.join(saved)}")
        saved = saved[split]
    return Table(saved)


def _loaded(source: str, split: str, subset: str | None) -> Sequence[Row]:
    from datasets import load_dataset  # the import takes a second, which `--help` must not wait for
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        return Table(load_dataset(source, subset, split=split))
    except Exception as error:  # hub errors come from five libraries
        raise ValueError(
            f"dataset {source!r} (split {split!r}) was neither found on the hub nor as a folder: "
            f"{type(error).__name__}: {error}. For a local file give its path, ending in "
            f"{', '.join(FORMATS)}"
        ) from error


def _part_of(rows: Sequence[Row], split: str, source: str) -> Sequence[Row]:
    """The rows that a split expression takes: `train[:1000]`, `train[10%:]`, `train[:50]+train[-50:]`."""
    if "[" not in split and "+" not in split:
        return rows
    from datasets import ReadInstruction

    name = split.partition("[")[0]
    try:
        parts = ReadInstruction.from_spec(split).to_absolute({name: len(rows)})
    except Exception as error:  # whatever the parser of another library does
        raise ValueError(
            f"dataset {source!r}: got the split {split!r}, expected something like {name}[:1000] or "
            f"{name}[10%:]: {error}"
        ) from error
    taken = Joined([Part(rows, range(part.from_ or 0, len(rows) if part.to is None else part.to)) for part in parts])
    if not len(taken):
        raise ValueError(f"dataset {source!r} has {len(rows)} rows, and {split!r} takes none of them")
    return taken


def require_columns(rows: Sequence[Row], columns: Sequence[str], source: Source) -> None:
    """Raise `ValueError` if the first row lacks one of `columns`; the message lists those that exist."""
    if not len(rows):
        raise ValueError(f"dataset {source!r} has no rows; expected at least one with {', '.join(columns)}")
    try:
        first = rows[0]
    except ValueError as error:
        raise ValueError(f"dataset {source!r} cannot be read as json: {error}") from error
    for column in columns:
        try:
            value_at(first, column)
        except KeyError as error:
            raise ValueError(
                f"dataset {source!r} has no column {column!r}; {error.args[0]}. Name "
                "the right ones in task.question_column and task.answer_column"
            ) from None


def shuffled(index: int, count: int, seed: int) -> int:
    """The row to use at step `index` of endless passes over `count` rows; each pass has its own order."""
    epoch, place = divmod(index, count)
    return _order(count, seed, epoch)[place]


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> list[int]:
    order = list(range(count))
    random.Random(f"order/{seed}/{epoch}").shuffle(order)
    return order
