"""Weights on their way to engines that hold a copy of them: one that is honest, and some that are not."""

import copy
import math
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rlvr.batching import token_batch
from rlvr.config import OptimizerConfig
from rlvr.engines.base import WeightUpdate
from rlvr.engines.fleet import Fleet
from rlvr.engines.scripted import ScriptedEngine
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.errors import WeightSyncError
from rlvr.learners.local import LocalLearner
from rlvr.learners.scripted import ScriptedLearner
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.trainers.sft import LikelihoodLoss
from rlvr.types import Completion, Sampling
from rlvr.weight_sync import PROBE_NOISES, Buckets, Probe, check_gap, prove_sync, push, sampling_bias
from tasks.arithmetic import Arithmetic


class CopyEngine(TransformersEngine):
    """An engine with a copy of the policy's weights, which it takes over tensor by tensor."""

    shares_weights = False

    def __init__(self, policy: Policy, chat: Chat) -> None:
        super().__init__(copy.deepcopy(policy.model), chat.end_ids)
        self.loads = 0

    def load(self, update: WeightUpdate) -> None:
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for bucket in update.buckets:
                for name, weight in bucket.items():
                    own.pop(name).copy_(weight) if self.takes(name) else own.pop(name)
        if own:
            raise WeightSyncError(f"{next(iter(own))} is missing")
        self.loads += 1
        self.version = update.version

    def takes(self, name: str) -> bool:
        return True


class LosesATensor(CopyEngine):
    def takes(self, name: str) -> bool:
        return name != "model.layers.0.mlp.down_proj.weight"


class TakesNothing(CopyEngine):
    """Says that it has taken the weights over."""

    def takes(self, name: str) -> bool:
        return False


class TakesOnce(CopyEngine):
    """Takes over the first weights and none after them."""

    def takes(self, name: str) -> bool:
        return self.loads == 0


class Deaf(CopyEngine):
    """Does not even say that it has heard."""

    def load(self, update: WeightUpdate) -> None:
        pass


class Noting(LocalLearner):
    """Keeps the noises that its weights were changed by."""

    noises: tuple[float, ...] = ()

    def perturbed(self, noise: float) -> AbstractContextManager[object]:
        self.noises = (*self.noises, noise)
        return super().perturbed(noise)


@pytest.fixture
def learner(policy: Policy) -> Noting:
    return Noting(policy, OptimizerConfig(lr=0.05), steps=10)


@pytest.fixture
def probe(chat: Chat) -> Probe:
    return Probe([chat.prompt_ids(Arithmetic().problem(number).prompt) for number in range(4)], 1.0, tolerance=1e-3)


def learn(learner: LocalLearner) -> None:
    """An optimizer step that moves every weight."""
    rows = token_batch([[5, 6], [7]], [[8, 9], [10, 11, 12]], [[True] * 2, [True] * 3], [0, 1])
    learner.update(replace(rows, loss_weights=rows.completion_mask / 5), LikelihoodLoss())


def assert_holds(engine: CopyEngine, learner: LocalLearner) -> None:
    theirs = dict(engine.model.named_parameters())
    for name, weight in learner.policy.named_weights():
        assert torch.equal(theirs[name], weight), name


def test_a_push_brings_every_weight_to_an_engine_with_a_copy(learner: Noting, probe: Probe, chat: Chat) -> None:
    engine = CopyEngine(learner.policy, chat)
    learn(learner)
    assert probe.gap(learner, engine, 4) > 0.01
    push(learner, engine, probe)
    assert engine.version == 1
    assert probe.gap(learner, engine, 4) < 1e-5
    assert_holds(engine, learner)


def test_several_engines_each_get_all_buckets(learner: Noting, probe: Probe, chat: Chat) -> None:
    engines = [CopyEngine(learner.policy, chat), CopyEngine(learner.policy, chat)]
    fleet = Fleet(engines)
    learn(learner)
    push(learner, fleet, probe)
    for engine in engines:
        assert_holds(engine, learner)
    fleet.close()


def test_a_version_that_was_not_taken_over_is_refused(learner: Noting, probe: Probe, chat: Chat) -> None:
    learn(learner)
    expected = "reports weights of version 0 after version 1 was sent; expected the latter"
    with pytest.raises(WeightSyncError, match=expected):
        push(learner, Deaf(learner.policy, chat), probe)


@pytest.mark.parametrize("kind", [LosesATensor, TakesNothing])
def test_a_tensor_that_was_lost_is_noticed_by_the_probe(
    learner: Noting, probe: Probe, chat: Chat, kind: type[CopyEngine]
) -> None:
    engine = kind(learner.policy, chat)
    push(learner, engine, probe)  # nothing has changed: nothing is lost
    learn(learner)
    expected = r"after weights of version 1 were sent, .* differ from the learner's by .* expected at most 0.001"
    with pytest.raises(WeightSyncError, match=expected):
        push(learner, engine, probe)


