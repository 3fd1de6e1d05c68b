"""What is in a file of conversations or preferences, before a model learns from it: `rlvr data check FILE`."""

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
    """What was found. `broken` rows cannot be read, `doubtful` ones can and should be looked at: row and why."""

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
        """The report as text; of each kind of finding the first `shown`."""
        out = [f"{self.source}: {self.rows} rows of {self.kind}"]
        out += [f"  {name}: {value}" for name, value in self.figures.items()]
        for why, rows in self.doubtful.items():
            out.append(f"  look at: {why}: {len(rows)} ({_rows(rows, shown)})")
        if self.broken:
            out.append(f"  broken: {len(self.broken)}")
            out += [f"    row {row}: {why}" for row, why in self.broken[:shown]]
            out += ["    ..."] if len(self.broken) > shown else []
        else:
            out.append("  broken: none")
        return out


def check_data(source: str, split: str = "train", subset: str | None = None) -> DataReport:
    """Read every row of a hub dataset or a local file. Raises `ValueError` where there is nothing to read."""
    rows = open_rows(source, split, subset)
    kind = _kind(rows)
    report = DataReport(source, kind, len(rows))
    good: list[tuple[int, Any]] = []
    fields: Counter[str] = Counter()
    for number in range(1, len(rows) + 1):
        try:
            row = rows[number - 1]
            good.append((number, PARSERS[kind](row)))
            fields.update(name for name, value in row.items() if value is not None)
        except FieldError as error:
            report.broken.append((number, str(error)))
    if good:
        report.figures["fields"] = ", ".join(f"{name} ({count})" for name, count in sorted(fields.items()))
        DESCRIBE[kind](good, report)
    return report


def _kind(rows: Sequence[Row]) -> str:
    """What the first row that is an object looks like."""
    for index in range(len(rows)):
        try:
            row = rows[index]
        except FieldError:
            continue
        if row.get("chosen") is not None or row.get("completions") is not None:
            return "preferences"
        return "unpaired preferences" if row.get("label") is not None else "conversations"
    return "conversations"


def _conversations(good: list[tuple[int, Conversation]], report: DataReport) -> None:
    _form(report, [one.prompt for _, one in good])
    turns = [1 if isinstance(one.completion, str) else _answers(one.completion) for _, one in good]
    report.figures["answers a row"] = _spread(turns)
    report.figures["characters of the prompt"] = _spread([characters(one.prompt) for _, one in good])
    report.figures["characters of the completion"] = _spread([characters(one.completion) for _, one in good])
    _doubt(report, "the same row again", _repeated([(number, one) for number, one in good]))
    _doubt(report, "two turns of one role in a row", [number for number, one in good if _stutters(one)])


def _preferences(good: list[tuple[int, Preference]], report: DataReport) -> None:
    _form(report, [one.prompt for _, one in good])
    report.figures["answers a row"] = _spread([len(one.answers) for _, one in good])
    report.figures["rows with ratings or margins"] = str(sum(one.ratings is not None for _, one in good))
    report.figures["characters of the prompt"] = _spread([characters(one.prompt) for _, one in good])
    report.figures["characters of the best answer"] = _spread([characters(one.answers[0]) for _, one in good])
    report.figures["characters of the worst answer"] = _spread([characters(one.answers[-1]) for _, one in good])
    longer = [characters(one.answers[0]) > characters(one.answers[-1]) for _, one in good]
    report.figures["rows whose best answer is the longer one"] = f"{sum(longer) / len(longer):.1%}"
    _doubt(report, "the same row again", _repeated([(number, (one.prompt, one.answers)) for number, one in good]))
    _doubt(report, "best and worst answer are equal", [n for n, one in good if one.answers[0] == one.answers[-1]])
    _doubt(report, "the ratings do not put the best answer first", [n for n, one in good if _contradicts(one)])
    _doubt(report, "another row prefers the opposite", _opposites(good))


def _unpaired(good: list[tuple[int, UnpairedPreference]], report: DataReport) -> None:
    _form(report, [one.prompt for _, one in good])
    report.figures["wanted"] = f"{sum(one.wanted for _, one in good)} of {len(good)}"
    report.figures["characters of the prompt"] = _spread([characters(one.prompt) for _, one in good])
    for wanted, name in ((True, "wanted"), (False, "unwanted")):
        lengths = [characters(one.answer) for _, one in good if one.wanted is wanted]
        report.figures[f"characters of {name} answers"] = _spread(lengths) if lengths else "none"
    _doubt(report, "the same row again", _repeated([(number, one) for number, one in good]))
    both = Counter(key for key in {(_key((one.prompt, one.answer)), one.wanted) for _, one in good})
    sides = Counter(key for key, _ in both)
    twofold = [number for number, one in good if sides[_key((one.prompt, one.answer))] == 2]
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
    """The rows that were seen before."""
    seen: set[Hashable] = set()
    again = []
    for number, item in items:
        key = _key(item)
        if key in seen:
            again.append(number)
        seen.add(key)
    return again


def _opposites(good: list[tuple[int, Preference]]) -> list[int]:
    pairs = {(_key(one.prompt), _key(one.answers[0]), _key(one.answers[-1])) for _, one in good}
    return [
        number
        for number, one in good
        if one.answers[0] != one.answers[-1]
        and (_key(one.prompt), _key(one.answers[-1]), _key(one.answers[0])) in pairs
    ]


def _contradicts(one: Preference) -> bool:
    return one.ratings is not None and one.ratings[0] <= one.ratings[-1]


def _answers(completion: Text) -> int:
    return sum(not isinstance(message, str) and message["role"] == "assistant" for message in completion)


def _stutters(one: Conversation) -> bool:
    if isinstance(one.prompt, str) or isinstance(one.completion, str):
        return False
    roles = [message["role"] for message in (*one.prompt, *one.completion)]
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
