"""An engine without a model: a function writes the completions. For tests of the loop, and for dry runs of a recipe."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module

from torch import Tensor

from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.types import Rollout, Sampling

# (prompt text, seed of the prompt, number of the completion) -> text
Script = Callable[[str, int, int], str]


class ScriptedEngine:
    """Completions by `script`, with log-probability 0 for every token: nothing was drawn."""

    def __init__(self, script: Script, chat: Chat) -> None:
        self.script = script
        self.chat = chat
        self.version = 0

    def load_weights(self, named_weights: Iterable[tuple[str, Tensor]], version: int) -> None:
        self.version = version

    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Rollout]]]:
        for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
            yield index, [self._write(prompt, seed, number, sampling.max_tokens) for number in range(n)]

    def _write(self, prompt: Sequence[int], seed: int, number: int, max_tokens: int) -> Rollout:
        ids = self.chat.completion_ids(self.script(self.chat.text(prompt), seed, number))
        kept = ids[:max_tokens]
        return Rollout(
            prompt, kept, [True] * len(kept), [0.0] * len(kept), "stop" if kept == ids else "length", self.version
        )


def load_script(path: str | None) -> Script:
    """The function at `module:name`."""
    if not path or ":" not in path:
        raise ConfigError(f"engine.script: got {path!r}, expected module:function that writes a completion's text")
    module, _, name = path.partition(":")
    try:
        script: Script = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise ConfigError(f"engine.script: cannot load {path!r}: {type(error).__name__}: {error}") from error
    return script
