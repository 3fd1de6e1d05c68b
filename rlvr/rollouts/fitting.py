"""Problems whose prompts do not fit are left out of training, before a run spends anything on them.

A prompt fits if it leaves room for the longest answer in the context of the model and of the engine. Whether it does
follows from the problem, the tokenizer and these limits, so the problem at a number is the same whenever it is asked
for. Left out: conversations of several turns, which may outgrow the context later (`Player`).
"""

import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rlvr.errors import DataError
from rlvr.models.chat import Chat, solution_of
from tasks import Messages, Problem, Task
from tasks.registry import training_rows_of

# Says why a problem does not fit; `None` if it does.
WhyNot = Callable[[Problem], str | None]
# So many problems in a row that do not fit mean that none will.
MOST_IN_A_ROW = 10_000
# Looking through all prompts is worth a word if it takes longer than this.
LONG_SECONDS = 10.0


@dataclass
class FittingTask:
    """A task without the problems that do not fit: its problem k is the k-th of `task` that does.

    `left_out` counts those that were passed over so far, and `first` says which was the first and why.
    """

    task: Task
    why_not: WhyNot
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    inspected: int = 0
    left_out: int = 0
    first: str = ""
    is_looked_through: bool = False

    def problem(self, index: int) -> Problem:
        """The training problem number `index`. Raises `DataError` if thousands in a row do not fit."""
        while len(self.numbers) <= index:
            self._inspect()
        return self.task.problem(self.numbers[index])

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` evaluation problems, whether they fit or not: none vanishes from an accuracy."""
        return self.task.held_out(count)

    def look_through(self) -> str | None:
        """Inspect all problems of a task that is finite. Returns what was left out, in a sentence.

        Raises `DataError` if no problem fits.
        """
        started = time.monotonic()
        try:
            count = training_rows_of(self.task)
            if count is None:  # its problems are inspected when they come up
                return None
            while self.inspected < count:
                self._inspect()
        except ValueError as error:
            raise DataError(str(error)) from error
        self.is_looked_through = True
        seconds = time.monotonic() - started
        took = f" (looking through all prompts took {seconds:.0f} s)" if seconds > LONG_SECONDS else ""
        if not self.left_out:
            return f"all {count} prompts fit{took}" if took else None
        if not self.numbers:
            raise DataError(f"none of the {count} problems to train on fits; the first: {self.first}. {WAY_OUT}")
        left_out = f"{self.left_out} of {count} problems to train on do not fit and are left out"
        return f"{left_out}{took}; the first: {self.first}"

    def _inspect(self) -> None:
        problem = self.task.problem(self.inspected)
        reason = self.why_not(problem)
        if reason is None:
            self.numbers.append(self.inspected)
        else:
            self.left_out += 1
            self.first = self.first or f"problem {problem.id!r} of {problem.source!r}, {reason}"
        self.inspected += 1
        last = self.numbers[-1] if self.numbers else -1
        if self.inspected - last > MOST_IN_A_ROW and not self.is_looked_through:
            raise DataError(f"{MOST_IN_A_ROW} problems in a row do not fit; the first: {self.first}. {WAY_OUT}")


WAY_OUT = "Lower sampling.max_tokens, raise engine.max_model_len, or take a model with a longer context"


def room_for_answers(chat: Chat, max_tokens: int) -> WhyNot:
    """Whether a prompt leaves room for `max_tokens` in the context."""
    is_short = short_prompts(chat, chat.context - max_tokens)

    def why_not(problem: Problem) -> str | None:
        if is_short(problem.prompt):
            return None
        length = len(chat.prompt_ids(problem.prompt))
        if length + max_tokens <= chat.context:
            return None
        return (
            f"whose prompt has {length} tokens, and with sampling.max_tokens={max_tokens} that is more than the "
            f"context of {chat.context}"
        )

    return why_not


def room_for_solutions(chat: Chat) -> WhyNot:
    """Whether a prompt and its worked solution are within the context.

    The check raises `DataError` for a problem without a solution.
    """
    is_short = short_prompts(chat, chat.context)
    unlimited = replace(chat, context=sys.maxsize)

    def why_not(problem: Problem) -> str | None:
        if is_short((*problem.prompt, {"role": "assistant", "content": solution_of(problem)})):
            return None
        prompt, solution = unlimited.solved_ids(problem)
        if len(prompt) + len(solution) <= chat.context:
            return None
        return (
            f"whose prompt has {len(prompt)} tokens and its solution {len(solution)}, more than the model's context of "
            f"{chat.context}"
        )

    return why_not


def short_prompts(chat: Chat, room: int) -> Callable[[Messages], bool]:
    """A quick test that is true only of prompts that need no tokenizing, since they surely have at most `room` tokens.

    A token holds at least a byte; what a template writes around a message is measured, and the text counts twice for
    tokenizers that spell characters out.
    """
    around = len(chat.prompt_ids(({"role": "user", "content": "a"},)))

    def is_short(prompt: Messages) -> bool:
        text = sum(len(message["content"].encode("utf-8", "surrogatepass")) for message in prompt)
        return 2 * text + around * (len(prompt) + 1) <= room

    return is_short
