"""Reward functions written for TRL: `f(prompts, completions, **columns) -> list[float | None]`, plain or async.

A function gets what TRL gives it: lists with one entry for each completion. `completions` and `prompts` are texts, or
messages, as TRL has them for conversations; every other column of the rows comes by its name. Left out: tokens
(`completion_ids`) and the trainer's state. A function of one's own for this project is simpler: see `function`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from verifiers.context import as_lists, context_of
from verifiers.function import as_verdict, failed, finished, one_each
from verifiers.names import inside, load, refusal
from verifiers.pool import Outcome, shared_pool
from verifiers.registry import NO_OTHERS
from verifiers.settings import construct
from verifiers.verdict import Pair, Verdict, Verifier


@dataclass(frozen=True)
class TRLFunction:
    """Calls the reward function at `function` (`module:name`) in a worker, with at most `chunk` completions at once.

    `completions` says in which form it expects them: `text`, or `messages` such as `[{"role": "assistant", ...}]`.
    Where it returns `None`, it does not apply: a weighted sum leaves it out. Never raises.
    """

    function: str
    completions: Literal["text", "messages"] = "text"
    chunk: int = 64

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"expected a chunk of 1 completion or more: got {self.chunk}")

    @classmethod
    def of(cls, value: object, key: str, others: Mapping[str, Verifier] = NO_OTHERS) -> Self:
        """`my_rewards:brevity`, or `{function: my_rewards:brevity, completions: messages}`."""
        settings = {"function": value} if isinstance(value, str) else value
        if not isinstance(settings, Mapping) or "function" not in settings:
            raise refusal(key, f"got {value!r}, expected module:function, or {{function: ..., completions: messages}}")
        made = construct(cls, settings, key, "a reward function for TRL")
        try:
            target = load(made.function)
        except (Exception, SystemExit) as error:  # whatever a module does when it is imported
            reason = f"{type(error).__name__}: {error}"
            raise refusal(inside(key, "function"), f"{made.function!r} cannot be loaded: {reason}") from error
        if not callable(target) or inspect.isclass(target):
            raise refusal(inside(key, "function"), f"{made.function!r} is no function")
        return made

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self.verify_chunk([(completion, answer, context)])[0]

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        chunks = [pairs[start : start + self.chunk] for start in range(0, len(pairs), self.chunk)]
        outcomes = shared_pool().run(
            "verifiers.trl:check_chunk",
            [(self, chunk) for chunk in chunks],
            timeout_seconds,
            workers=workers,
            first=("verifiers.names:load", self.function),
        )
        rows = [verdicts_of(outcome, len(chunk)) for chunk, outcome in zip(chunks, outcomes, strict=True)]
        return [verdict for row in rows for verdict in row]

    def verify_chunk(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """One call of the function, in this process; if it fails, every pair gets that verdict."""
        try:
            function = load(self.function)
            values = function(**arguments(function, self.columns(pairs)))
            if inspect.iscoroutine(values):
                values = finished(values)
            if not isinstance(values, list | tuple):
                return one_each(values, len(pairs))
            return one_each([not_applicable() if value is None else as_verdict(value) for value in values], len(pairs))
        except Exception as error:
            indexes_text = self.completions == "text" and isinstance(error, TypeError) and "indices" in str(error)
            hint = "; with completions: messages it would get messages" if indexes_text else ""
            return [failed(f"{type(error).__name__}: {error}{hint}"[:300])] * len(pairs)

    def columns(self, pairs: Sequence[Pair]) -> dict[str, list[Any]]:
        """Everything that is known about the pairs, a list for each name."""
        columns = as_lists([context_of(pair) for pair in pairs])
        prompts = [list(prompt or ()) for prompt in columns.get("prompts", [()] * len(pairs))]
        if self.completions == "text":
            texts = [messages[-1]["content"] if messages else "" for messages in prompts]
            spoken: dict[str, list[Any]] = {"prompts": texts, "completions": [pair[0] for pair in pairs]}
        else:
            said = [[{"role": "assistant", "content": pair[0]}] for pair in pairs]
            spoken = {"prompts": prompts, "completions": said}
        return {"answer": [pair[1] for pair in pairs], **columns, **spoken}


def arguments(function: Any, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns that a function takes. Raises `TypeError` for one that it needs and that is not there."""
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and parameter.name not in columns:
            raise TypeError(f"it needs {parameter.name!r}, and there is only {', '.join(columns)}")
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(columns)
    names = {parameter.name for parameter in parameters}
    return {name: values for name, values in columns.items() if name in names}


def not_applicable() -> Verdict:
    return Verdict(None, "not_applicable", detail="the reward function returned None")


def verdicts_of(outcome: Outcome, count: int) -> list[Verdict]:
    if isinstance(outcome.value, list):
        return outcome.value
    if outcome.failure == "timeout":
        detail = f"the reward function was {outcome.detail}"
        return [Verdict(None, "timeout", detail=detail, seconds=outcome.seconds)] * count
    return [failed(f"the reward function failed: {outcome.detail}", seconds=outcome.seconds)] * count


def check_chunk(payload: tuple[TRLFunction, Sequence[Pair]]) -> list[Verdict]:
    """In a worker: a chunk of pairs."""
    return payload[0].verify_chunk(payload[1])
