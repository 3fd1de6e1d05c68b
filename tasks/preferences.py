"""Preferences: a prompt and answers to it, some better than others, in the row formats of the hub. Plain text or chats.

    {"prompt", "chosen", "rejected"}                      a pair with an explicit prompt
    {"chosen", "rejected"}                                a pair with an implicit prompt: their common beginning
    {"prompt", "completions": [best, ..., worst]}         a ranking of k answers
    {"prompt", "completions": [...], "ratings": [...]}    a ranking in any order; equal ratings are a tie
    {"prompt", "completion", "label": true}               unpaired: a wanted answer, or an unwanted one (false)

A row may also say how much better an answer is: `margin`, `score_chosen` and `score_rejected`, or `ratings`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.table import (
    FieldError,
    Row,
    Rows,
    Table,
    Text,
    check_answer,
    check_prompt,
    check_same_kind,
    open_rows,
    text_field,
)


@dataclass(frozen=True)
class Preference:
    """A prompt and its answers, best first.

    Ranks start at 0 for the best answer and are equal for a tie. `ratings` are the numbers of the data, or `None`; only
    their differences are meaningful.
    """

    prompt: Text
    answers: tuple[Text, ...]
    ranks: tuple[int, ...]
    ratings: tuple[float, ...] | None = None


@dataclass(frozen=True)
class UnpairedPreference:
    """A single answer, and whether it is wanted."""

    prompt: Text
    answer: Text
    wanted: bool


def read_preferences(source: str, split: str = "train", subset: str | None = None) -> Rows[Preference]:
    """The preferences of a hub dataset or a local file. Raises `ValueError`, for a broken row when it is read."""
    return Table(source, open_rows(source, split, subset), parse_preference)


def read_unpaired(source: str, split: str = "train", subset: str | None = None) -> Rows[UnpairedPreference]:
    """Like `read_preferences`, for unpaired answers. A pair counts as two; the first row decides the kind of all."""
    rows = open_rows(source, split, subset)
    first = Table(source, rows, lambda row: row)[0]
    return Table(source, rows, parse_unpaired) if "label" in first else SplitPairs(Table(source, rows, parse_pair))


def parse_preference(row: Row) -> Preference:
    """Parse a pair or a ranking. Raises `FieldError`."""
    if row.get("completions") is not None:
        return _ranking(row)
    if row.get("chosen") is None:
        expected = "'chosen' and 'rejected', or 'completions'"
        hint = "; this row is unpaired, which only loss: kto reads" if "label" in row else ""
        raise FieldError("chosen", f"is missing; expected {expected}; the row has: {', '.join(row)}{hint}")
    chosen, rejected = text_field(row, "chosen"), text_field(row, "rejected")
    check_same_kind(chosen, rejected, "rejected")
    if row.get("prompt") is None:
        prompt, chosen, rejected = _split_prompt(chosen, rejected)
        where = "chosen"
    else:
        prompt = text_field(row, "prompt")
        check_same_kind(prompt, chosen, "chosen")
        where = "prompt"
    check_prompt(prompt, where)
    check_answer(chosen, "chosen")
    check_answer(rejected, "rejected")
    return Preference(prompt, (chosen, rejected), (0, 1), _pair_ratings(row))


def parse_unpaired(row: Row) -> UnpairedPreference:
    """Parse an unpaired row. Raises `FieldError`."""
    prompt, answer = text_field(row, "prompt"), text_field(row, "completion")
    check_same_kind(prompt, answer, "completion")
    check_prompt(prompt, "prompt")
    check_answer(answer, "completion")
    if not isinstance(row.get("label"), bool):
        raise FieldError("label", f"expected true or false, got {row.get('label')!r}")
    return UnpairedPreference(prompt, answer, row["label"])


def parse_pair(row: Row) -> Preference:
    """Parse a pair. Raises `FieldError`, also for a longer ranking."""
    pair = parse_preference(row)
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
        return UnpairedPreference(pair.prompt, pair.answers[index % 2], wanted=index % 2 == 0)

    def number(self, index: int) -> int:
        return self.pairs.number(index // 2)


def _ranking(row: Row) -> Preference:
    prompt = text_field(row, "prompt")
    check_prompt(prompt, "prompt")
    completions = row["completions"]
    if not isinstance(completions, list) or len(completions) < 2:
        raise FieldError("completions", "expected a list of at least two answers")
    fields = {f"completions[{index}]": answer for index, answer in enumerate(completions)}
    answers = []
    for field in fields:
        answer = text_field(fields, field)
        check_same_kind(prompt, answer, field)
        check_answer(answer, field)
        answers.append(answer)
    if row.get("ratings") is None:
        return Preference(prompt, tuple(answers), tuple(range(len(answers))))
    numbers = row["ratings"]
    if not isinstance(numbers, list) or len(numbers) != len(answers):
        raise FieldError("ratings", f"expected a list of {len(answers)} numbers, one for each completion")
    ratings = [_number(number, f"ratings[{index}]") for index, number in enumerate(numbers)]
    order = sorted(range(len(answers)), key=lambda index: -ratings[index])
    levels = sorted(set(ratings), reverse=True)
    return Preference(
        prompt,
        tuple(answers[index] for index in order),
        tuple(levels.index(ratings[index]) for index in order),
        tuple(ratings[index] for index in order),
    )


def _pair_ratings(row: Row) -> tuple[float, float] | None:
    if row.get("margin") is not None:
        return (_number(row["margin"], "margin"), 0.0)
    if row.get("score_chosen") is not None and row.get("score_rejected") is not None:
        return (_number(row["score_chosen"], "score_chosen"), _number(row["score_rejected"], "score_rejected"))
    return None


def _number(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise FieldError(field, f"expected a number, got {value!r}")
    return float(value)


def _split_prompt(chosen: Text, rejected: Text) -> tuple[Text, Text, Text]:
    """The common beginning of both texts, and the rest of each. Raises `FieldError` if one of the three is empty."""
    common = 0
    while common < min(len(chosen), len(rejected)) and chosen[common] == rejected[common]:
        common += 1
    if isinstance(chosen, str) or isinstance(rejected, str):
        assert isinstance(chosen, str)
        while common and not chosen[common - 1 : common].isspace():  # never in the middle of a word
            common -= 1
        while common and chosen[common - 1].isspace():  # tokenizers attach a space to the word after it
            common -= 1
    else:
        while common and chosen[common - 1]["role"] not in ("user", "tool"):
            common -= 1  # answers that begin alike: the common words belong to the answers
    if not common:
        raise FieldError("prompt", "is missing, and chosen and rejected have no common beginning to use instead")
    if common == len(chosen) or common == len(rejected):
        field = "chosen" if common == len(chosen) else "rejected"
        raise FieldError(field, "is empty after the beginning that it shares with the other")
    return chosen[:common], chosen[common:], rejected[common:]
