"""Preferences: a prompt and answers to it, some better than others, in the row formats of the hub. Plain text or chats.

    {"prompt", "chosen", "rejected"}                      a pair with an explicit prompt
    {"chosen", "rejected"}                                a pair with an implicit prompt: their common beginning
    {"prompt", "completions": [best, ..., worst]}         a ranking of k answers
    {"prompt", "completions": [...], "ratings": [...]}    a ranking in any order; equal ratings are a tie
    {"prompt", "completion", "label": true}               unpaired: a wanted answer, or an unwanted one (false)

A pair may have its prompt in a column and hold whole conversations too: the prompt is read once. What else may ask
(`question`, `instruction`, a system message) is in `tasks.layouts`. A row may also say how much better an answer is:
`margin`, `score_chosen` and `score_rejected`, or `ratings`.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tasks.columns import plain
from tasks.layouts import ANSWERS, AS_RECOGNIZED, Reading, find, renamed, settled, whole_conversation
from tasks.table import FieldError, Row, Rows, Table, Text, open_rows, shown

RATINGS = ("margin", "score_chosen", "score_rejected", "ratings")
LABELS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Preference:
    """A prompt and its answers, best first.

    Ranks start at 0 for the best answer and are equal for a tie. `ratings` are the numbers of the data, or `None`; only
    their differences are meaningful. `layout` says how the row was read, `unread` what was not.
    """

    prompt: Text
    answers: tuple[Text, ...]
    ranks: tuple[int, ...]
    ratings: tuple[float, ...] | None = None
    layout: str = field(default="", compare=False, repr=False)
    unread: tuple[str, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class UnpairedPreference:
    """A single answer, and whether it is wanted."""

    prompt: Text
    answer: Text
    wanted: bool
    layout: str = field(default="", compare=False, repr=False)
    unread: tuple[str, ...] = field(default=(), compare=False, repr=False)


def read_preferences(
    source: str, split: str = "train", subset: str | None = None, reading: Reading = AS_RECOGNIZED
) -> Rows[Preference]:
    """The preferences of a hub dataset or a local file. Raises `ValueError`, for a broken row when it is read."""
    rows = open_rows(source, split, subset)
    return Table(source, rows, partial(parse_preference, reading=settled(rows, reading)))


def read_unpaired(
    source: str, split: str = "train", subset: str | None = None, reading: Reading = AS_RECOGNIZED
) -> Rows[UnpairedPreference]:
    """Like `read_preferences`, for unpaired answers. A pair counts as two; the first row decides the kind of all."""
    rows = open_rows(source, split, subset)
    first = Table(source, rows, lambda row: row)[0]
    reading = settled(rows, reading)
    if "label" in first or "label" in reading.columns:
        return Table(source, rows, partial(parse_unpaired, reading=reading))
    return SplitPairs(Table(source, rows, partial(parse_pair, reading=reading)))


def parse_preference(row: Row, reading: Reading = AS_RECOGNIZED) -> Preference:
    """Parse a pair or a ranking. Raises `FieldError`."""
    row = renamed(row, reading.columns)
    if row.get("completions") is not None and not reading.columns.keys() & {"chosen", "rejected"}:
        return _ranking(row, reading)
    if row.get("chosen") is None and "chosen" in row:
        raise FieldError("chosen", "is missing (null); expected text or a list of messages")
    if "chosen" not in row:
        expected = "'chosen' and 'rejected', or 'completions'"
        hint = "; this row is unpaired, which only loss: kto reads" if "label" in row else ""
        hint = hint or ". Name the columns in data.columns"
        raise FieldError("chosen", f"is missing; expected {expected}; the row has: {', '.join(row)}{hint}")
    found = find(row, ["chosen", "rejected"], reading)
    return Preference(found.prompt, found.answers, (0, 1), _pair_ratings(row), found.layout, _without(found.unread))


def parse_unpaired(row: Row, reading: Reading = AS_RECOGNIZED) -> UnpairedPreference:
    """Parse an unpaired row; of a whole conversation the last answer is judged. Raises `FieldError`."""
    row = renamed(row, reading.columns)
    name = next((name for name in ANSWERS if row.get(name) is not None), "completion")
    whole = whole_conversation(row) if row.get(name) is None else None
    if whole is not None:
        row = {key: value for key, value in row.items() if key != whole[0]} | {name: whole[1]}
    found = find(row, [name], reading)
    label = plain(row.get("label"))
    wanted = LABELS.get(str(int(label) if label in (0, 1) else label).strip().lower())
    if wanted is None:
        raise FieldError("label", f"expected true or false (or 1 and 0), got {label!r}")
    unread = tuple(column for column in found.unread if column != "label")
    return UnpairedPreference(found.prompt, found.answers[0], wanted, found.layout, unread)


def parse_pair(row: Row, reading: Reading = AS_RECOGNIZED) -> Preference:
    """Parse a pair. Raises `FieldError`, also for a longer ranking."""
    pair = parse_preference(row, reading)
    if len(pair.answers) != 2:
        raise FieldError("completions", f"expected a pair, got a ranking of {len(pair.answers)}")
    return pair


@dataclass(frozen=True)
class SplitPairs(Sequence[UnpairedPreference]):
    """Pairs as single answers: the better and the worse one in turn, both with the row number of their pair."""

    pairs: Rows[Preference]

    def __len__(self) -> int:
        return 2 * len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        pair = self.pairs[index // 2]
        return UnpairedPreference(pair.prompt, pair.answers[index % 2], index % 2 == 0, pair.layout, pair.unread)

    def number(self, index: int) -> int:
        return self.pairs.number(index // 2)


def _ranking(row: Row, reading: Reading) -> Preference:
    completions = plain(row["completions"])
    if not isinstance(completions, list) or len(completions) < 2:
        raise FieldError("completions", f"expected a list of at least two answers, got {shown(completions)}")
    fields = {f"completions[{index}]": answer for index, answer in enumerate(completions)}
    found = find({**row, **fields}, list(fields), reading, column="completions")
    answers = found.answers
    unread = tuple(name for name in _without(found.unread) if name not in fields)
    if row.get("ratings") is None:
        return Preference(found.prompt, answers, tuple(range(len(answers))), None, found.layout, unread)
    numbers = plain(row["ratings"])
    if not isinstance(numbers, list) or len(numbers) != len(answers):
        raise FieldError("ratings", f"expected a list of {len(answers)} numbers, one for each completion")
    ratings = [_number(number, f"ratings[{index}]") for index, number in enumerate(numbers)]
    order = sorted(range(len(answers)), key=lambda index: -ratings[index])
    levels = sorted(set(ratings), reverse=True)
    return Preference(
        found.prompt,
        tuple(answers[index] for index in order),
        tuple(levels.index(ratings[index]) for index in order),
        tuple(ratings[index] for index in order),
        found.layout,
        unread,
    )


def _pair_ratings(row: Row) -> tuple[float, float] | None:
    if row.get("margin") is not None:
        return (_number(row["margin"], "margin"), 0.0)
    if row.get("score_chosen") is not None and row.get("score_rejected") is not None:
        return (_number(row["score_chosen"], "score_chosen"), _number(row["score_rejected"], "score_rejected"))
    return None


def _number(value: Any, field: str) -> float:
    number = plain(value)
    if isinstance(number, str):  # a column of texts, such as UltraFeedback's ratings
        with suppress(ValueError):
            number = float(number)
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
        raise FieldError(field, f"expected a number, got {value!r}")
    return float(number)


def _without(unread: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in unread if name not in RATINGS)
