"""Rows as the hub has them: where the prompt is, where the answers are, and what is said about it."""

from pathlib import Path
from typing import Any

import numpy
import pytest

from tasks.conversations import Conversation, parse_conversation, read_conversations
from tasks.layouts import Reading
from tasks.preferences import Preference, parse_preference, parse_unpaired
from tasks.table import FieldError
from tests.tasks.test_preferences import assistant, user, write

SYSTEM = {"role": "system", "content": "Be brief."}
PAIR = Preference((user("2+2?"),), ((assistant("4"),), (assistant("5"),)), (0, 1))
WHOLE = {"chosen": [user("2+2?"), assistant("4")], "rejected": [user("2+2?"), assistant("5")]}


def said(speaker: str, text: str) -> dict[str, str]:
    return {"from": speaker, "value": text}


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ({"messages": [user("2+2?"), assistant("4")]}, "messages"),
        ({"conversations": [said("human", "2+2?"), said("gpt", "4")]}, "conversations"),
        ({"conversation": [user("2+2?"), assistant("4")]}, "conversation"),
        ({"messages": '[{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]'}, "messages"),
        ({"prompt": [user("2+2?")], "completion": "4"}, "prompt and completion"),
        ({"prompt": "2+2?", "completion": [assistant("4")]}, "prompt and completion"),
        ({"prompt": "2+2?", "completion": [user("2+2?"), assistant("4")]},
         "prompt and completion; the beginning of the conversation is the prompt"),
        ({"question": "2+2?", "answer": "4"}, "question and answer, as messages"),
        ({"instruction": "2+2?", "input": "", "output": "4"}, "instruction, input and output, as messages"),
        ({"system_prompt": "", "question": "2+2?", "response": "4"},
         "system_prompt, question and response, as messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "2+", "image": None},
                                                    {"type": "text", "text": "2?"}]}, assistant("4")]}, "messages"),
        ({"messages": numpy.array([{**user("2+2?"), "name": None}, {**assistant("4"), "tool_calls": None}])},
         "messages"),
    ],
)  # fmt: skip
def test_a_conversation_is_the_same_however_it_is_laid_out(row: dict[str, Any], layout: str) -> None:
    conversation = parse_conversation(row)
    assert conversation == Conversation((user("2+2?"),), (assistant("4"),))
    assert conversation.layout == layout
    assert conversation.unread == ()


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ({"prompt": "2+2?", **WHOLE}, "prompt, chosen and rejected; the beginning of the conversation is the prompt"),
        ({"prompt": [user("2+2?")], **WHOLE},
         "prompt, chosen and rejected; the beginning of the conversation is the prompt"),
        (WHOLE, "chosen and rejected; the beginning of the conversation is the prompt"),
        ({"prompt": "2+2?", "chosen": [assistant("4")], "rejected": [assistant("5")]}, "prompt, chosen and rejected"),
        ({"system": "", "question": "2+2?", "chosen": "4", "rejected": "5"},
         "system, question, chosen and rejected, as messages"),
        ({"instruction": "2+2?", "chosen": "4", "rejected": "5"}, "instruction, chosen and rejected, as messages"),
        ({"input": "2+2?", "chosen": "4", "rejected": "5"}, "input, chosen and rejected, as messages"),
        ({"chosen": "\n\nHuman: 2+2?\n\nAssistant: 4", "rejected": "\n\nHuman: 2+2?\n\nAssistant: 5"},
         "chosen and rejected, as messages; the beginning of the conversation is the prompt"),
        ({"conversations": [said("human", "2+2?")], "chosen": said("gpt", "4"), "rejected": said("gpt", "5")},
         "conversations, chosen and rejected"),
        ({"prompt": "2+2?", "completions": [[assistant("4")], [assistant("5")]]}, "prompt and completions"),
    ],
)  # fmt: skip
def test_a_pair_is_the_same_however_it_is_laid_out(row: dict[str, Any], layout: str) -> None:
    pair = parse_preference(row)
    assert pair == PAIR
    assert (pair.layout, pair.unread) == (layout, ())


def test_ultrafeedback_has_its_prompt_once_and_its_scores() -> None:
    row = {"prompt": "2+2?", "prompt_id": "a", **WHOLE, "messages": WHOLE["chosen"]}
    pair = parse_preference({**row, "score_chosen": 8.5, "score_rejected": 7.0})
    assert pair == Preference(PAIR.prompt, PAIR.answers, PAIR.ranks, (8.5, 7.0))
    assert pair.unread == ("prompt_id", "messages")


def test_whole_conversations_that_contradict_their_prompt_are_refused() -> None:
    with pytest.raises(FieldError, match="field 'prompt': is not in the conversations of the answers: '3\\+3\\?'"):
        parse_preference({"prompt": "3+3?", **WHOLE})


