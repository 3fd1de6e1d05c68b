"""A real vLLM engine, on whatever device there is. One engine serves the whole file: it takes seconds to start."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from rlvr.config import ModelConfig, OptimizerConfig
from rlvr.engines.vllm_engine import VLLMEngine
from rlvr.errors import WeightSyncError
from rlvr.learners.local import LocalLearner
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.types import Sampling
from rlvr.weight_sync import add_noise, probe_gap, prove_sync
from tasks.arithmetic import Arithmetic
from tests.conftest import TINY

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(sys.platform == "darwin", reason="there is no CPU build of vLLM for macOS"),
]
TOLERANCE = 1e-4


class Pair(NamedTuple):
    learner: LocalLearner
    engine: VLLMEngine
    prompts: list[list[int]]


@pytest.fixture(scope="module")
def pair(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = TINY.model_copy(update={"hidden_size": 128, "heads": 4, "kv_heads": 2, "intermediate_size": 128})
    policy = load_policy(ModelConfig(scratch=size), chat, device, temperature=0.8, seed=0)
    folder: Path = tmp_path_factory.mktemp("vllm")
    policy.save(folder, chat.tokenizer)
    engine = VLLMEngine(folder, chat.end_ids, 0, "float32", chat.context, 0.2, enforce_eager=True)
    prompts = [chat.prompt_ids(Arithmetic().problem(number).prompt) for number in range(4)]
    yield Pair(LocalLearner(policy, OptimizerConfig(lr=1e-2), steps=10), engine, prompts)
    engine.close()


def test_logprobs_agree_with_the_learners_in_float32(pair: Pair) -> None:
    assert probe_gap(*pair) < TOLERANCE


def test_a_sync_alarms_nobody_and_errors_are_still_logged(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    pair.engine.load_weights(pair.learner.named_weights(), version=0)
    logging.getLogger("vllm.worker").error("the GPU is on fire")
    assert [record.getMessage() for record in caplog.records] == ["the GPU is on fire"]


def test_after_an_optimizer_step_they_agree_again_only_once_the_weights_were_sent(pair: Pair) -> None:
    from rlvr.trainers.sft import LikelihoodLoss, equal_tokens, solution_batch

    chat = Chat(pair.engine.llm.get_tokenizer(), tuple(pair.engine.end_ids), 256)
    for _ in range(3):
        pair.learner.update(equal_tokens(solution_batch([Arithmetic().problem(9)], chat)), LikelihoodLoss())
    assert probe_gap(*pair) > 100 * TOLERANCE
    pair.engine.load_weights(pair.learner.named_weights(), version=3)
    assert probe_gap(*pair) < TOLERANCE
    assert pair.engine.version == 3


def test_every_single_weight_arrives(pair: Pair) -> None:
    for name, parameter in pair.learner.policy.trainable().items():
        with torch.no_grad():
            add_noise([parameter], 0.5)
        changed = probe_gap(*pair)
        pair.engine.load_weights(pair.learner.named_weights(), version=4)
        arrived = probe_gap(*pair)
        assert arrived < TOLERANCE < changed, name


def test_the_prefix_cache_forgets_the_keys_of_old_weights(pair: Pair) -> None:
    long_prompt = [(pair.prompts[0] * 6)[:120]]
    learner, engine, _ = pair
    assert probe_gap(learner, engine, long_prompt) < TOLERANCE  # leaves the prompt in the cache
    with torch.no_grad():
        add_noise(learner.policy.trainable().values(), 0.1)
    engine.load_weights(learner.named_weights(), version=5)
    assert probe_gap(learner, engine, long_prompt) < TOLERANCE


def test_a_partial_sync_is_refused_before_any_weight_changed(pair: Pair) -> None:
    weights = dict(pair.learner.named_weights())
    missing = next(name for name in weights if "q_proj" in name)
    version = pair.engine.version
    with pytest.raises(WeightSyncError, match=f"missing .*{missing}"):
        pair.engine.load_weights(((n, w) for n, w in weights.items() if n != missing), version=99)
    with pytest.raises(WeightSyncError, match=r"unknown .*surplus"):
        pair.engine.load_weights({**weights, "surplus": torch.zeros(1)}.items(), version=99)
    assert pair.engine.version == version
    assert probe_gap(*pair) < TOLERANCE


def test_a_sync_that_works_is_proved_and_leaves_the_policy_as_it_was(pair: Pair) -> None:
    before = {name: parameter.clone() for name, parameter in pair.learner.policy.trainable().items()}
    prove_sync(pair.learner, pair.engine, pair.prompts, tolerance=1e-3)
    for name, parameter in pair.learner.policy.trainable().items():
        assert (parameter == before[name]).all()
    assert probe_gap(*pair) < TOLERANCE


@pytest.mark.parametrize("lost", ["embed_tokens", "layers.1.mlp"])
def test_a_sync_that_loses_weights_on_the_way_is_found_out(
    pair: Pair, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = {name: weight.clone() for name, weight in pair.learner.named_weights() if lost in name}
    whole = pair.engine.load_weights

    def lossy(named_weights, version: int) -> None:
        whole(((name, stale.get(name, weight)) for name, weight in named_weights), version)

    monkeypatch.setattr(pair.engine, "load_weights", lossy)
    with pytest.raises(WeightSyncError, match="does not take over weights"):
        prove_sync(pair.learner, pair.engine, pair.prompts, tolerance=1e-3)
    monkeypatch.undo()
    pair.engine.load_weights(pair.learner.named_weights(), version=6)


def test_samples_depend_on_their_seed_alone_and_groups_differ_within(pair: Pair) -> None:
    sampling = Sampling(24, 0.8)
    together = dict(pair.engine.generate(pair.prompts, 4, sampling, seeds=[7, 8, 9, 10]))
    (_, alone), *_ = pair.engine.generate([pair.prompts[2]], 4, sampling, seeds=[9])
    assert [list(r.completion_ids) for r in alone] == [list(r.completion_ids) for r in together[2]]
    assert len({tuple(r.completion_ids) for r in alone}) > 1


def test_finish_reasons_lengths_and_versions(pair: Pair) -> None:
    groups = dict(pair.engine.generate(pair.prompts, 8, Sampling(40, 1.0), seeds=range(4)))
    rollouts = [rollout for group in groups.values() for rollout in group]
    for rollout in rollouts:
        ended = rollout.completion_ids[-1] in pair.engine.end_ids
        assert rollout.finish == ("stop" if ended else "length")
        assert ended or len(rollout.completion_ids) == 40
        assert rollout.policy_version == pair.engine.version
        assert len(rollout.rollout_logprobs) == len(rollout.completion_ids)


def test_greedy_decoding_is_the_embedded_engines(pair: Pair) -> None:
    from rlvr.engines.transformers_engine import TransformersEngine

    embedded = TransformersEngine(pair.learner.policy.model, pair.engine.end_ids)
    sampling = Sampling(16, 0.0)
    ours = dict(embedded.generate(pair.prompts, 1, sampling, seeds=range(4)))
    theirs = dict(pair.engine.generate(pair.prompts, 1, sampling, seeds=range(4)))
    for index in range(4):
        assert list(ours[index][0].completion_ids) == list(theirs[index][0].completion_ids)
