"""Files with one JSON object per line, as people write them by hand: errors name the line."""

import json
from pathlib import Path
from typing import Any

from rlvr.errors import DataError
from verifiers.values import parse_json


def read_jsonl(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """`(line number, object)` of every line that is not blank. Raises `DataError`."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if not path.is_file():
        raise DataError(f"{path} is a folder; expected a .jsonl file")
    rows = []
    try:
        for number, line in enumerate(path.read_text().split("\n"), start=1):
            if not line.strip():
                continue
            row = parse_json(line)
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number}: got {line[:80]!r}, expected a JSON object")
            rows.append((number, row))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); expected a .jsonl file") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: got {line[:80]!r}, which is not JSON: {error.msg}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return rows