def test_the_prompt_column_may_hold_the_first_or_the_last_question_of_a_longer_talk() -> None:
    start = [SYSTEM, user("hi"), assistant("hello"), user("2+2?")]
    row = {"chosen": [*start, assistant("4")], "rejected": [*start, assistant("5")]}
    for prompt in ("hi", "2+2? ", [user("hi")], [SYSTEM, user("hi"), assistant("hello"), user("2+2?")]):
        assert parse_preference({"prompt": prompt, **row}).prompt == tuple(start)


def test_a_system_message_comes_from_its_column_and_not_twice() -> None:
    orca = {"system": "Be brief.", "question": "2+2?", "chosen": "4", "rejected": "5"}
    assert parse_preference(orca) == Preference((SYSTEM, user("2+2?")), PAIR.answers, (0, 1))
    turns = [said("human", "2+2?"), said("gpt", "4")]
    talk = {"system": "Be brief.", "conversations": turns}
    assert parse_conversation(talk).prompt == (SYSTEM, user("2+2?"))
    assert parse_conversation({**talk, "conversations": [said("system", "Be brief."), *turns]}).prompt[0] == SYSTEM
    with pytest.raises(FieldError, match=r"is another system message than the column system: 'Be brief\.'"):
        parse_conversation({**talk, "conversations": [said("system", "Ramble."), *turns]})


def test_alpaca_joins_its_input_and_keeps_its_history() -> None:
    row = {"instruction": "Translate.", "input": "chat", "output": "cat", "history": [["hi", "hello"]], "text": "all"}
    conversation = parse_conversation(row)
    assert conversation.prompt == (user("hi"), assistant("hello"), user("Translate.\n\nchat"))
    assert conversation.unread == ("text",)


def test_a_transcript_becomes_turns_and_answers_that_begin_alike_are_not_cut() -> None:
    begin = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: 2+2?\n\nAssistant:"
    row = {"chosen": f"{begin} I think 4", "rejected": f"{begin} I think 5"}
    pair = parse_preference(row)
    assert pair.prompt == (user("hi"), assistant("hello"), user("2+2?"))
    assert pair.answers == ((assistant("I think 4"),), (assistant("I think 5"),))
    plain = parse_preference(row, Reading(texts="plain"))
    assert (plain.prompt, plain.answers) == (begin, (" I think 4", " I think 5"))
    asked = parse_preference({"prompt": begin, "chosen": " I think 4", "rejected": " I think 5"})
    assert (asked.prompt, asked.answers) == (pair.prompt, pair.answers)


def test_plain_answers_that_repeat_a_long_prompt_are_read_once() -> None:
    prompt = "def add(a, b):\n    "
    pair = parse_preference({"prompt": prompt, "chosen": prompt + "return a + b", "rejected": prompt + "return a"})
    assert (pair.prompt, pair.answers) == (prompt, ("return a + b", "return a"))
    assert pair.layout.endswith("; the answers repeat the prompt, once is enough")


def test_texts_become_what_the_reading_says() -> None:
    row = {"prompt": "2+2?", "chosen": "4", "rejected": "5"}
    assert parse_preference(row) == Preference("2+2?", ("4", "5"), (0, 1))
    assert parse_preference(row).layout == "prompt, chosen and rejected, as plain text without a chat template"
    assert parse_preference(row, Reading(texts="chat")) == PAIR
    plain = parse_conversation({"question": "2+2?", "answer": "4"}, Reading(texts="plain"))
    assert plain == Conversation("2+2?", "4")
    with pytest.raises(FieldError, match=r"data\.texts is plain, but the row holds messages"):
        parse_preference(WHOLE, Reading(texts="plain"))


def test_columns_are_named_and_nested_ones_by_dots() -> None:
    columns = {"prompt": "question", "chosen": "good", "rejected": "bad"}
    row = {"question": "2+2=", "good": " 4", "bad": " 5", "id": 7, "prompt": "a note"}
    assert parse_preference(row, Reading(columns)) == Preference("2+2=", (" 4", " 5"), (0, 1))
    nested = {"data": {"q": "2+2=", "a": [" 4", " 5"]}}
    columns = {"prompt": "data.q", "chosen": "data.a.0", "rejected": "data.a.1"}
    assert parse_preference(nested, Reading(columns)).answers == (" 4", " 5")
    rated = {"ask": "2+2=", "all": [{"response": " 5", "score": "1"}, {"response": " 4", "score": "9.5"}]}
    columns = {"prompt": "ask", "completions": "all.*.response", "ratings": "all.*.score"}
    ranking = parse_preference(rated, Reading(columns))
    assert (ranking.answers, ranking.ratings) == ((" 4", " 5"), (9.5, 1.0))
    with pytest.raises(FieldError, match=r"'data\.r': data\.columns\.prompt names it, but data has: q, a"):
        parse_preference(nested, Reading({"prompt": "data.r"}))
    talk = {"talk": {"turns": [said("human", "2+2?"), said("gpt", "4")]}}
    assert parse_conversation(talk, Reading({"messages": "talk.turns"})).completion == (assistant("4"),)
    chosen = {"prompt": "2+2=", "good": " 4", "messages": [user("x"), assistant("y")]}
    assert parse_conversation(chosen, Reading({"completion": "good"})) == Conversation("2+2=", " 4")


