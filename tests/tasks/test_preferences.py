import json
from pathlib import Path
from typing import Any

import pytest

from tasks.conversations import Conversation, parse_conversation, read_conversations
from tasks.preferences import UnpairedPreference, parse_preference, parse_unpaired, read_preferences, read_unpaired
from tasks.table import FieldError


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


CHATS = {"chosen": [assistant("a")], "rejected": [assistant("b")]}


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def test_every_format_of_a_conversation_says_the_same() -> None:
    chat = Conversation((user("2+2?"),), (assistant("4"),))
    assert parse_conversation({"messages": [user("2+2?"), assistant("4")]}) == chat
    assert parse_conversation({"prompt": [user("2+2?")], "completion": [assistant("4")]}) == chat
    assert parse_conversation({"prompt": "2+2=", "completion": " 4"}) == Conversation("2+2=", " 4")


def test_the_first_answer_begins_the_completion_whatever_follows() -> None:
    tool = {"role": "tool", "content": "4"}
    system = {"role": "system", "content": ""}
    row = {"messages": [system, user("2+2?"), assistant("let me ask"), tool, assistant("4")]}
    conversation = parse_conversation(row)
    assert conversation.prompt == (system, user("2+2?"))
    assert conversation.completion == (assistant("let me ask"), tool, assistant("4"))


def test_explicit_and_implicit_prompts_are_the_same_pair() -> None:
    explicit = parse_preference({"prompt": [user("2+2?")], "chosen": [assistant("4")], "rejected": [assistant("5")]})
    implicit = parse_preference({"chosen": [user("2+2?"), assistant("4")], "rejected": [user("2+2?"), assistant("5")]})
    assert explicit == implicit
    assert explicit.prompt == (user("2+2?"),)
    assert explicit.answers == ((assistant("4"),), (assistant("5"),))
    assert (explicit.ranks, explicit.ratings) == ((0, 1), None)


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        ("The sky is blue.", "The sky is black.", "The sky is"),  # not "The sky is bl"
        ("Human: hi\n\nAssistant: yes", "Human: hi\n\nAssistant: yes it is", "Human: hi\n\nAssistant:"),
    ],
)
def test_an_implicit_prompt_in_plain_text_ends_between_words(chosen: str, rejected: str, prompt: str) -> None:
    preference = parse_preference({"chosen": chosen, "rejected": rejected})
    assert preference.prompt == prompt
    assert [prompt + answer for answer in preference.answers] == [chosen, rejected]  # type: ignore[operator]


def test_an_implicit_prompt_of_a_chat_ends_with_the_last_question_that_both_were_asked() -> None:
    start = [user("a"), assistant("b")]
    both = parse_preference(
        {"chosen": [*start, user("c"), assistant("d")], "rejected": [*start, user("c"), assistant("e")]}
    )
    assert len(both.prompt) == 3
    parted = parse_preference(
        {"chosen": [*start, user("c"), assistant("d")], "rejected": [*start, user("x"), assistant("e")]}
    )
    assert parted.prompt == (user("a"),)
    assert parted.answers[1] == (assistant("b"), user("x"), assistant("e"))


def test_a_ranking_is_sorted_by_its_ratings_and_equal_ratings_tie() -> None:
    ranked = parse_preference({"prompt": "Q:", "completions": [" best", " mid", " worst"]})
    assert (ranked.answers, ranked.ranks) == ((" best", " mid", " worst"), (0, 1, 2))
    rated = parse_preference({"prompt": "Q:", "completions": [" a", " b", " c"], "ratings": [1, 5, 1]})
    assert rated.answers == (" b", " a", " c")
    assert rated.ranks == (0, 1, 1)
    assert rated.ratings == (5.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("more", "ratings"),
    [({"margin": 1.5}, (1.5, 0.0)), ({"score_chosen": 8, "score_rejected": 3}, (8.0, 3.0)), ({"margin": None}, None)],
)
def test_margins_and_scores_become_ratings(more: dict[str, Any], ratings: tuple[float, ...] | None) -> None:
    assert parse_preference({"prompt": "Q:", "chosen": " a", "rejected": " b", **more}).ratings == ratings


