"""An engine without a model: a function returns the completions. For tests of the loop and dry runs of recipes."""

import time
from collections.abc import Callable

from rlvr.algorithms.choices import load_function
from rlvr.engines.base import Request, WeightUpdate
from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.types import Completion

# (prompt text, seed of the prompt, number of the completion) -> text
Script = Callable[[str, int, int], str]


class ScriptedEngine:
    """Returns the completions of `script`, with log-probability 0 for every token.

    `seconds` is a delay for each request, to simulate a slow engine.
    """

    shares_weights = True  # it has no weights that could be out of date

    def __init__(self, script: Script, chat: Chat, seconds: float = 0.0) -> None:
        self.script = script
        self.chat = chat
        self.seconds = seconds
        self.version = 0
        self.waiting: list[Request] = []

    def submit(self, request: Request) -> None:
        self.waiting.append(request)

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        if not self.waiting:
            return []
        time.sleep(self.seconds)
        request = self.waiting.pop(0)
        return [(request.number, [self._write(request, number) for number in range(request.n)])]

    def open(self) -> int:
        return len(self.waiting)

    def abort(self) -> None:
        self.waiting.clear()

    def load(self, update: WeightUpdate) -> None:
        self.version = update.version

    def close(self) -> None:
        self.abort()

    def _write(self, request: Request, number: int) -> Completion:
        ids = self.chat.completion_ids(self.script(self.chat.prompt_text(request.prompt_ids), request.seed, number))
        kept = ids[: request.sampling.max_tokens]
        return Completion(kept, [0.0] * len(kept), "stop" if kept == ids else "length", (self.version,))


def load_script(path: str | None) -> Script:
    """The function at `module:name`."""
    if not path or ":" not in path:
        raise ConfigError(f"engine.script: got {path!r}, expected module:function that writes a completion's text")
    try:
        script: Script = load_function(path)
    except ValueError as error:
        raise ConfigError(f"engine.script: {error}") from error
    return script