def test_text_alone_is_learned_as_a_whole() -> None:
    conversation = parse_conversation({"text": "<|user|>hi<|assistant|>hello<|end|>", "id": 3})
    assert conversation == Conversation("", "<|user|>hi<|assistant|>hello<|end|>")
    assert (conversation.layout, conversation.unread) == ("text, as it is: all of it is learned", ("id",))


@pytest.mark.parametrize(
    ("label", "wanted"), [(True, True), (0, False), (1.0, True), ("true", True), ("False", False), ("0", False)]
)
def test_a_label_is_a_truth_value_in_any_spelling(label: Any, wanted: bool) -> None:
    assert parse_unpaired({"prompt": "Q:", "completion": " a", "label": label}).wanted is wanted
    assert parse_unpaired({"prompt": "Q:", "completion": " a", "label": numpy.array([label])[0]}).wanted is wanted


@pytest.mark.parametrize("label", [None, "maybe", 2, -1, 0.5, ""])
def test_a_label_that_is_none_is_refused(label: Any) -> None:
    with pytest.raises(FieldError, match="'label': expected true or false"):
        parse_unpaired({"prompt": "Q:", "completion": " a", "label": label})


def test_of_a_whole_conversation_the_last_answer_is_judged() -> None:
    row = {"messages": [user("hi"), assistant("hello"), user("2+2?"), assistant("4")], "label": True}
    judged = parse_unpaired(row)
    assert judged.prompt == (user("hi"), assistant("hello"), user("2+2?"))
    assert (judged.answer, judged.unread) == ((assistant("4"),), ())


@pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
def test_a_thought_stays_on_its_message(key: str) -> None:
    row = {"messages": [{**user("2+2?"), key: None}, {**assistant("4"), key: "two and two"}]}
    assert parse_conversation(row).completion == ({**assistant("4"), "reasoning_content": "two and two"},)
    assert parse_conversation(row).unread == ()


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"role": "assistant", "content": None, "tool_calls": [{"name": "add"}]}, r"\[1\].tool_calls': tool calls are"),
        ({"role": "assistant", "content": None}, r"\[1\].content': expected text, got None"),
        ({"role": "assistant", "content": [{"type": "image_url", "image_url": "x"}]},
         r"\[1\].content\[0\]': expected a part of text, got 'image_url'"),
        ({"role": "assistant", "content": "4", "weight": 0}, r"\[1\].weight': is 0, but every turn of an answer"),
        ({"from": "function_call", "value": "add(2, 2)"}, r"\[1\].from': tool calls are not read"),
    ],
)  # fmt: skip
def test_what_a_message_holds_and_cannot_be_kept_is_refused(message: dict[str, Any], problem: str) -> None:
    with pytest.raises(FieldError, match=problem):
        parse_conversation({"messages": [user("2+2?"), message]})


def test_a_weight_of_a_turn_that_is_never_learned_says_nothing_new() -> None:
    """OpenHermes and SlimOrca give the turns of the user a weight of 0, and their answers 1."""
    turns = [{**said("system", "Be brief."), "weight": None}, {**said("human", "2+2?"), "weight": 0.0}]
    row = {"conversations": [*turns, {**said("gpt", "4"), "weight": 1.0}]}
    assert parse_conversation(row) == Conversation((SYSTEM, user("2+2?")), (assistant("4"),))
    assert parse_conversation({"conversations": numpy.array(row["conversations"])}).unread == ()


def test_a_row_without_an_answer_or_a_question_says_what_it_has() -> None:
    with pytest.raises(FieldError, match=r"'completion': is missing; .* the row has: prompt, response_1\. Name its"):
        parse_conversation({"prompt": "2+2?", "response_1": "4"})
    with pytest.raises(FieldError, match=r"\[0\]\.role': got 'assistant' before any question, expected user or system"):
        parse_conversation({"messages": [assistant("hello"), user("2+2?"), assistant("4")]})


def test_keys_of_messages_that_are_not_read_are_named() -> None:
    row = {"messages": [{**user("2+2?"), "name": "Mia"}, assistant("4")], "source": "web", "empty": None}
    assert parse_conversation(row).unread == ("source", "messages[].name")


def test_texts_of_a_table_are_all_messages_if_some_rows_have_a_system_message(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "completion": "a"}, {"system": "Be brief.", "prompt": "q", "completion": "a"}]
    plain, chat = read_conversations(write(tmp_path / "rows.jsonl", *rows))
    assert plain.prompt == (user("q"),)
    assert chat.prompt == (SYSTEM, user("q"))
    nothing = parse_conversation({"system": None, "prompt": "q", "completion": "a"})
    assert (nothing.prompt, nothing.layout) == ((user("q"),), "system, prompt and completion, as messages")
    (alone,) = read_conversations(write(tmp_path / "rows.jsonl", rows[0]))
    assert alone.prompt == "q"
