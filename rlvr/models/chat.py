"""From messages to token ids and back: the tokenizer, its chat template, and the tokens that end a completion."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from rlvr.errors import DataError, ModelError
from tasks import Message, Problem
from tasks.table import Text


@dataclass(frozen=True)
class Chat:
    """A tokenizer, the tokens that end a completion, and the model's context length in tokens."""

    tokenizer: PreTrainedTokenizerBase
    end_ids: tuple[int, ...]
    context: int

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a prompt with the chat template applied, up to where the assistant begins."""
        return list(self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=False))

    def problem_ids(self, problem: Problem, max_tokens: int) -> list[int]:
        """The prompt of a problem. Raises `DataError` if it leaves no room for `max_tokens` in the context."""
        ids = self.prompt_ids(problem.prompt)
        if len(ids) + max_tokens > self.context:
            raise DataError(
                f"problem {problem.id!r} of {problem.source!r}: its prompt has {len(ids)} tokens, and with "
                f"sampling.max_tokens={max_tokens} that is more than the model's context of {self.context}. Lower "
                "max_tokens, or leave the problem out"
            )
        return ids

    def solved_ids(self, problem: Problem) -> tuple[list[int], list[int]]:
        """The prompt and the worked solution of a problem. Raises `DataError` if they do not fit into the context."""
        prompt, solution = self.prompt_ids(problem.prompt), self.completion_ids(solution_of(problem))
        if len(prompt) + len(solution) > self.context:
            raise DataError(
                f"problem {problem.id!r} of {problem.source!r}: its prompt has {len(prompt)} tokens and its solution "
                f"{len(solution)}, more than the model's context of {self.context}. Leave the problem out"
            )
        return prompt, solution

    def completion_ids(self, text: str) -> list[int]:
        """The ids of the assistant's text, with an end token."""
        return [*self.tokenizer.encode(text, add_special_tokens=False), self.end_ids[0]]

    def encode(self, prompt: Text, completion: Text) -> tuple[list[int], list[int], list[bool]]:
        """The ids of a prompt and of the completion, and which of the latter are the assistant's (and so are learned).

        Plain text gets no template but an end token. Raises `DataError` if the chat template rewrites earlier turns.
        """
        if isinstance(prompt, str) or isinstance(completion, str):
            ids = self.completion_ids(str(completion))
            return list(self.tokenizer.encode(str(prompt))), ids, [True] * len(ids)
        prompt_ids = self.prompt_ids(prompt)
        if len(completion) == 1:
            ids = self.completion_ids(completion[0]["content"])
            return prompt_ids, ids, [True] * len(ids)
        messages = [*prompt, *completion]
        ids = self._template(messages)
        learned = [False] * len(ids)
        for turn in range(len(prompt), len(messages)):
            if messages[turn]["role"] != "assistant":
                continue
            before, after = self.prompt_ids(messages[:turn]), self._template(messages[: turn + 1])
            if ids[: len(before)] != before or ids[: len(after)] != after:
                raise DataError(
                    f"the chat template rewrites earlier turns (seen at message {turn + 1}), so the tokens of the "
                    "assistant cannot be told; expected each turn to be appended. Give each answer a row of its own "
                    "(prompt and completion), or use another template"
                )
            ends = [place + 1 for place in range(len(before), len(after)) if ids[place] in self.end_ids]
            stop = ends[-1] if ends else len(after)  # a template may add a line break that the policy never writes
            learned[len(before) : stop] = [True] * (stop - len(before))
        last = max(place for place, is_learned in enumerate(learned) if is_learned) + 1
        return prompt_ids, ids[len(prompt_ids) : last], learned[len(prompt_ids) : last]

    def reply_ids(self, messages: Sequence[Message], reply: Sequence[Message]) -> list[int]:
        """The ids of `reply` after an assistant's last turn, up to where the assistant goes on.

        The turns so far stay as they were sampled, though some templates rewrite them (Qwen3 takes thoughts out of
        earlier answers): only what comes after the end token of the last turn is taken from the template. Raises
        `DataError` where it cannot be told where that is.
        """
        before, after = self._template(messages), self.prompt_ids([*messages, *reply])
        turns = sum(token in self.end_ids for token in before)
        ends = [place + 1 for place, token in enumerate(after) if token in self.end_ids]
        if not 0 < turns <= len(ends):
            raise DataError(
                f"the chat template ends {turns} turns of a conversation, and {len(ends)} once the environment has "
                "replied: expected an end token after each turn, so that the reply can be told apart. Use another "
                "template, or a task of single turns"
            )
        return after[ends[turns - 1] :]

    def _template(self, messages: Sequence[Message]) -> list[int]:
        return list(self.tokenizer.apply_chat_template(list(messages), return_dict=False))

    def text(self, completion_ids: Sequence[int]) -> str:
        """The text of a completion, without special tokens."""
        return str(self.tokenizer.decode(list(completion_ids), skip_special_tokens=True))


def solution_of(problem: Problem) -> str:
    """The worked solution of a problem. Raises `DataError` if it has none."""
    if problem.solution is None:
        raise DataError(
            f"problem {problem.id!r} of {problem.source!r} has no worked solution, which fine-tuning learns from; "
            "name the column in task.solution_column, or fill it in"
        )
    return problem.solution


def make_chat(tokenizer: PreTrainedTokenizerBase, end_ids: Sequence[int], context: int, where: str) -> Chat:
    """Check that the tokenizer supports training. `where` names it in errors."""
    if not tokenizer.chat_template:
        raise ModelError(
            f"the tokenizer of {where} has no chat template, but problems are chats; expected one in its "
            "tokenizer_config.json or chat_template.jinja. Use an instruction-tuned model, or set "
            "tokenizer.chat_template and save the tokenizer"
        )
    own = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    ends = tuple(dict.fromkeys([*own, *end_ids]))
    if not ends:
        raise ModelError(f"the tokenizer of {where} has no end token (eos_token), so completions would never end")
    return Chat(tokenizer, ends, context)
