"""Chat templates of every shape: where a turn ends, what of it is learned, what stays of a thought, who may speak."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rlvr.errors import DataError, ModelError
from rlvr.models.chat import Chat, make_chat
from rlvr.models.templates import AS_IT_IS, TEMPLATES, Template, set_template
from tasks import Message
from tests.rlvr.models.templates import FAMILIES, stand_in
from tests.rlvr.trainers.rows import assistant, user

QUESTION = (user("What is 2 + 3?"),)
TURNS: tuple[Message, ...] = (assistant("It is 5."), user("Say it again"), assistant("The answer is 5."))
SYSTEM: Message = {"role": "system", "content": "You are a helpful assistant."}
THOUGHT: Message = {"role": "assistant", "content": "It is 5.", "reasoning_content": "2 and 3 are 5"}


def chat_of(name: str, template: str | None = None, settings: Template = AS_IT_IS, ends: Sequence[int] = ()) -> Chat:
    return make_chat(stand_in(name, template), ends, 4096, name, settings)


def written(chat: Chat, ids: Sequence[int]) -> str:
    return str(chat.tokenizer.decode(list(ids)))


def learned_turns(chat: Chat, prompt: Sequence[Message], completion: Sequence[Message]) -> list[tuple[list[int], str]]:
    """Each learned turn: the ids before it, and its text."""
    turns = []
    for ids, learned in chat.examples(tuple(prompt), tuple(completion)):
        places = [place for place, now in enumerate(learned) if now]
        starts = [place for place in places if place - 1 not in places]
        for start in starts:
            stop = next(place for place in range(start, len(ids) + 1) if place == len(ids) or not learned[place])
            turns.append((ids[:start], str(chat.tokenizer.decode(ids[start:stop]))))
    return turns


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_sampled_last_and_what_is_taught_last_is_the_end_that_the_template_writes(name: str) -> None:
    chat = chat_of(name)
    family, tokenizer = FAMILIES[name], chat.tokenizer
    assert tokenizer.convert_ids_to_tokens(chat.end_ids[0]) == family.end
    assert tokenizer.eos_token_id in chat.end_ids
    for completion in (TURNS[:1], TURNS):
        for ids, learned in chat.examples(QUESTION, completion):
            assert tokenizer.convert_ids_to_tokens(ids[-1]) == family.end
            assert learned[-1]
    assert chat.completion_ids("5")[-1] == chat.end_ids[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_turn_is_learned_once_after_the_very_tokens_that_it_is_sampled_after(name: str) -> None:
    chat = chat_of(name)
    messages = (*QUESTION, *TURNS)
    turns = learned_turns(chat, QUESTION, TURNS)
    assert [before for before, _ in turns] == [chat.prompt_ids(messages[:1]), chat.prompt_ids(messages[:3])]
    for (_, text), message in zip(turns, TURNS[::2], strict=True):
        assert text.replace("<think>\n\n</think>\n\n", "").replace("\n</think>\n\n", "").strip() == (
            message["content"] + FAMILIES[name].end
        )


def test_one_row_where_turns_are_appended_and_a_row_for_each_turn_where_they_are_rewritten() -> None:
    rows = {name: len(chat_of(name).examples(QUESTION, TURNS)) for name in FAMILIES}
    assert rows == {name: 2 if name in ("qwen3", "r1_distill") else 1 for name in FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reply_goes_on_where_the_policy_ended_its_turn(name: str) -> None:
    chat = chat_of(name)
    reply = chat.reply_ids((*QUESTION, TURNS[0]), TURNS[1:2])
    whole = written(chat, chat.prompt_ids((*QUESTION, *TURNS[:2])))
    assert whole.endswith(written(chat, reply))
    before, answer = chat.turn_ids(QUESTION, TURNS[0])
    if name not in ("qwen3", "r1_distill"):
        assert [*before, *answer, *reply] == chat.prompt_ids((*QUESTION, *TURNS[:2]))
    assert "Say it again" in written(chat, reply)
    assert FAMILIES[name].end not in written(chat, reply).partition("Say")[0]


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.adds_bos])
def test_a_text_begins_once_however_the_prompt_came(name: str) -> None:
    chat = chat_of(name)
    bos, token = chat.tokenizer.bos_token_id, str(FAMILIES[name].bos)
    silent = chat_of(
        name, FAMILIES[name].template.replace("{{ bos_token }}", "").replace("bos_token + content", "content")
    )
    for ids in (
        chat.prompt_ids(QUESTION),
        silent.prompt_ids(QUESTION),
        silent.examples(QUESTION, TURNS)[-1][0],
        chat.encode("What is", " it")[0],
        chat.encode(f"{token}What is", " it")[0],
    ):
        assert ids[0] == bos
        assert ids.count(bos) == 1
    assert bos not in chat.completion_ids("5")
    assert bos not in chat.reply_ids((*QUESTION, TURNS[0]), TURNS[1:2])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_text_of_a_completion_is_what_was_written_behind_the_prompt(name: str) -> None:
    chat = chat_of(name)
    text = "  if x == 1 :\n\n    return 'it' , \\frac{1}{2}"
    assert chat.text(chat.completion_ids(text)) == chat.frame.opening + text


def test_tags_that_are_tokens_stay_in_the_text_and_ends_and_padding_do_not() -> None:
    chat = chat_of("qwen3")
    text = "<think>\nso\n</think>\n\nIt is 5."
    ids = chat.completion_ids(text)
    assert chat.tokenizer.convert_tokens_to_ids("</think>") in ids
    assert chat.text([*ids, chat.tokenizer.pad_token_id]) == text


def test_a_thought_that_the_prompt_opens_is_whole_for_verifiers_and_not_opened_twice_in_what_is_taught() -> None:
    chat = chat_of("r1_distill")
    assert chat.text(chat.tokenizer.encode("so it", add_special_tokens=False)) == "<think>\nso it"  # never ends
    for content in ("<think>\nso\n</think>\n\nIt is 5.", "so\n</think>\n\nIt is 5."):
        ((before, text),) = learned_turns(chat, QUESTION, (assistant(content),))
        assert written(chat, before).endswith("<|Assistant|><think>\n")
        assert text == "so\n</think>\n\nIt is 5.<|end_of_sentence|>"
    assert chat.text(chat.completion_ids("<think>\nso\n</think>\n\n5")) == "<think>\nso\n</think>\n\n5"


def test_a_thought_that_the_data_opens_is_whole_too() -> None:
    chat = chat_of("qwen2_5", TEMPLATES["plain"])
    prompt = (user("User: 2 + 3? Assistant: Let me think.\n<think>"),)
    ids = chat.tokenizer.encode("so it is 5", add_special_tokens=False)
    assert chat.text(ids, chat.prompt_ids(prompt)) == "<think>so it is 5"
    assert chat.text(ids, chat.prompt_ids(QUESTION)) == "so it is 5"
    ((_, text),) = learned_turns(chat, prompt, (assistant("<think>so\n</think>5"),))
    assert text == "so\n</think>5<|endoftext|>"


def test_what_a_template_writes_before_an_answer_is_the_answers_own_where_it_opens_answers_itself() -> None:
    """gpt-oss writes a channel there, which the policy chooses."""
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] }}{% if m['role'] == 'assistant' %}<|channel|>{% endif %}"
        "{{ m['content'] }}{% if loop.last and m['role'] == 'assistant' %}<|endoftext|>{% else %}<|im_end|>{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}"
    )
    tokenizer = stand_in("qwen2_5", template)
    tokenizer.add_tokens(["<|channel|>"])
    chat = make_chat(tokenizer, [2], 4096, "x")
    assert written(chat, chat.prompt_ids(QUESTION)).endswith("<|im_start|>assistant")
    assert [text for _, text in learned_turns(chat, QUESTION, TURNS)] == [
        "<|channel|>It is 5.<|endoftext|>",
        "<|channel|>The answer is 5.<|endoftext|>",
    ]
    reply = chat.reply_ids((*QUESTION, TURNS[0]), TURNS[1:2])
    assert written(chat, reply) == "<|im_start|>userSay it again<|im_end|><|im_start|>assistant"


def test_a_template_that_writes_todays_date_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    template = (
        "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
        "{{ date_string }}" + FAMILIES["qwen2_5"].template
    )
    chat_of("qwen2_5", template, ends=[2])
    assert "writes today's date into prompts" in capsys.readouterr().out
    chat = chat_of("qwen2_5", template, Template({"date_string": "26 Jul 2024"}), ends=[2])
    assert capsys.readouterr().out == ""
    assert written(chat, chat.prompt_ids(QUESTION)).startswith("26 Jul 2024<|im_start|>")


def test_thoughts_are_learned_in_their_own_turn_and_read_as_the_template_leaves_them_later() -> None:
    for name in ("qwen3", "r1_distill"):
        chat = chat_of(name)
        first, second = learned_turns(chat, QUESTION, (THOUGHT, TURNS[1], THOUGHT))
        for before, text in (first, second):
            assert "2 and 3 are 5\n</think>\n\nIt is 5." in text
            assert "2 and 3" not in written(chat, before)


def test_a_thought_in_a_field_is_the_same_as_one_in_the_words() -> None:
    spelled = assistant("<think>\n2 and 3 are 5\n</think>\n\nIt is 5.")
    for name in ("qwen3", "r1_distill"):
        chat = chat_of(name)
        assert chat.examples(QUESTION, (THOUGHT,)) == chat.examples(QUESTION, (spelled,))


@pytest.mark.parametrize("name", ["llama3", "phi3", "gemma2"])
def test_a_thought_that_the_template_has_no_place_for_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"\(reasoning_content\), and the chat template has no place for thoughts"):
        chat_of(name).examples(QUESTION, (THOUGHT,))


def test_a_thought_is_written_in_the_templates_own_tags_or_refused_where_it_leaves_it_out() -> None:
    channels = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] }}"
        "{% if m.thinking %}{{ '<|channel|>' + m.thinking }}{% endif %}{{ '<|say|>' + m['content'] + '<|im_end|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}"
    )
    ((_, text),) = learned_turns(chat_of("qwen2_5", channels), QUESTION, (THOUGHT,))
    assert text == "<|channel|>2 and 3 are 5<|say|>It is 5.<|im_end|>"
    forgets = channels.replace("'<|channel|>' + m.thinking", "''")
    with pytest.raises(DataError, match="the chat template leaves out the thought of an answer"):
        chat_of("qwen2_5", forgets).examples(QUESTION, (THOUGHT,))


@pytest.mark.parametrize("name", FAMILIES)
def test_an_end_that_the_data_has_written_is_not_taught_twice(name: str) -> None:
    chat, family = chat_of(name), FAMILIES[name]
    ended = assistant("It is 5." + family.end)
    assert chat.examples(QUESTION, (ended,)) == chat.examples(QUESTION, (assistant("It is 5."),))
    assert chat.encode("What is", " it" + family.eos) == chat.encode("What is", " it")


@pytest.mark.parametrize(
    "answer",
    [
        assistant("<think>\nseven\n</think>\n\n7"),
        Message(role="assistant", content="7", reasoning_content="seven"),
    ],
)
def test_a_thought_behind_one_that_the_prompt_has_closed_is_refused(answer: Message) -> None:
    quick = chat_of("qwen3", settings=Template({"enable_thinking": False}))
    with pytest.raises(DataError, match=r"the prompt closes the thought .* and this answer has one"):
        quick.encode([user("3+4?")], [answer])
    ids, learned, _ = quick.encode([user("3+4?")], [assistant("7")])
    assert written(quick, ids).endswith("<think>\n\n</think>\n\n")
    assert "think" not in written(quick, learned)


def test_words_about_a_thought_at_the_end_of_a_question_close_none() -> None:
    chat = chat_of("qwen2_5", TEMPLATES["plain"])
    thought = "<think>seven</think> 7"
    _, learned, _ = chat.encode([user("3+4? Think between <think> and </think>")], [assistant(thought)])
    assert thought in written(chat, learned)


def test_a_switch_called_thinking_is_no_field_for_thoughts() -> None:
    template = "{% if thinking is defined and thinking %}T{% endif %}" + FAMILIES["llama3"].template
    with pytest.raises(DataError, match="no place for thoughts"):
        chat_of("llama3", template).examples(QUESTION, (THOUGHT,))


def test_a_system_message_that_the_template_refuses_is_a_sentence_and_can_be_merged() -> None:
    with pytest.raises(
        DataError, match=r"refuses these messages \(system, user\): System role not supported.*merge_system"
    ):
        chat_of("gemma2").prompt_ids((SYSTEM, *QUESTION))
    merging = chat_of("gemma2", settings=Template(merge_system=True))
    assert written(merging, merging.prompt_ids((SYSTEM, *QUESTION))) == (
        "<bos><start_of_turn>user\nYou are a helpful assistant.\n\nWhat is 2 + 3?<end_of_turn>\n<start_of_turn>model\n"
    )


def test_a_system_message_that_the_template_leaves_out_is_not_left_out_in_silence() -> None:
    deaf = FAMILIES["qwen3"].template.replace("('user', 'system')", "('user',)")
    with pytest.raises(DataError, match=r"leaves out message 1, of the role 'system'.*model\.merge_system=true"):
        chat_of("qwen3", deaf).prompt_ids((SYSTEM, *QUESTION))
    with pytest.raises(DataError, match=r"leaves out message 1, of the role 'developer'"):
        chat_of("qwen3").prompt_ids(({**SYSTEM, "role": "developer"}, *QUESTION))


def test_the_default_system_message_stays() -> None:
    chat = chat_of("qwen2_5")
    assert written(chat, chat.prompt_ids(QUESTION)).startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>"
    )


def test_turns_that_do_not_alternate_are_a_sentence() -> None:
    with pytest.raises(DataError, match=r"refuses these messages \(user, user\): Conversation roles must alternate"):
        chat_of("mistral").prompt_ids((*QUESTION, *QUESTION))


def test_values_for_the_template_are_given_at_every_call_and_unknown_ones_refused() -> None:
    quick = chat_of("qwen3", settings=Template({"enable_thinking": False}))
    assert written(quick, quick.prompt_ids(QUESTION)).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    turns = learned_turns(quick, QUESTION, TURNS)
    assert [text for _, text in turns] == ["It is 5.<|im_end|>", "The answer is 5.<|im_end|>"]
    assert [before for before, _ in turns] == [quick.prompt_ids(QUESTION), quick.prompt_ids((*QUESTION, *TURNS[:2]))]
    assert written(quick, quick.reply_ids((*QUESTION, TURNS[0]), TURNS[1:2])).endswith("</think>\n\n")
    with pytest.raises(ModelError, match=r"does not read 'enable_thinkin', so it would change nothing"):
        chat_of("qwen3", settings=Template({"enable_thinkin": False}))
    with pytest.raises(ModelError, match=r"'tokenize' is set by rlvr itself"):
        chat_of("qwen3", settings=Template({"tokenize": False}))


def test_a_template_that_forgets_to_open_the_answer_is_helped(capsys: pytest.CaptureFixture[str]) -> None:
    template = FAMILIES["qwen3"].template.partition("{% if add_generation_prompt %}")[0]
    plain = template.replace("\n<think>\n", "\n").replace(
        "{% if loop.index0 > ns.last and (loop.last or thought) %}", "{% if false %}"
    )
    chat = chat_of("qwen3", plain)
    assert written(chat, chat.prompt_ids(QUESTION)).endswith("<|im_end|>\n<|im_start|>assistant\n")
    ((_, text),) = learned_turns(chat, QUESTION, TURNS[:1])
    assert text == "It is 5.<|im_end|>"
    assert written(chat, chat.reply_ids((*QUESTION, TURNS[0]), TURNS[1:2])).endswith("<|im_start|>assistant\n")


def test_an_end_that_is_no_token_is_said_and_the_tokenizers_end_is_taught(capsys: pytest.CaptureFixture[str]) -> None:
    chat = chat_of("mistral", TEMPLATES["chatml"])
    assert "writes '<|im_end|>\\n' behind an answer, which holds no token of its own" in capsys.readouterr().out
    ((_, text), (before, _)) = learned_turns(chat, QUESTION, TURNS)
    assert text == "It is 5.</s>"
    assert before == chat.prompt_ids((*QUESTION, *TURNS[:2]))


@pytest.mark.parametrize(
    ("named", "prompt", "answer"),
    [
        ("plain", "What is 2 + 3?", "It is 5.<|endoftext|>"),
        ("r1_zero", "<answer> answer here </answer>. User: What is 2 + 3? Assistant:", " It is 5.<|endoftext|>"),
        ("chatml", "<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n<|im_start|>assistant\n", "It is 5.<|im_end|>"),
        ("{{ messages[0]['content'] }}", "What is 2 + 3?", None),
    ],
)
def test_a_base_model_gets_a_template_by_name_or_as_text(named: str, prompt: str, answer: str | None) -> None:
    tokenizer = stand_in("qwen2_5")
    tokenizer.chat_template = None
    with pytest.raises(
        ModelError, match=r"has no chat template.*Name one in model\.chat_template \(plain, r1_zero, chatml"
    ):
        make_chat(tokenizer, [], 4096, "base")
    set_template(tokenizer, named, "base")
    if answer is None:
        with pytest.raises(ModelError, match="cannot write a question and its answer"):
            make_chat(tokenizer, [], 4096, "base")
        return
    chat = make_chat(tokenizer, [], 4096, "base")
    ((before, text),) = learned_turns(chat, QUESTION, TURNS[:1])
    assert (written(chat, before)[-len(prompt) :], text) == (prompt, answer)
    assert chat.end_ids[0] == chat.tokenizer.convert_tokens_to_ids(
        text[-13:] if answer.endswith("text|>") else "<|im_end|>"
    )


def test_a_template_of_ours_begins_the_text_where_the_tokenizer_does() -> None:
    tokenizer = stand_in("llama3")
    set_template(tokenizer, "plain", "base")
    chat = make_chat(tokenizer, [], 4096, "base")
    assert written(chat, chat.prompt_ids(QUESTION)) == "<|begin_of_text|>What is 2 + 3?"
    assert tokenizer.apply_chat_template([*QUESTION], tokenize=False) == "<|begin_of_text|>What is 2 + 3?"


def test_a_template_that_is_neither_name_nor_file_nor_text_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.chat_template: got 'chatm', .*did you mean 'chatml'\?"):
        set_template(stand_in("qwen3"), "chatm", "x")
    (tmp_path / "own.jinja").write_text(TEMPLATES["plain"])
    tokenizer = stand_in("qwen3")
    set_template(tokenizer, str(tmp_path / "own.jinja"), "x")
    assert tokenizer.chat_template == TEMPLATES["plain"]


def test_of_several_templates_the_default_is_used_or_the_one_that_is_named() -> None:
    templates = {"default": FAMILIES["qwen3"].template, "tool_use": FAMILIES["qwen2_5"].template}
    for named, expected in ((None, "default"), ("tool_use", "tool_use")):
        tokenizer = stand_in("qwen3")
        tokenizer.chat_template = dict(templates)
        set_template(tokenizer, named, "x")
        assert tokenizer.chat_template == templates[expected]
    tokenizer.chat_template = {"tool_use": "{{ messages }}"}
    with pytest.raises(ModelError, match="has the chat templates tool_use and none is the default"):
        make_chat(tokenizer, [], 4096, "x")
