"""Both engines write what `model.generate` writes, and their log-probabilities are the learner's."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rlvr.batching import token_batch
from rlvr.config import LoraConfig, ModelConfig, OptimizerConfig
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.engines.vllm_engine import VLLMEngine
from rlvr.learners.local import LocalLearner, add_noise
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.types import Completion, Sampling
from rlvr.weight_sync import PROOF_TOKENS, Probe, prove_sync, send
from tests.real.conftest import CONVERSATIONS, MOST, SmolLM2, completions

# Sums in another order: measured 1e-5 on average and 5e-5 at most in float32.
TOLERANCE = 5e-4


@pytest.fixture(scope="module")
def policy(smollm2: SmolLM2) -> Policy:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = ModelConfig(path=str(smollm2.folder), lora=LoraConfig(rank=4, alpha=8))
    return load_policy(config, smollm2.chat, device, temperature=1.0, seed=0)


@pytest.fixture(scope="module")
def embedded(policy: Policy, smollm2: SmolLM2) -> TransformersEngine:
    return TransformersEngine(policy.model, smollm2.chat.end_ids)


def ours(policy: Policy, prompt: list[int], completion: Completion) -> torch.Tensor:
    batch = token_batch([prompt], [completion.ids], [[True] * len(completion.ids)], [0])
    with torch.no_grad():
        return policy.scores(batch.to(policy.device)).logprobs.cpu()[batch.completion_mask]


def test_the_chat_is_the_models_own(smollm2: SmolLM2) -> None:
    text = smollm2.chat.tokenizer.decode(smollm2.prompts[0])
    assert text == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert smollm2.chat.tokenizer.convert_ids_to_tokens(list(smollm2.chat.end_ids)) == ["<|im_end|>"]


def test_greedy_completions_are_those_of_generate(embedded: TransformersEngine, smollm2: SmolLM2) -> None:
    groups = completions(embedded, smollm2.prompts, 1, Sampling(MOST, temperature=0.0))
    assert [list(group[0].ids) for group in groups] == smollm2.greedy
    assert [group[0].finish for group in groups] == [
        "stop" if ids[-1] in smollm2.chat.end_ids else "length" for ids in smollm2.greedy
    ]
    assert {group[0].finish for group in groups} == {"stop", "length"}
    assert "17 + 25 =" in smollm2.chat.text(groups[0][0].ids)
    assert len(groups) == len(CONVERSATIONS)


def test_logprobs_of_sampled_tokens_are_the_learners(
    embedded: TransformersEngine, policy: Policy, smollm2: SmolLM2
) -> None:
    for prompt, group in zip(smollm2.prompts, completions(embedded, smollm2.prompts, 3, Sampling(MOST)), strict=True):
        for completion in group:
            theirs = torch.tensor(completion.logprobs)
            torch.testing.assert_close(ours(policy, prompt, completion), theirs, atol=TOLERANCE, rtol=0)


@pytest.mark.vllm
@pytest.mark.skipif(sys.platform == "darwin", reason="there is no CPU build of vLLM for macOS")
class TestVLLM:
    @pytest.fixture(scope="class")
    def engine(
        self, policy: Policy, smollm2: SmolLM2, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[VLLMEngine]:
        folder: Path = tmp_path_factory.mktemp("engine")
        policy.save(folder, smollm2.chat.tokenizer)
        engine = VLLMEngine(folder, smollm2.chat.end_ids, 0, "float32", 512, 0.2, enforce_eager=True)
        yield engine
        engine.close()

    def test_it_agrees_before_and_after_an_update(self, engine: VLLMEngine, policy: Policy, smollm2: SmolLM2) -> None:
        groups = completions(engine, smollm2.prompts, 1, Sampling(MOST, temperature=0.0))
        assert [list(group[0].ids) for group in groups] == smollm2.greedy

        learner = LocalLearner(policy, OptimizerConfig(lr=1e-3), steps=1)
        probe = Probe(smollm2.prompts, temperature=1.0, tolerance=TOLERANCE)
        prove_sync(learner, engine, probe)
        with torch.no_grad():
            add_noise(policy.trainable().values(), 1.0)
        assert probe.gap(learner, engine, PROOF_TOKENS) > 20 * TOLERANCE
        send(learner, engine)
        assert probe.gap(learner, engine, PROOF_TOKENS) < TOLERANCE