def test_unpaired_rows_and_pairs_taken_apart(tmp_path: Path) -> None:
    assert parse_unpaired({"prompt": "Q:", "completion": " a", "label": False}) == UnpairedPreference("Q:", " a", False)
    path = write(tmp_path / "pairs.jsonl", {"prompt": [user("q")], **CHATS})
    assert list(read_unpaired(path)) == [
        UnpairedPreference((user("q"),), (assistant("a"),), True),
        UnpairedPreference((user("q"),), (assistant("b"),), False),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Q:", "chosen": " a"}, "field 'rejected': is missing"),
        ({"prompt": "Q:", "chosen": " a", "rejected": None}, r"field 'rejected': is missing \(null\); expected text"),
        ({"prompt": "Q:", "chosen": None, "rejected": " b"}, r"field 'chosen': is missing \(null\); expected text"),
        ({"prompt": "Q:", "chosen": "", "rejected": " b"}, "field 'chosen': is empty"),
        ({"prompt": [user("q")], **CHATS, "chosen": [user("a")]}, r"'chosen\[0\].role': got 'user'"),
        ({"prompt": [user("q"), {"role": "system", "content": "s"}], **CHATS},
         r"'prompt\[1\].role': got 'system' after other messages"),
        ({"prompt": [assistant("q")], **CHATS},
         r"'prompt\[0\].role': got 'assistant' before an answer"),
        ({"prompt": [{"from": "bot", "value": "q"}], **CHATS},
         r"'prompt\[0\].from': got 'bot', expected one of system, human"),
        ({"prompt": [{"role": "human", "content": "q"}], **CHATS},
         r"'prompt\[0\].role': got 'human', expected one of system"),
        ({"prompt": [{"role": "user", "content": 4}], **CHATS},
         r"'prompt\[0\].content': expected text, got 4"),
        ({"chosen": "alpha", "rejected": "beta"}, "field 'prompt': is missing"),
        ({"prompt": "Q:", "completions": [" a", " b"], "ratings": [1]}, "'ratings': expected a list of 2 numbers"),
        ({"prompt": "Q:", "chosen": " a", "rejected": " b", "margin": "big"}, "field 'margin': expected a number"),
        ({"prompt": "Q:", "completion": " a", "label": True}, "unpaired, which only loss: kto reads"),
    ],
)  # fmt: skip
def test_a_broken_preference_names_its_field(row: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        parse_preference(row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"body": "once upon a time"}, "field 'messages': is missing; expected messages, or prompt and completion"),
        ({"messages": [user("q")]}, "expected an assistant turn after the prompt, got none"),
        ({"messages": [user("q"), assistant("a"), user("q")]}, r"'messages\[2\].role': got 'user', expected assistant"),
        ({"messages": [assistant("a")]}, r"'messages\[0\].role': got 'assistant' before any question"),
        ({"prompt": "Q:", "completion": " "}, "field 'completion': is empty"),
    ],
)
def test_a_broken_conversation_names_its_field(row: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        parse_conversation(row)


def test_a_broken_row_names_file_row_and_field(tmp_path: Path) -> None:
    good = {"prompt": "Q:", "chosen": " a", "rejected": " b"}
    path = write(tmp_path / "pairs.jsonl", good, good | {"rejected": None}, "{not json")
    rows = read_preferences(path)
    assert len(rows) == 3
    assert rows[0].answers == (" a", " b")
    with pytest.raises(ValueError, match=r"pairs.jsonl', row 2, field 'rejected': is missing"):
        rows[1]
    with pytest.raises(ValueError, match=r"pairs.jsonl', row 3, field '\(the whole line\)': not JSON"):
        rows[2]


def test_a_pair_that_is_taken_apart_is_named_by_its_own_row(tmp_path: Path) -> None:
    good = {"prompt": "Q:", "chosen": " a", "rejected": " b"}
    ranking = {"prompt": "Q:", "completions": [" a", " b", " c"]}
    rows = read_unpaired(write(tmp_path / "pairs.jsonl", good, good, good, good | {"rejected": None}, "{", ranking))
    assert [rows.number(index) for index in range(6)] == [1, 1, 2, 2, 3, 3]
    with pytest.raises(ValueError, match=r"pairs.jsonl', row 4, field 'rejected': is missing"):
        rows[7]
    with pytest.raises(ValueError, match=r"pairs.jsonl', row 5, field '\(the whole line\)': not JSON"):
        rows[8]
    with pytest.raises(ValueError, match=r"pairs.jsonl', row 6, field 'completions': expected a pair, got a ranking"):
        rows[10]
    with pytest.raises(ValueError, match=r"broken.jsonl', row 1, field '\(the whole line\)': not JSON"):
        read_unpaired(write(tmp_path / "broken.jsonl", "{", good))


def test_parquet_and_jsonl_hold_the_same(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"messages": [user("q"), assistant("a")]}, {"messages": [user("r"), assistant("b")]}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    jsonl = read_conversations(write(tmp_path / "rows.jsonl", *rows))
    assert list(read_conversations(str(tmp_path / "rows.parquet"))) == list(jsonl)
    assert jsonl[1].completion == (assistant("b"),)


def test_a_file_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no such file"):
        read_preferences(str(tmp_path / "nowhere.jsonl"))
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="has no rows"):
        read_preferences(str(tmp_path / "empty.jsonl"))
