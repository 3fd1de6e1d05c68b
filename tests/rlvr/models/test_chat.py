"""Messages to tokens and back, on a template of our own and on those of real models."""

import tarfile
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from rlvr.config import ScratchConfig
from rlvr.errors import DataError, ModelError
from rlvr.models.chat import Chat, make_chat, solution_of
from rlvr.models.load import scratch_chat
from rlvr.models.tokenizer import load_tokenizer
from tasks import Message, Problem
from tests.rlvr.trainers.rows import assistant, user

QUESTION = (user("2 + 3?"),)
SAID = (*QUESTION, assistant("#### 6"))
AGAIN = (user("again"),)
PROBLEM = Problem("p-1", QUESTION, "5", source="toy", solution="2 + 3 = 5\n#### 5")


def with_template(chat: Chat, template: str, context: int = 256) -> Chat:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=chat.tokenizer.backend_tokenizer, eos_token="<|end|>", chat_template=template
    )
    return make_chat(tokenizer, [], context, "a test")


# Each turn ends in a line break that no policy writes, as in ChatML.
LINES = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Only the last turn keeps its words.
FORGETS = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + (m['content'] if loop.last else '') + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def written(chat: Chat, ids: list[int]) -> str:
    return str(chat.tokenizer.decode(ids))


def test_a_prompt_ends_where_the_assistant_begins_and_a_completion_is_ended(chat: Chat) -> None:
    assert written(chat, chat.prompt_ids(QUESTION)) == "<|user|>2 + 3?<|assistant|>"
    assert written(chat, chat.completion_ids("#### 5")) == "#### 5<|end|>"
    assert chat.text(chat.completion_ids("#### 5")) == "#### 5"


def test_a_problem_that_just_fits_is_taken_and_one_token_more_is_refused(chat: Chat) -> None:
    ids = chat.prompt_ids(QUESTION)
    assert chat.problem_ids(PROBLEM, chat.context - len(ids)) == ids
    expected = (
        f"problem 'p-1' of 'toy': its prompt has {len(ids)} tokens, and with sampling.max_tokens="
        f"{chat.context - len(ids) + 1} that is more than the model's context of {chat.context}"
    )
    with pytest.raises(DataError, match=expected):
        chat.problem_ids(PROBLEM, chat.context - len(ids) + 1)


def test_a_worked_solution_stands_behind_its_prompt_or_is_refused(chat: Chat) -> None:
    prompt, solution = chat.solved_ids(PROBLEM)
    assert (prompt, solution) == (chat.prompt_ids(QUESTION), chat.completion_ids("2 + 3 = 5\n#### 5"))
    small = Chat(chat.tokenizer, chat.end_ids, context=len(prompt) + len(solution) - 1)
    with pytest.raises(DataError, match=f"its prompt has {len(prompt)} tokens and its solution {len(solution)}, more"):
        small.solved_ids(PROBLEM)


def test_a_problem_without_a_solution_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match=r"problem 'p' of '' has no worked solution.* task\.solution_column"):
        solution_of(Problem("p", QUESTION, "5"))


def test_a_reply_stands_behind_the_end_of_the_turn_up_to_where_the_assistant_goes_on(chat: Chat) -> None:
    reply = chat.reply_ids(SAID, AGAIN)
    assert written(chat, reply) == "<|user|>again<|assistant|>"
    said = [*chat.prompt_ids(QUESTION), *chat.completion_ids("#### 6")]
    assert [*said, *reply] == chat.prompt_ids((*SAID, *AGAIN))


def test_what_a_template_writes_behind_an_end_token_belongs_to_the_reply(chat: Chat) -> None:
    lines = with_template(chat, LINES)
    assert written(lines, lines.reply_ids(SAID, AGAIN)) == "\n<|user|>again<|end|>\n<|assistant|>"


def test_what_was_sampled_stays_where_a_template_would_rewrite_it(chat: Chat) -> None:
    forgets = with_template(chat, FORGETS)
    assert written(forgets, forgets.reply_ids(SAID, AGAIN)) == "<|user|>again<|end|><|assistant|>"


def test_behind_an_answer_without_an_end_in_the_template_the_whole_reply_is_read(chat: Chat) -> None:
    endless = with_template(chat, "{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert written(endless, endless.reply_ids(SAID, AGAIN)) == "again"


def test_of_a_conversation_only_the_assistants_turns_and_their_ends_are_learned(chat: Chat) -> None:
    lines = with_template(chat, LINES)
    prompt, ids, learned = lines.encode(QUESTION, (assistant("#### 6"), *AGAIN, assistant("#### 5")))
    assert written(lines, prompt) == "<|user|>2 + 3?<|end|>\n<|assistant|>"
    chosen = [token for token, is_learned in zip(ids, learned, strict=True) if is_learned]
    assert written(lines, chosen) == "#### 6<|end|>#### 5<|end|>"
    assert written(lines, ids) == "#### 6<|end|>\n<|user|>again<|end|>\n<|assistant|>#### 5<|end|>"


def test_plain_text_is_taken_as_it_stands_and_ended(chat: Chat) -> None:
    prompt, ids, learned = chat.encode("2 + 3 =", " 5")
    assert (written(chat, prompt), written(chat, ids)) == ("2 + 3 =", " 5<|end|>")
    assert learned == [True] * len(ids)


def test_a_tokenizer_without_a_chat_template_is_refused(chat: Chat) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=chat.tokenizer.backend_tokenizer, eos_token="<|end|>")
    with pytest.raises(ModelError, match="the tokenizer of 'x' has no chat template, but problems are chats"):
        make_chat(bare, [], 256, "'x'")


