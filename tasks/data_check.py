"""Checks a file of conversations or preferences before a model is trained on it: `rlvr data check FILE`."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from tasks.conversations import Conversation, parse_conversation
from tasks.preferences import Preference, UnpairedPreference, parse_preference, parse_unpaired
from tasks.table import FieldError, Row, Text, characters, open_rows

PARSERS: dict[str, Callable[[Row], Any]] = {
    "conversations": parse_conversation,
    "preferences": parse_preference,
    "unpaired preferences": parse_unpaired,
}


@dataclass
class DataReport:
    """The result of a check. `broken` rows cannot be read; `doubtful` rows can, but a person should look at them."""

    source: str
    kind: str
    rows: int
    broken: list[tuple[int, str]] = field(default_factory=list)
    doubtful: dict[str, list[int]] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.broken

    def lines(self, shown: int = 10) -> list[str]:
        """The report as text, with the first `shown` rows of each kind."""
        lines = [f"{self.source}: {self.rows} rows of {self.kind}"]
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        for why, rows in self.doubtful.items():
            lines.append(f"  look at: {why}: {len(rows)} ({_rows(rows, shown)})")
        if self.broken:
            lines.append(f"  broken: {len(self.broken)}")
            lines += [f"    row {row}: {why}" for row, why in self.broken[:shown]]
            lines += ["    ..."] if len(self.broken) > shown else []
        else:
            lines.append("  broken: none")
        return lines


def check_data(source: str, split: str = "train", subset: str | None = None) -> DataReport:
    """Check every row of a hub dataset or a local file. Raises `ValueError` if there is nothing to read."""
    rows = open_rows(source, split, subset)
    kind = _kind(rows)
    report = DataReport(source, kind, len(rows))
    parsed: list[tuple[int, Any]] = []
    fields: Counter[str] = Counter()
    for number in range(1, len(rows) + 1):
        try:
            row = rows[number - 1]
            parsed.append((number, PARSERS[kind](row)))
            fields.update(name for name, value in row.items() if value is not None)
        except FieldError as error:
            report.broken.append((number, str(error)))
    if parsed:
        report.figures["fields"] = ", ".join(f"{name} ({count})" for name, count in sorted(fields.items()))
        DESCRIBE[kind](parsed, report)
    return report


def _kind(rows: Sequence[Row]) -> str:
    """The kind of data, judging by the first row that is an object."""
    for index in range(len(rows)):
        try:
            row = rows[index]
        except FieldError:
            continue
        if row.get("chosen") is not None or row.get("completions") is not None:
            return "preferences"
        return "unpaired preferences" if row.get("label") is not None else "conversations"
    return "conversations"


def _conversations(parsed: list[tuple[int, Conversation]], report: DataReport) -> None:
    _form(report, [row.prompt for _, row in parsed])
    turns = [1 if isinstance(row.completion, str) else _answers(row.completion) for _, row in parsed]
    report.figures["answers per row"] = _spread(turns)
    report.figures["characters of the prompt"] = _spread([characters(row.prompt) for _, row in parsed])
    report.figures["characters of the completion"] = _spread([characters(row.completion) for _, row in parsed])
    _doubt(report, "the same row again", _repeated([(number, row) for number, row in parsed]))
    _doubt(report, "two turns of one role in a row", [number for number, row in parsed if _stutters(row)])


def _preferences(parsed: list[tuple[int, Preference]], report: DataReport) -> None:
    _form(report, [row.prompt for _, row in parsed])
    report.figures["answers per row"] = _spread([len(row.answers) for _, row in parsed])
    report.figures["rows with ratings or margins"] = str(sum(row.ratings is not None for _, row in parsed))
    report.figures["characters of the prompt"] = _spread([characters(row.prompt) for _, row in parsed])
    report.figures["characters of the best answer"] = _spread([characters(row.answers[0]) for _, row in parsed])
    report.figures["characters of the worst answer"] = _spread([characters(row.answers[-1]) for _, row in parsed])
    longer = [characters(row.answers[0]) > characters(row.answers[-1]) for _, row in parsed]
    report.figures["rows whose best answer is the longer one"] = f"{sum(longer) / len(longer):.1%}"
    _doubt(report, "the same row again", _repeated([(number, (row.prompt, row.answers)) for number, row in parsed]))
    _doubt(report, "best and worst answer are equal", [n for n, row in parsed if row.answers[0] == row.answers[-1]])
    _doubt(report, "the ratings do not put the best answer first", [n for n, row in parsed if _contradicts(row)])
    _doubt(report, "another row prefers the opposite", _opposites(parsed))


def _unpaired(parsed: list[tuple[int, UnpairedPreference]], report: DataReport) -> None:
    _form(report, [row.prompt for _, row in parsed])
    report.figures["wanted"] = f"{sum(row.wanted for _, row in parsed)} of {len(parsed)}"
    report.figures["characters of the prompt"] = _spread([characters(row.prompt) for _, row in parsed])
    for wanted, name in ((True, "wanted"), (False, "unwanted")):
        lengths = [characters(row.answer) for _, row in parsed if row.wanted is wanted]
        report.figures[f"characters of {name} answers"] = _spread(lengths) if lengths else "none"
    _doubt(report, "the same row again", _repeated([(number, row) for number, row in parsed]))
    both = Counter(key for key in {(_key((row.prompt, row.answer)), row.wanted) for _, row in parsed})
    sides = Counter(key for key, _ in both)
    twofold = [number for number, row in parsed if sides[_key((row.prompt, row.answer))] == 2]
    _doubt(report, "the same answer is wanted in one row and unwanted in another", twofold)


def _form(report: DataReport, prompts: Sequence[Text]) -> None:
    plain = sum(isinstance(prompt, str) for prompt in prompts)
    report.figures["form"] = "plain text" if plain == len(prompts) else "chats" if not plain else (
        f"{plain} plain, {len(prompts) - plain} chats"
    )  # fmt: skip


def _doubt(report: DataReport, why: str, rows: list[int]) -> None:
    if rows:
        report.doubtful[why] = rows


def _repeated(items: Sequence[tuple[int, object]]) -> list[int]:
    """The rows that repeat an earlier row."""
    seen: set[Hashable] = set()
    repeats = []
    for number, item in items:
        key = _key(item)
        if key in seen:
            repeats.append(number)
        seen.add(key)
    return repeats


def _opposites(parsed: list[tuple[int, Preference]]) -> list[int]:
    pairs = {(_key(row.prompt), _key(row.answers[0]), _key(row.answers[-1])) for _, row in parsed}
    return [
        number
        for number, row in parsed
        if row.answers[0] != row.answers[-1]
        and (_key(row.prompt), _key(row.answers[-1]), _key(row.answers[0])) in pairs
    ]


def _contradicts(row: Preference) -> bool:
    return row.ratings is not None and row.ratings[0] <= row.ratings[-1]


def _answers(completion: Text) -> int:
    return sum(not isinstance(message, str) and message["role"] == "assistant" for message in completion)


def _stutters(row: Conversation) -> bool:
    if isinstance(row.prompt, str) or isinstance(row.completion, str):
        return False
    roles = [message["role"] for message in (*row.prompt, *row.completion)]
    return any(a == b != "tool" for a, b in pairwise(roles))


def _key(item: object) -> int:
    return hash(repr(item))


def _spread(numbers: Sequence[int]) -> str:
    ordered = sorted(numbers)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"median {median(ordered):g}, 95 % at most {high}, longest {ordered[-1]}"


def _rows(rows: Sequence[int], shown: int) -> str:
    listed = ", ".join(str(row) for row in rows[:shown])
    return f"rows {listed}{', ...' if len(rows) > shown else ''}"


DESCRIBE: dict[str, Callable[[list[tuple[int, Any]], DataReport], None]] = {
    "conversations": _conversations,
    "preferences": _preferences,
    "unpaired preferences": _unpaired,
}
