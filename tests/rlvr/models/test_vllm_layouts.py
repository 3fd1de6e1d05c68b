"""The last column of docs/models.md: vLLM starts from what the policy saved, computes the same, and takes new weights.

Each row starts an engine of its own, so all but a few are nightly.
"""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from rlvr.config import LoraConfig, ModelConfig, OptimizerConfig
from rlvr.engines.base import Generator, Request, complete
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.engines.vllm_engine import VLLMEngine
from rlvr.errors import ConfigError
from rlvr.learners.local import LocalLearner, add_noise
from rlvr.models.chat import Chat
from rlvr.models.load import load_chat, load_policy
from rlvr.types import Sampling
from rlvr.weight_sync import PROOF_TOKENS, Probe, prove_sync, send
from tests.rlvr.models.layouts import EXCEPTIONS, LAYOUTS, Layout, write

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "darwin", reason="there is no CPU build of vLLM for macOS"),
]
COLUMN = "vLLM sync"
QUICK = ("Gemma 2", "Qwen3-MoE")
TOLERANCE = 1e-4
# Shorter and longer than the windows of the layouts.
PROMPTS = [[5, 6, 7], list(range(40, 90)), list(range(70, 81))]


def served(row: Layout, folder: Path, chat: Chat, lora: LoraConfig | None = None) -> Iterator[tuple]:
    """A learner and an engine that serves what it saved."""
    write(row, folder / "hub", chat.tokenizer)
    own = load_chat(str(folder / "hub"))
    policy = load_policy(ModelConfig(path=str(folder / "hub"), lora=lora), own, torch.device("cpu"), 0.8, 0)
    if lora is not None:
        with torch.no_grad():  # new adapters add nothing
            add_noise(policy.trainable().values(), 1.0)
    policy.save(folder / "engine", own.tokenizer)
    engine = VLLMEngine(folder / "engine", own.end_ids, 0, "float32", own.context, 0.2, enforce_eager=True)
    try:
        yield LocalLearner(policy, OptimizerConfig(), steps=10), engine
    finally:
        engine.close()


def check_sync(learner: LocalLearner, engine: VLLMEngine) -> None:
    probe = Probe(PROMPTS, 0.8, TOLERANCE)
    assert probe.gap(learner, engine, PROOF_TOKENS) < TOLERANCE
    with torch.no_grad():
        add_noise(learner.policy.trainable().values(), 0.3)
    assert probe.gap(learner, engine, PROOF_TOKENS) > 100 * TOLERANCE
    send(learner, engine)
    assert probe.gap(learner, engine, PROOF_TOKENS) < TOLERANCE
    prove_sync(learner, engine, probe)
    embedded = TransformersEngine(learner.policy.model, engine.end_ids)
    assert greedy(engine) == greedy(embedded)


def greedy(engine: Generator) -> list[list[int]]:
    requests = [Request(n, prompt, 1, Sampling(12, 0.0), n) for n, prompt in enumerate(PROMPTS)]
    return [completions[0].ids for completions in complete(engine, requests)]


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=() if row.name in QUICK else pytest.mark.nightly) for row in LAYOUTS],
)
def test_vllm_computes_what_the_policy_computes_before_and_after_new_weights(
    row: Layout, chat: Chat, tmp_path: Path
) -> None:
    is_there = find_spec("torchvision") is not None if row.composite else torch.cuda.is_available()
    if (row.name, COLUMN) in EXCEPTIONS and not is_there:
        with pytest.raises(ConfigError, match=r"^engine: vllm cannot serve this model"):
            next(served(row, tmp_path, chat))
        return
    for learner, engine in served(row, tmp_path, chat):
        check_sync(learner, engine)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "lora"),
    [
        ("Qwen2.5 base", LoraConfig(rank=2, targets=["lm_head", "embed_tokens"])),
        ("Qwen3-MoE", LoraConfig(rank=2)),
        ("SmolLM2", LoraConfig(rank=2, modules_to_save=["lm_head"])),
    ],
)
def test_adapters_that_untie_the_head_or_change_experts_arrive(
    name: str, lora: LoraConfig, chat: Chat, tmp_path: Path
) -> None:
    (row,) = (row for row in LAYOUTS if row.name == name)
    for learner, engine in served(row, tmp_path, chat, lora):
        check_sync(learner, engine)


@pytest.mark.nightly
def test_a_head_that_vllm_knows_only_as_tied_is_refused(chat: Chat, tmp_path: Path) -> None:
    (row,) = (row for row in LAYOUTS if row.name == "Gemma 2")
    with pytest.raises(ConfigError, match="cannot serve this model: There is no module or parameter named 'lm_head'"):
        next(served(row, tmp_path, chat, LoraConfig(rank=2, targets=["lm_head"])))
