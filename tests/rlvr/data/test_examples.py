"""Rows of a dataset as tokens: which are read, which are left out, and what a broken one says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlvr.config import DataConfig
from rlvr.config.file import load_config
from rlvr.data.examples import (
    Answers,
    answer_batch,
    encode,
    load_examples,
    mismatched,
    numbers_of,
    reader_of,
    split_rows,
    texts_of,
)
from rlvr.errors import DataError
from rlvr.models.chat import Chat, make_chat
from tasks.conversations import Conversation, read_conversations
from tasks.preferences import Preference, UnpairedPreference, read_preferences, read_unpaired
from tests.rlvr.models.templates import stand_in
from tests.rlvr.trainers.rows import assistant, recipe, user, write


def talk(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [user(question), assistant(answer)]}


def data(path: Path, rows: list[dict[str, Any]], **options: Any) -> DataConfig:
    return DataConfig(train=write(path / "rows.jsonl", rows), **options)


ROWS = [talk(f"say {number}", f"{number}") for number in range(5)]


def test_the_last_rows_are_held_out(tmp_path: Path, chat: Chat) -> None:
    examples = load_examples(data(tmp_path, ROWS, held_out_rows=2), read_conversations, chat)
    assert [example.row for example in examples.train] == [1, 2, 3]
    assert [example.row for example in examples.held_out] == [4, 5]
    assert list(examples.held_out[1].answer_ids[0]) == chat.completion_ids("4")
    assert list(examples.held_out[1].prompt_ids) == chat.prompt_ids([user("say 4")])
    assert str(examples) == "3 rows to train on, 2 held out"


def test_a_test_file_is_measured_on_and_all_other_rows_are_trained_on(tmp_path: Path, chat: Chat) -> None:
    test = write(tmp_path / "test.jsonl", ROWS[3:])
    examples = load_examples(data(tmp_path, ROWS[:3], test=test, held_out_rows=1), read_conversations, chat)
    assert (len(examples.train), len(examples.held_out)) == (3, 2)


def test_rows_that_are_too_long_are_left_out_and_counted(tmp_path: Path, chat: Chat) -> None:
    longest = len(chat.prompt_ids([user("say 0")])) + len(chat.completion_ids("0"))
    rows = [*ROWS, talk("say 6", "6 6"), talk("say 7", "7 7 7")]
    examples = load_examples(data(tmp_path, rows, max_tokens=longest), read_conversations, chat)
    assert [example.row for example in examples.train] == [1, 2, 3, 4, 5]
    assert examples.left_out == 2
    assert str(examples) == "5 rows to train on, 0 held out; 2 longer than data.max_tokens were left out"


def test_where_no_row_is_short_enough_the_way_out_is_said(tmp_path: Path, chat: Chat) -> None:
    with pytest.raises(DataError, match=r"no row to train on is within 3 tokens; raise data\.max_tokens"):
        load_examples(data(tmp_path, ROWS, max_tokens=3), read_conversations, chat)


def test_where_all_rows_are_held_out_none_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 5 rows and 5 are held out; expected some to train on"):
        split_rows(data(tmp_path, ROWS, held_out_rows=5), read_conversations)


def test_a_broken_row_is_named_by_its_line(tmp_path: Path, chat: Chat) -> None:
    config = data(tmp_path, [*ROWS[:2], {"messages": [user("say 2")]}])
    with pytest.raises(DataError, match=r"rows\.jsonl.*row 3.*'messages'"):
        load_examples(config, read_conversations, chat)


def test_a_file_that_is_not_there_is_an_error_of_the_data(tmp_path: Path, chat: Chat) -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl"):
        load_examples(DataConfig(train=str(tmp_path / "nowhere.jsonl")), read_conversations, chat)


@pytest.mark.parametrize(
    ("trainer", "keys", "reader"),
    [
        ("sft", {}, read_conversations),
        ("reward_model", {}, read_preferences),
        ("dpo", {}, read_preferences),
        ("dpo", {"loss": "kto"}, read_unpaired),
    ],
)
def test_each_trainer_reads_its_kind_of_rows(
    tmp_path: Path, trainer: str, keys: dict[str, str], reader: Callable[..., Any]
) -> None:
    path = recipe(tmp_path / "recipe.yaml", trainer, data="{train: rows.jsonl}", **keys)
    assert reader_of(load_config(str(path), [])) is reader


def test_a_preference_keeps_its_ranks_and_ratings_and_a_judged_answer_its_judgement(chat: Chat) -> None:
    texts = ((assistant("good"),), (assistant("fair"),), (assistant("bad"),))
    ranking = encode(Preference((user("q"),), texts, (0, 1, 1), (9.0, 5.0, 5.0)), 7, chat, "rows")
    assert (ranking.row, ranking.ranks, ranking.ratings) == (7, (0, 1, 1), (9.0, 5.0, 5.0))
    assert [list(ids) for ids in ranking.answer_ids] == [chat.completion_ids(text) for text in ("good", "fair", "bad")]
    wanted, unwanted = (
        encode(UnpairedPreference((user("q"),), (assistant("good"),), is_wanted), 1, chat, "rows")
        for is_wanted in (True, False)
    )
    assert (wanted.ranks, unwanted.ranks) == ((0,), (1,))


def test_the_rows_of_a_step_follow_from_its_number() -> None:
    assert list(numbers_of(1, 3)) == [0, 1, 2]
    assert list(numbers_of(4, 3)) == [9, 10, 11]


def answers(row: int, prompt: list[int], *parts: list[int], ratings: tuple[float, ...] | None = None) -> Answers:
    ranks = tuple(range(len(parts)))
    return Answers(row, prompt, parts, tuple([True] * len(part) for part in parts), ranks, ratings)


def test_a_batch_has_a_row_for_each_answer_and_a_group_for_each_prompt() -> None:
    pair, single = answers(1, [5, 6], [7], [8, 9], ratings=(2.0, 1.0)), answers(2, [5], [3, 3, 3])
    batch = answer_batch([pair, single])
    assert batch.input_ids.tolist() == [[5, 6, 7, 0], [5, 6, 8, 9], [5, 3, 3, 3]]
    assert batch.completion_mask.tolist() == [
        [False, False, True, False],
        [False, False, True, True],
        [False, True, True, True],
    ]
    assert batch.group_index.tolist() == [0, 0, 1]
    assert batch.ranks_B is not None
    assert batch.ranks_B.tolist() == [0, 1, 0]
    assert batch.ratings_B is None  # one of the prompts has none
    rated = answer_batch([pair]).ratings_B
    assert rated is not None
    assert rated.tolist() == [2.0, 1.0]


def test_an_answer_of_another_prompt_is_cut_where_the_context_ends() -> None:
    made = mismatched([answers(1, [1], [2, 3, 4]), answers(2, [5, 6], [7])], context=4)
    assert [(list(one.prompt_ids), list(one.answer_ids[0])) for one in made] == [([1], [7]), ([5, 6], [2, 3])]
    assert [len(one.learned[0]) for one in made] == [1, 2]


def test_one_prompt_alone_has_no_answer_of_another() -> None:
    with pytest.raises(DataError, match="expected two prompts or more, got one in all of rows 3 to 4"):
        mismatched([answers(3, [1], [2]), answers(4, [1], [3])], context=9)


def test_a_tokenizer_learns_from_all_that_is_said() -> None:
    assert texts_of(Conversation((user("q"),), (assistant("a"), user("r"), assistant("b")))) == ["q", "a", "r", "b"]
    assert texts_of(Preference("q", ("good", "bad"), (0, 1))) == ["q", "good", "bad"]
    assert texts_of(UnpairedPreference("q", "a", True)) == ["q", "a"]


def test_conversations_that_the_template_rewrites_become_a_row_for_each_turn_and_are_counted(tmp_path: Path) -> None:
    chat = make_chat(stand_in("qwen3"), [], 4096, "qwen3")
    long = {"messages": [user("2 + 3?"), thoughtful("It is 5."), user("again"), thoughtful("It is 5.")]}
    examples = load_examples(data(tmp_path, [*ROWS, long]), read_conversations, chat)
    assert [example.row for example in examples.train] == [1, 2, 3, 4, 5, 6, 6]
    assert str(examples) == (
        "7 rows to train on, 0 held out; 1 conversations became several rows, since the chat template rewrites earlier "
        "turns"
    )
    for example in examples.train[-2:]:
        said = chat.tokenizer.decode(list(example.answer_ids[0]))
        assert said == "<think>\n2 and 3\n</think>\n\nIt is 5.<|im_end|>"
        assert list(example.learned[0]) == [1] * len(example.learned[0])
        assert "2 and 3\n" not in chat.tokenizer.decode(list(example.prompt_ids))


def thoughtful(text: str) -> dict[str, str]:
    return {**assistant(text), "reasoning_content": "2 and 3"}


def test_of_a_preference_between_conversations_the_turns_that_are_rewritten_are_read(tmp_path: Path) -> None:
    chat = make_chat(stand_in("qwen3"), [], 4096, "qwen3")
    chosen, rejected = (
        [thoughtful(first), user("again"), assistant(last)] for first, last in (("It is 5.", "5"), ("It is 6.", "6"))
    )
    row = {"prompt": [user("2 + 3?")], "chosen": chosen, "rejected": rejected}
    examples = load_examples(data(tmp_path, [row]), read_preferences, chat)
    (pair,) = examples.train
    assert (
        chat.tokenizer.decode(list(pair.prompt_ids))
        == "<|im_start|>user\n2 + 3?<|im_end|>\n<|im_start|>assistant\nIt is "
    )
    for ids, learned, last in zip(pair.answer_ids, pair.learned, ("5", "6"), strict=True):
        taught = [token for token, now in zip(ids, learned, strict=True) if now]
        assert chat.tokenizer.decode(taught) == f"<think>\n\n</think>\n\n{last}<|im_end|>"
    assert str(examples).endswith(
        "2 of the assistant's turns are read and not learned, since the chat template rewrites earlier turns"
    )


def test_a_row_that_the_template_refuses_is_named(tmp_path: Path) -> None:
    chat = make_chat(stand_in("gemma2"), [], 4096, "gemma2")
    row = {"messages": [{"role": "system", "content": "Be brief."}, user("2 + 3?"), assistant("5")]}
    with pytest.raises(
        DataError, match=r"rows\.jsonl', row 6: the chat template refuses .*: System role not supported\."
    ):
        load_examples(data(tmp_path, [*ROWS, row]), read_conversations, chat)


def test_a_thought_that_is_no_text_or_not_the_assistants_is_refused(tmp_path: Path, chat: Chat) -> None:
    for message in ({**assistant("5"), "reasoning_content": ["2"]}, {**user("2 + 3?"), "thinking": "so"}):
        messages = [message] if message["role"] == "user" else [user("2 + 3?"), message]
        rows = [{"messages": [*messages, assistant("5")][:2]}]
        with pytest.raises(DataError, match=r"expected a text, of the assistant"):
            load_examples(data(tmp_path, rows), read_conversations, chat)