def test_an_engine_that_shares_the_learners_weights_is_not_probed(learner: Noting, chat: Chat) -> None:
    engine = TransformersEngine(learner.policy.model, chat.end_ids)
    learn(learner)
    push(learner, engine, Probe([[-1]], 1.0, tolerance=0.0))  # a prompt that no model could read
    assert engine.version == 1


def test_an_honest_engine_proves_itself_with_the_least_noise_and_ends_with_the_true_weights(
    learner: Noting, probe: Probe, chat: Chat
) -> None:
    before = {name: weight.clone() for name, weight in learner.policy.named_weights()}
    engine = CopyEngine(learner.policy, chat)
    prove_sync(learner, engine, probe)
    assert learner.noises == PROBE_NOISES[:1]
    assert engine.loads == 2
    assert_holds(engine, learner)
    for name, weight in learner.policy.named_weights():
        assert torch.equal(weight, before[name]), name


def test_noise_grows_until_it_can_be_told_from_rounding(learner: Noting, probe: Probe, chat: Chat) -> None:
    engine = CopyEngine(learner.policy, chat)
    with learner.perturbed(PROBE_NOISES[0]):
        smallest = probe.gap(learner, engine, 16)
    learner.noises = ()
    prove_sync(learner, engine, replace(probe, tolerance=smallest))
    assert learner.noises == PROBE_NOISES[:2]


@pytest.mark.parametrize(
    ("kind", "is_off"),
    [(TakesNothing, (True, True, False)), (TakesOnce, (True, False, True))],
)
def test_an_engine_that_does_not_take_over_weights_is_found_out_before_the_first_step(
    learner: Noting, probe: Probe, chat: Chat, kind: type[CopyEngine], is_off: tuple[bool, ...]
) -> None:
    expected = r"does not load weights: .* off by (\S+) before the sync, (\S+) after it, and (\S+) after the true"
    with pytest.raises(WeightSyncError, match=expected) as caught:
        prove_sync(learner, kind(learner.policy, chat), probe)
    gaps = re.search(expected, str(caught.value))
    assert gaps is not None
    assert tuple(float(gap) > probe.tolerance for gap in gaps.groups()) == is_off


class HalfANat(ScriptedEngine):
    """Says that each token had the log-probability -0.5."""

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        finished = super().ready(timeout_seconds)
        return [(n, [replace(one, logprobs=[-0.5] * len(one.ids)) for one in group]) for n, group in finished]


def test_the_gap_is_the_mean_distance_of_the_drawn_tokens_log_probabilities(chat: Chat) -> None:
    lengths: list[int] = []
    engine = HalfANat(lambda prompt, seed, number: lengths.append(seed) or "1 2 3 4 5 6", chat)
    probe = Probe([chat.completion_ids("a"), chat.completion_ids("b")], 1.0, math.inf)
    assert probe.gap(ScriptedLearner(), engine, 4) == 0.5  # the scripted learner says 0
    assert lengths == [0, 1]  # a seed for each prompt


def test_buckets_can_be_walked_once_for_each_engine(learner: Noting) -> None:
    def names(buckets: Iterator[dict[str, Tensor]]) -> list[str]:
        return [name for bucket in buckets for name in bucket]

    buckets = Buckets(learner)
    assert names(iter(buckets)) == names(iter(buckets)) == [name for name, _ in learner.policy.named_weights()]


def test_a_gap_of_a_steps_own_rollouts_is_rounding_up_to_the_tolerance() -> None:
    check_gap(1e-3, tolerance=1e-3)
    with pytest.raises(
        WeightSyncError, match=r"differ from the learner's by 0\.0011 on average, expected at most 0\.001"
    ):
        check_gap(1.1e-3, tolerance=1e-3)


def test_sampling_that_changes_the_distribution_is_explained_and_the_models_own_needs_no_words() -> None:
    assert sampling_bias(Sampling(8, 0.7, stop=("\n",))) is None
    said = sampling_bias(Sampling(8, top_p=0.9, min_tokens=3))
    assert said is not None
    assert said.startswith("sampling.top_p=0.9, min_tokens=3: completions come from another distribution than")
    assert "sequence" not in said
    assert "use correction_level: token" in (sampling_bias(Sampling(8, min_p=0.1), corrects_sequences=True) or "")


class Garbage(CopyEngine):
    """Takes the weights over and then computes nothing that is a number."""

    def load(self, update: WeightUpdate) -> None:
        super().load(update)
        with torch.no_grad():
            self.model.model.norm.weight.fill_(math.nan)


def test_a_gap_that_is_no_number_is_no_agreement(learner: Noting, probe: Probe, chat: Chat) -> None:
    with pytest.raises(WeightSyncError, match="by nan on average"):
        push(learner, Garbage(learner.policy, chat), probe)
    with pytest.raises(WeightSyncError, match="does not load weights"):
        prove_sync(learner, Garbage(learner.policy, chat), probe)
    with pytest.raises(WeightSyncError, match="by nan on average"):
        check_gap(math.nan, 1e-3)
