"""Rows of a dataset as tokens: read and tokenized once, before training, so that a broken row fails early."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from rlvr.algorithms.preference_loss import UNPAIRED_LOSSES
from rlvr.batching import token_batch
from rlvr.config import DataConfig, DPOConfig, RewardModelConfig, SFTConfig
from rlvr.errors import DataError
from rlvr.models.chat import Chat
from rlvr.types import Batch
from tasks.conversations import Conversation, read_conversations
from tasks.preferences import Preference, UnpairedPreference, read_preferences, read_unpaired
from tasks.table import Rows, Text

REWRITES = "the chat template rewrites earlier turns"


@dataclass(frozen=True)
class Answers:
    """A prompt and its answers in tokens: one to imitate or to judge, two or more to compare, best first.

    `learned[i]` marks the assistant's tokens of answer `i`. `ranks` are 0 for the best and equal for ties; `ratings`
    are the ratings in the data, if any. `row` is the number of the row in its source, from 1. `only_read` counts the
    turns of the assistant that are not learned, because the chat template rewrites them once the conversation goes on.
    """

    row: int
    prompt_ids: Sequence[int]
    answer_ids: tuple[Sequence[int], ...]
    learned: tuple[Sequence[int], ...]
    ranks: tuple[int, ...] = (0,)
    ratings: tuple[float, ...] | None = None
    only_read: int = 0

    @property
    def longest(self) -> int:
        """Number of tokens of the prompt and the longest answer."""
        return len(self.prompt_ids) + max(len(ids) for ids in self.answer_ids)


@dataclass(frozen=True)
class Examples:
    """The rows to train on, the held-out rows, the number of rows that were too long, and of those that became several
    (a row for each turn that the chat template rewrites later on)."""

    train: Sequence[Answers]
    held_out: Sequence[Answers]
    left_out: int
    split: int = 0

    def __str__(self) -> str:
        too_long = f"; {self.left_out} longer than data.max_tokens were left out" if self.left_out else ""
        split = f"; {self.split} conversations became several rows, since {REWRITES}" if self.split else ""
        only_read = sum(example.only_read for example in (*self.train, *self.held_out))
        read = f"; {only_read} of the assistant's turns are read and not learned, since {REWRITES}" if only_read else ""
        return f"{len(self.train)} rows to train on, {len(self.held_out)} held out{too_long}{split}{read}"


def reader_of(config: SFTConfig | DPOConfig | RewardModelConfig) -> Callable[..., Rows[Any]]:
    """The reader for the kind of rows that a trainer learns from."""
    if isinstance(config, SFTConfig):
        return read_conversations
    return read_unpaired if isinstance(config, DPOConfig) and config.loss in UNPAIRED_LOSSES else read_preferences


def load_examples(config: DataConfig, read: Callable[..., Rows[Any]], chat: Chat) -> Examples:
    """Read and tokenize all rows; `read` is one of the readers of `tasks`. Raises `DataError`."""
    most = min(config.max_tokens or chat.context, chat.context)
    encoded = [
        [encode_all(row, part.number(index), chat, part.source) for index, row in enumerate(part)]
        for part in split_rows(config, read)
    ]
    parts = [[example for examples in part for example in examples] for part in encoded]
    train, held_out = ([example for example in part if example.longest <= most] for part in parts)
    if not train:
        raise DataError(f"dataset {config.train!r}: no row to train on is within {most} tokens; raise data.max_tokens")
    left_out = sum(map(len, parts)) - len(train) - len(held_out)
    return Examples(train, held_out, left_out, sum(len(examples) > 1 for part in encoded for examples in part))


def numbers_of(step: int, rows_per_step: int) -> range:
    """The numbers of the rows of a step: a function of the step, so there is no position to save."""
    return range((step - 1) * rows_per_step, step * rows_per_step)


def answer_batch(examples: Sequence[Answers]) -> Batch:
    """All answers of some prompts as rows, one group per prompt; with ratings if every answer has one."""
    rows = [
        (index, example, number) for index, example in enumerate(examples) for number in range(len(example.answer_ids))
    ]
    batch = token_batch(
        [example.prompt_ids for _, example, _ in rows],
        [example.answer_ids[number] for _, example, number in rows],
        [[bool(learned) for learned in example.learned[number]] for _, example, number in rows],
        [index for index, _, _ in rows],
    )
    ranks_B = torch.tensor([example.ranks[number] for _, example, number in rows])
    ratings = [example.ratings[number] for _, example, number in rows if example.ratings is not None]
    return replace(batch, ranks_B=ranks_B, ratings_B=torch.tensor(ratings) if len(ratings) == len(rows) else None)


def mismatched(examples: Sequence[Answers], context: int) -> list[Answers]:
    """Each prompt with the answer of the nearest earlier row that has another prompt (the last row precedes the first),
    cut at the end of the context. Raises `DataError` if all rows have the same prompt.
    """
    other = next((row for row in reversed(examples) if row.prompt_ids != examples[0].prompt_ids), None)
    if other is None:
        raise DataError(
            "loss: kto measures how far the policy is from its reference on prompts with the answers of other prompts: "
            f"expected two prompts or more, got one in all of rows {examples[0].row} to {examples[-1].row}. Add rows "
            "with other prompts, hold out more rows or none, or take a loss of pairs"
        )
    made = []
    for before, example in zip([examples[-1], *examples[:-1]], examples, strict=True):
        other = before if before.prompt_ids != example.prompt_ids else other
        room = context - len(example.prompt_ids)
        answers, learned = ([part[:room] for part in parts] for parts in (other.answer_ids, other.learned))
        made.append(replace(example, answer_ids=tuple(answers), learned=tuple(learned)))
    return made


def split_rows(config: DataConfig, read: Callable[..., Rows[Any]]) -> tuple["Part", "Part"]:
    """The rows to train on and the held-out rows."""
    try:
        rows = read(config.train, config.train_split, config.subset)
        if config.test:
            test = read(config.test, config.test_split, config.subset)
            return Part(rows, config.train, 0, len(rows)), Part(test, config.test, 0, len(test))
    except ValueError as error:
        raise DataError(str(error)) from error
    count = len(rows) - config.held_out_rows
    if count < 1:
        raise DataError(
            f"dataset {config.train!r} has {len(rows)} rows and {config.held_out_rows} are held out; expected some to "
            "train on. Lower data.held_out_rows or name a data.test file"
        )
    return Part(rows, config.train, 0, count), Part(rows, config.train, count, len(rows))


class Part(Sequence[Any]):
    """Rows `start` to `stop` of a table, parsed on demand. Raises `DataError` for a broken row."""

    def __init__(self, rows: Rows[Any], source: str, start: int, stop: int) -> None:
        self.rows, self.source, self.places = rows, source, range(start, stop)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        place = self.places[index]
        try:
            return self.rows[place]
        except ValueError as error:
            raise DataError(str(error)) from error

    def number(self, index: int) -> int:
        return self.rows.number(self.places[index])


def encode_all(row: Any, number: int, chat: Chat, source: str) -> list[Answers]:
    """A row in tokens. A conversation whose turns the chat template rewrites later on becomes several examples, in
    which each turn of the assistant is learned once, after the very tokens that it is sampled after.
    """
    if not isinstance(row, Conversation):
        return [encode(row, number, chat, source)]
    with naming(source, number):
        examples = chat.examples(row.prompt, row.completion)
    starts = [learned.index(True) for _, learned in examples]
    return [
        Answers(number, array("i", ids[:start]), (array("i", ids[start:]),), (array("b", learned[start:]),))
        for start, (ids, learned) in zip(starts, examples, strict=True)
    ]


def encode(row: Any, number: int, chat: Chat, source: str) -> Answers:
    """A conversation, a preference or a judged answer in tokens, one row for each answer.

    What the answers begin with alike is their prompt. Of an answer whose turns the chat template rewrites later on,
    only those are learned that stand as they would be sampled.
    """
    with naming(source, number):
        examples = [chat.examples(row.prompt, answer) for answer in answers_of(row)]
    rows = [example[-1] for example in examples]
    start = min(learned.index(True) for _, learned in rows)
    start = next((place for place in range(start) if len({ids[place] for ids, _ in rows}) > 1), start)
    return Answers(
        number,
        array("i", rows[0][0][:start]),
        tuple(array("i", ids[start:]) for ids, _ in rows),
        tuple(array("b", learned[start:]) for _, learned in rows),
        row.ranks if isinstance(row, Preference) else (int(isinstance(row, UnpairedPreference) and not row.wanted),),
        row.ratings if isinstance(row, Preference) else None,
        sum(turns_of(learned) for example in examples for _, learned in example[:-1]),
    )


@contextmanager
def naming(source: str, number: int) -> Iterator[None]:
    """Name the row in a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{source!r}, row {number}: {error}") from error


def turns_of(learned: Sequence[bool]) -> int:
    """The number of runs of learned tokens."""
    return sum(now and not before for before, now in pairwise([False, *learned]))


def answers_of(row: Conversation | Preference | UnpairedPreference) -> tuple[Text, ...]:
    if isinstance(row, Conversation):
        return (row.completion,)
    return row.answers if isinstance(row, Preference) else (row.answer,)


def texts_of(row: Conversation | Preference | UnpairedPreference) -> list[str]:
    """All texts of a row, to train a tokenizer on."""
    parts = [row.prompt, *answers_of(row)]
    return [text for part in parts for text in ([part] if isinstance(part, str) else [m["content"] for m in part])]
