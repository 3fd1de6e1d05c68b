"""Reads tables of rows from the hub or a file, with `datasets`."""

import gzip
import json
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}


def load_rows(source: str, split: str, subset: str | None = None) -> Sequence[dict[str, Any]]:
    """The rows of a hub dataset (`openai/gsm8k`), of a local file, or of the `split` of a local folder.

    Raises `ValueError` if the file does not exist, its extension is unknown, or the hub does not answer.
    """
    from datasets import load_dataset  # the import takes a second, which `--help` must not wait for
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    path = Path(source).expanduser()
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    kind = FORMATS.get(suffix.removesuffix(".gz"))
    if kind:
        if not path.is_file():
            raise ValueError(
                f"dataset {source!r}: there is no such file; expected a file ending in {', '.join(FORMATS)}, "
                "or a hub id such as openai/gsm8k"
            )
        try:
            return load_dataset(kind, data_files=str(path), split="train")
        except Exception as error:  # datasets wraps the errors of its parsers in its own types
            if not path.stat().st_size or "corresponds to no data" in str(error):
                raise ValueError(f"dataset {source!r} has no rows; expected at least one, as {kind}") from error
            why = (suffix.startswith(".jsonl") and _broken_line(path)) or error.__cause__ or error
            raise ValueError(f"dataset {source!r} cannot be read as {kind}: {why}") from error
    if path.is_file():
        raise ValueError(
            f"dataset {source!r} has an unknown extension: expected {', '.join(FORMATS)} (or one of these and .gz)"
        )
    try:
        return load_dataset(source, subset, split=split)
    except Exception as error:  # hub errors come from five libraries
        raise ValueError(
            f"dataset {source!r} (split {split!r}) was neither found on the hub nor as a folder: "
            f"{type(error).__name__}: {error}. For a local file give its path, ending in "
            f"{', '.join(FORMATS)}"
        ) from error


def _broken_line(path: Path) -> str:
    """Describe the first line that is not a JSON object. The parser itself only reports a block of many lines."""
    open_text = gzip.open if path.suffix == ".gz" else open
    try:
        with open_text(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip() and not isinstance(json.loads(line), dict):
                    return f"line {number}: got {line.strip()[:80]!r}, expected a JSON object"
    except json.JSONDecodeError as error:
        return f"line {number}: got {line.strip()[:80]!r}, which is not JSON: {error.msg}"
    except (OSError, UnicodeDecodeError, EOFError):
        pass
    return ""


def require_columns(rows: Sequence[dict[str, Any]], columns: Sequence[str], source: str) -> None:
    """Raise `ValueError` if the rows lack one of `columns`; the message lists those that exist."""
    if not len(rows):
        raise ValueError(f"dataset {source!r} has no rows; expected at least one with {', '.join(columns)}")
    for column in columns:
        if column not in rows[0]:
            raise ValueError(
                f"dataset {source!r} has no column {column!r}; it has: {', '.join(rows[0])}. Name "
                "the right ones in task.question_column and task.answer_column"
            )


def shuffled(index: int, count: int, seed: int) -> int:
    """The row to use at step `index` of endless passes over `count` rows; each pass has its own order."""
    epoch, place = divmod(index, count)
    return _order(count, seed, epoch)[place]


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> list[int]:
    order = list(range(count))
    random.Random(f"order/{seed}/{epoch}").shuffle(order)
    return order
