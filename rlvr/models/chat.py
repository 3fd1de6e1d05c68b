"""From messages to token ids and back: the tokenizer, its chat template, and the tokens that end a completion."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from rlvr.errors import DataError, ModelError
from rlvr.models.templates import (
    ANSWER,
    AS_IT_IS,
    NO_FRAME,
    NO_TEMPLATE,
    QUESTION,
    Frame,
    Template,
    check_values,
    reads,
    set_template,
    source_of,
    tried,
)
from rlvr.models.thoughts import (
    bare,
    begins_with_thought,
    closes,
    closing_tag,
    holds,
    opening_of,
    opens,
    says,
    spelled_out,
    thought_of,
    without_opening,
)
from rlvr.models.tokenizer import check_round_trips, first_added, leading_ids, say, written_text
from tasks import Message, Problem
from tasks.table import Text

# A tag that opens a thought is at most so many tokens, with the space behind it.
TAG_TOKENS = 16


@dataclass(frozen=True)
class Chat:
    """A tokenizer, the tokens that end a completion, the model's context length in tokens, and the chat template.

    The first of `end_ids` is the one that the template writes behind an answer; SFT teaches it.
    """

    tokenizer: PreTrainedTokenizerBase
    end_ids: tuple[int, ...]
    context: int
    template: Template = AS_IT_IS
    frame: Frame = NO_FRAME

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a prompt with the chat template applied, up to where the assistant begins.

        Raises `DataError` if the template refuses the messages or leaves one out.
        """
        return self.text_ids(self._prompt(messages))

    def problem_ids(self, problem: Problem, max_tokens: int) -> list[int]:
        """The prompt of a problem. Raises `DataError` if it leaves no room for `max_tokens` in the context."""
        try:
            ids = self.prompt_ids(problem.prompt)
        except DataError as error:
            raise DataError(f"problem {problem.id!r} of {problem.source!r}: {error}") from error
        if len(ids) + max_tokens > self.context:
            raise DataError(
                f"problem {problem.id!r} of {problem.source!r}: its prompt has {len(ids)} tokens, and with "
                f"sampling.max_tokens={max_tokens} that is more than the model's context of {self.context}. Lower "
                "max_tokens, or leave the problem out"
            )
        return ids

    def solved_ids(self, problem: Problem) -> tuple[list[int], list[int]]:
        """The prompt and the worked solution of a problem. Raises `DataError` if they do not fit into the context."""
        answer: Message = {"role": "assistant", "content": solution_of(problem)}
        try:
            prompt, solution = self.turn_ids(problem.prompt, answer)
        except DataError as error:
            raise DataError(f"problem {problem.id!r} of {problem.source!r}: {error}") from error
        if len(prompt) + len(solution) > self.context:
            raise DataError(
                f"problem {problem.id!r} of {problem.source!r}: its prompt has {len(prompt)} tokens and its solution "
                f"{len(solution)}, more than the model's context of {self.context}. Leave the problem out"
            )
        return prompt, solution

    def completion_ids(self, text: str) -> list[int]:
        """The ids of a completion of this text, as the policy would have to sample them, with an end token."""
        prompt = self._prompt([{"role": "user", "content": QUESTION}]) if source_of(self.tokenizer) else ""
        text = without_opening(text, self.frame.opening)
        text = text if text.endswith(self.frame.closing) else text + self.frame.closing
        return self._ended(self._said_after(prompt, self.text_ids(prompt), text), self.end_ids[0])

    def turn_ids(self, before: Sequence[Message], answer: Message) -> tuple[list[int], list[int]]:
        """The prompt that an answer is sampled after, and the answer with its end token.

        Raises `DataError` if the answer has a thought, and the template has closed one (`enable_thinking: false`).
        """
        prompt = self._prompt(before)
        is_closed = closes(prompt) and not (before and closes(before[-1]["content"]))
        if is_closed and begins_with_thought(spelled_out(answer)["content"]):
            raise DataError(
                "the prompt closes the thought (as with enable_thinking: false), and this answer has one, which would "
                "be taught behind it; expected an answer without one. Drop the thought, or leave the value out of "
                "model.chat_template_kwargs"
            )
        ids = self.text_ids(prompt)
        text = self._answer(prompt, self.template.render(self.tokenizer, [*before, answer]), answer)
        return ids, self._ended(self._said_after(prompt, ids, text), self.end_ids[0])

    def examples(self, prompt: Text, completion: Text) -> list[tuple[list[int], list[bool]]]:
        """Rows of ids in which each turn of the assistant is learned once, after what it would be sampled after.

        `learned` marks the assistant's tokens. Mostly it is one row. Where the template rewrites earlier turns (it may
        take thoughts out of them), the turns from there on are in a row of their own. Plain text gets no template, but
        the tokenizer's end token.
        """
        if isinstance(prompt, str) or isinstance(completion, str):
            ids = self.text_ids(str(prompt))
            answer = self._ended(self._said_after(str(prompt), ids, str(completion)), plain_end(self))
            return [([*ids, *answer], [False] * len(ids) + [True] * len(answer))]
        messages, rows = [*prompt, *completion], list[tuple[list[int], list[bool]]]()
        for turn in range(len(prompt), len(messages)):
            if messages[turn]["role"] != "assistant":
                continue
            before, answer = self.turn_ids(messages[:turn], messages[turn])
            ids, learned = rows[-1] if rows else ([], [])
            if rows and before[: len(ids)] == ids:
                rows.pop()
            else:
                ids, learned = [], []
            new = [False] * (len(before) - len(ids)) + [True] * len(answer)
            rows.append(([*before, *answer], [*learned, *new]))
        return rows

    def encode(self, prompt: Text, completion: Text) -> tuple[list[int], list[int], list[bool]]:
        """The ids of a prompt and of the completion, and which of the latter are the assistant's (and so are learned).

        Earlier turns that the template rewrites belong to the prompt.
        """
        ids, learned = self.examples(prompt, completion)[-1]
        start = learned.index(True)
        return ids[:start], ids[start:], learned[start:]

    def reply_ids(self, messages: Sequence[Message], reply: Sequence[Message]) -> list[int]:
        """The ids of `reply` after an assistant's last turn, up to where the assistant goes on.

        The turns so far stay as they were sampled, though some templates rewrite them (Qwen3 takes thoughts out of
        earlier answers): only what comes after the end token of the last turn is taken from the template. Raises
        `DataError` where it cannot be told where that is.
        """
        *before, said = messages
        text = self._prompt([*before, {**bare(said), "content": ANSWER}, *reply])
        _, found, behind = text.rpartition(ANSWER)
        if not found:
            behind = self._behind_last_end(messages, text)
        closing, token, rest = first_added(self.tokenizer, behind)
        is_end = bool(token) and not closing.strip() and self.tokenizer.convert_tokens_to_ids(token) in self.end_ids
        end = self._decode(self.end_ids[:1])
        return self._after(end, self.text_ids(end), rest if is_end else behind)

    def _behind_last_end(self, messages: Sequence[Message], text: str) -> str:
        """What `text` goes on with after the answer that ends `messages`, where the template does not repeat it."""
        end = self._decode(self.end_ids[:1])
        turns = self.template.render(self.tokenizer, messages).count(end)
        if not 0 < turns <= text.count(end):
            raise DataError(
                f"the chat template ends {turns} turns of a conversation, and {text.count(end)} once the environment "
                "has replied: expected an end token after each turn, so that the reply can be told apart. Use another "
                "template, or a task of single turns"
            )
        return end + text.split(end, turns)[-1]

    def text(self, completion_ids: Sequence[int], prompt_ids: Sequence[int] | None = None) -> str:
        """The text of a completion as the template would write it, with a thought's tag that the prompt already opens.

        Without `prompt_ids` it is the tag that the template itself writes at the end of every prompt. Other tags that
        are tokens of their own (`<think>`, `<answer>`, a tool's) stay. End tokens, padding and the token that begins a
        text do not.
        """
        opening = self.frame.opening
        if prompt_ids is not None:
            opening = opening_of(written_text(self.tokenizer, prompt_ids[-TAG_TOKENS:]))
        return opening + self._decode([token for token in completion_ids if token not in self._silent])

    def prompt_text(self, prompt_ids: Sequence[int]) -> str:
        """The text of a prompt without special tokens."""
        return str(
            self.tokenizer.decode(list(prompt_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def text_ids(self, text: str) -> list[int]:
        """The ids of a text from its beginning: with the token that begins a text once, where the tokenizer has one."""
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        first = self._first_ids
        return ids if tuple(ids[: len(first)]) == first else [*first, *ids]

    @cached_property
    def _first_ids(self) -> tuple[int, ...]:
        return leading_ids(self.tokenizer)

    @cached_property
    def _silent(self) -> frozenset[int]:
        return frozenset([*self.end_ids, self.tokenizer.pad_token_id, self.tokenizer.bos_token_id])

    def _prompt(self, messages: Sequence[Message]) -> str:
        return self.template.render(self.tokenizer, messages, opens=True)

    def _after(self, before: str, before_ids: list[int], text: str) -> list[int]:
        """The ids of `text` behind `before`, whose own ids stay as they are."""
        ids = self.text_ids(before + text)
        return ids[len(before_ids) :] if ids[: len(before_ids)] == before_ids else self._inner(text)

    def _said_after(self, before: str, before_ids: list[int], text: str) -> list[int]:
        """As `_after`, but all of `text` is there even where the token before it would swallow a space (Phi-3's)."""
        ids = self._after(before, before_ids, text)
        return ids if self._decode(ids) in (text, f" {text}") else self._inner(text)

    def _ended(self, ids: list[int], end: int) -> list[int]:
        """An answer with one end token, also where the data has written one."""
        while ids and ids[-1] in self.end_ids:
            ids = ids[:-1]
        return [*ids, end]

    def _inner(self, text: str) -> list[int]:
        """The ids of a text in the middle of another: without the space that SentencePiece tokenizers put first."""
        ids = list(self.tokenizer.encode(text, add_special_tokens=False))
        if self._decode(ids) == text:
            return ids
        for before in ("\n", "a", "."):  # one that does not become one token with what is behind it
            first, both = (self.tokenizer.encode(part, add_special_tokens=False) for part in (before, before + text))
            if both[: len(first)] == first and self._decode(both[len(first) :]) == text:
                return list(both[len(first) :])
        return ids

    def _decode(self, ids: Sequence[int]) -> str:
        """The text of ids in the middle of a text. SentencePiece tokenizers drop a space at the very beginning."""
        if ids and str(self.tokenizer.convert_ids_to_tokens(ids[0])).startswith("▁"):
            return written_text(self.tokenizer, [ids[0], *ids])[len(written_text(self.tokenizer, ids[:1])) :]
        return written_text(self.tokenizer, ids)

    def _answer(self, prompt: str, whole: str, answer: Message) -> str:
        """The text of an answer between its prompt and its end token.

        It is what the template writes behind the prompt. Where the template rewrites the last turn too (it takes the
        thought out, or does not repeat a tag that the prompt opens), it is the answer's own text.
        """
        frame, opening, text = self.frame, opening_of(prompt), spelled_out(answer)["content"]
        written = whole[len(prompt) :] if whole.startswith(prompt) else ""
        end, behind = frame.end or self._decode(self.end_ids[:1]), frame.closing + frame.end + frame.trailing
        if behind and written.endswith(behind):
            written = written[: -len(behind)] + frame.closing
        elif end in written:
            written = written[: written.rindex(end)]
        knows_tags = "</think>" in source_of(self.tokenizer)
        is_whole = holds(written, text) if knows_tags or not thought_of(answer) else says(written, text)
        if is_whole and (not opening or closing_tag(opening) in written) and not opens(written, opening):
            return written
        if thought_of(answer) and not knows_tags:
            raise DataError(
                "the chat template leaves out the thought of an answer (reasoning_content); expected it before the "
                "words. Drop the field, or name another template in model.chat_template"
            )
        text = without_opening(text, opening)
        if opening and closing_tag(opening) not in text:  # an answer without a thought
            text = f"\n{closing_tag(opening)}\n\n{text}"
        return text + frame.closing


def plain_end(chat: Chat) -> int:
    """The token that ends a text without a template."""
    eos = chat.tokenizer.eos_token_id
    return chat.end_ids[0] if eos is None else int(eos)


def solution_of(problem: Problem) -> str:
    """The worked solution of a problem. Raises `DataError` if it has none."""
    if problem.solution is None:
        raise DataError(
            f"problem {problem.id!r} of {problem.source!r} has no worked solution, which fine-tuning learns from; "
            "name the column in task.solution_column, or fill it in"
        )
    return problem.solution


def make_chat(
    tokenizer: PreTrainedTokenizerBase,
    end_ids: Sequence[int],
    context: int,
    where: str,
    template: Template = AS_IT_IS,
    needs_template: bool = True,
) -> Chat:
    """Check that the tokenizer supports training, and try its chat template. `where` names it in errors.

    `end_ids` are the end tokens that the model's own files name; the tokenizer's and the one that the template writes
    behind an answer are added. Raises `ModelError`.
    """
    check_round_trips(tokenizer, where)
    if isinstance(tokenizer.chat_template, dict):
        set_template(tokenizer, None, where)
    frame = NO_FRAME
    if source_of(tokenizer):
        check_values(source_of(tokenizer), template.values)
        template, frame = tried(tokenizer, template, where)
    elif needs_template:
        raise ModelError(NO_TEMPLATE.format(where))
    eos = tokenizer.eos_token_id
    known = tuple(dict.fromkeys([*([] if eos is None else [eos]), *end_ids]))
    written = int(tokenizer.convert_tokens_to_ids(frame.end)) if frame.end else None
    if written is None and not known:
        raise ModelError(f"the tokenizer of {where} has no end token (eos_token), so completions would never end")
    if written is None and frame.trailing.strip():
        say(
            f"the chat template of {where} writes {frame.trailing!r} behind an answer, which holds no token of its "
            f"own; answers are taught to end with {tokenizer.decode([known[0]])!r} instead"
        )
    if written is not None and written not in known:
        say(
            f"the chat template of {where} ends an answer with {frame.end!r}, which neither the tokenizer nor the "
            "model's files name as an end; completions end with it too"
        )
    if reads(source_of(tokenizer), "strftime_now") and "date_string" not in template.values:
        say(
            f"the chat template of {where} writes today's date into prompts, so tomorrow's are others; if it reads "
            "date_string, set it in model.chat_template_kwargs"
        )
    if frame.opening:
        say(
            f"the chat template of {where} opens {frame.opening.strip()} in the prompt: completions begin inside the "
            "thought, and an answer without one is taught with an empty one"
        )
    ends = known if written is None else tuple(dict.fromkeys([written, *known]))
    return Chat(tokenizer, ends, context, template, frame)