def test_completions_end_with_what_the_template_writes_and_all_that_the_tokenizer_and_the_model_name(
    chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_chat(chat.tokenizer, [7, 1, 7], 256, "x").end_ids == (1, 7)  # <|end|> is 1
    endless = PreTrainedTokenizerFast(tokenizer_object=chat.tokenizer.backend_tokenizer, chat_template=LINES)
    assert capsys.readouterr().out == ""
    assert make_chat(endless, [7], 256, "x").end_ids == (1, 7)
    assert "the chat template of x ends an answer with '<|end|>', which neither" in capsys.readouterr().out


def test_where_neither_the_template_nor_the_model_knows_an_end_there_is_none(chat: Chat) -> None:
    bare = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    endless = PreTrainedTokenizerFast(tokenizer_object=chat.tokenizer.backend_tokenizer, chat_template=bare)
    assert make_chat(endless, [7], 256, "x").end_ids == (7,)
    with pytest.raises(ModelError, match=r"has no end token \(eos_token\), so completions would never end"):
        make_chat(endless, [], 256, "x")


# What each real template writes around the conversation above.
REAL = {
    "qwen3": (
        "<|im_start|>user\n2 + 3?<|im_end|>\n<|im_start|>assistant\n",
        "#### 6<|im_end|>",
        # It adds an empty thought to the last answer, and takes it back when a question follows.
        "\n<|im_start|>user\nagain<|im_end|>\n<|im_start|>assistant\n",
    ),
    "llama3_1": (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n2 + 3?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "#### 6<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\nagain<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "gemma3": (
        "<bos><start_of_turn>user\n2 + 3?<end_of_turn>\n<start_of_turn>model\n",
        "#### 6<end_of_turn>",
        "\n<start_of_turn>user\nagain<end_of_turn>\n<start_of_turn>model\n",
    ),
    "deepseek_v3": (
        "<｜begin▁of▁sentence｜><｜User｜>2 + 3?<｜Assistant｜>",
        "#### 6<｜end▁of▁sentence｜>",
        "<｜User｜>again<｜Assistant｜>",
    ),
}
BIG = ("gemma3", "deepseek_v3")  # whose files take long to read


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.nightly) if n in BIG else n for n in REAL])
def test_the_templates_of_real_models_write_what_is_sampled_and_what_is_taught(
    data: Path, has_all_data: bool, tmp_path: Path, name: str
) -> None:
    if not has_all_data:
        pytest.skip("needs the tokenizers among the data files: set RLVR_DATA")
    with tarfile.open(data / "tokenizers" / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    real = make_chat(load_tokenizer(str(tmp_path)), [], 4096, name)
    prompt, completion, reply = REAL[name]
    said = [*real.prompt_ids(QUESTION), *real.completion_ids("#### 6")]
    assert written(real, said) == prompt + completion
    ids = real.reply_ids(SAID, AGAIN)
    assert written(real, ids) == reply
    assert [*said, *ids] == real.prompt_ids((*SAID, *AGAIN))
    for text in (
        "#### 6",
        "  if x == 1 :\n\n    return 'it' , \\frac{1}{2}",
        "\n\n12 345",
        "<think>\nso\n</think>\n\n5",
    ):
        assert real.text(real.completion_ids(text)) == text
    messages = (*SAID, *AGAIN, assistant("#### 5"))
    rows = real.examples(QUESTION, messages[1:])
    if name == "qwen3":  # it writes an empty thought before the last answer, and none before earlier ones
        empty = "<think>\n\n</think>\n\n"
        assert [written(real, taught(row)) for row in rows] == [f"{empty}#### {n}<|im_end|>" for n in (6, 5)]
        assert [row[0][: row[1].index(True)] for row in rows] == [real.prompt_ids(messages[:n]) for n in (1, 3)]
    else:
        assert [written(real, taught(row)) for row in rows] == [completion + completion.replace("6", "5")]
        assert rows[0][0][: len(said)] == said


def taught(row: tuple[list[int], list[bool]]) -> list[int]:
    return [token for token, learned in zip(*row, strict=True) if learned]


def test_a_new_tokenizer_reads_any_text_and_each_digit_apart() -> None:
    new = scratch_chat(ScratchConfig(), ["12 apples and 12 pears"] * 20)
    for text in ("12 apples", "Ünïcödé ∑ 🙂", "tab\tand\nline"):
        assert new.text(new.completion_ids(text)) == text
    digits = new.completion_ids("2024")[:-1]
    assert [written(new, [token]) for token in digits] == ["2", "0", "2", "4"]


def test_messages_are_left_as_they_were(chat: Chat) -> None:
    messages: list[Message] = [user("2 + 3?"), assistant("#### 6")]
    chat.reply_ids(messages, AGAIN)
    assert messages == [user("2 + 3?"), assistant("#### 6")]
