import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from rlvr.algorithms.presets import resolve
from rlvr.algorithms.weights import AGGREGATES, token_weights
from rlvr.batching import token_batch
from rlvr.config import ModelConfig, OptimizerConfig
from rlvr.errors import DivergenceError
from rlvr.learners.local import LocalLearner
from rlvr.learners.optimizer import lr_at
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy, TokenScores
from rlvr.trainers.grpo import GRPOLoss
from rlvr.types import Batch
from tests.conftest import TINY


def fresh(chat: Chat, **options: object) -> LocalLearner:
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=0)
    return with_plain_steps(LocalLearner(policy, OptimizerConfig(lr=1.0, **options), steps=10))


def with_plain_steps(learner: LocalLearner) -> LocalLearner:
    """Adam's first step is a gradient's sign, which blows up rounding; with a large epsilon it is the gradient."""
    for group in learner.optimizer.param_groups:
        group["eps"] = 1.0
    return learner


def example(aggregate: str = "token") -> Batch:
    torch.manual_seed(0)
    completions = [torch.randint(5, 300, (n,)).tolist() for n in (9, 3, 14, 6, 1, 11)]
    prompts = [torch.randint(5, 300, (n,)).tolist() for n in (4, 7, 2, 5, 5, 3)]
    batch = token_batch(prompts, completions, [[True] * len(c) for c in completions], [0, 0, 0, 1, 1, 1])
    advantages_B = torch.tensor([1.0, -0.5, -0.5, 0.3, -0.6, 0.3])
    return replace(
        batch,
        advantages=advantages_B.unsqueeze(-1) * batch.completion_mask,
        rollout_logprobs=torch.zeros(batch.input_ids.shape),
        loss_weights=token_weights(batch.completion_mask, batch.group_index, aggregate, max_tokens=20),
    )


def weights_after(learner: LocalLearner, batch: Batch) -> tuple[dict[str, float], Tensor]:
    metrics = learner.update(batch, GRPOLoss(resolve("dr_grpo"))).metrics
    return metrics, torch.cat([parameter.detach().flatten() for parameter in learner.policy.trainable().values()])


@pytest.mark.parametrize("aggregate", sorted(AGGREGATES))
@pytest.mark.parametrize("microbatch_tokens", [1, 30, 60])
def test_microbatches_change_neither_loss_nor_weights(chat: Chat, aggregate: str, microbatch_tokens: int) -> None:
    whole_metrics, whole = weights_after(fresh(chat, microbatch_tokens=10_000), example(aggregate))
    split_metrics, split = weights_after(fresh(chat, microbatch_tokens=microbatch_tokens), example(aggregate))
    assert_close(split, whole, atol=1e-7, rtol=1e-6)
    assert split_metrics == pytest.approx(whole_metrics, rel=1e-4, abs=1e-6)


def test_padding_and_row_order_change_nothing(chat: Chat) -> None:
    batch = example()
    _, whole = weights_after(fresh(chat), batch)
    _, shuffled = weights_after(fresh(chat), batch.rows(torch.tensor([3, 5, 0, 2, 4, 1])))
    assert_close(shuffled, whole, atol=1e-7, rtol=1e-6)


def test_gradient_checkpointing_changes_memory_and_not_weights(chat: Chat) -> None:
    _, plain = weights_after(fresh(chat), example())
    config = ModelConfig(scratch=TINY, gradient_checkpointing=True)
    policy = load_policy(config, chat, torch.device("cpu"), temperature=1.0, seed=0)
    learner = with_plain_steps(LocalLearner(policy, OptimizerConfig(lr=1.0), steps=10))
    _, checkpointed = weights_after(learner, example())
    assert_close(checkpointed, plain, atol=1e-7, rtol=1e-6)


def test_a_step_raises_the_probability_of_what_was_better_than_average(chat: Chat) -> None:
    learner, batch = fresh(chat), example()
    before = learner.frozen_logprobs(batch, torch.arange(6)).sum(-1)
    learner.update(batch, GRPOLoss(resolve("dr_grpo")))
    gain = learner.frozen_logprobs(batch, torch.arange(6)).sum(-1) - before
    assert gain[0] > 0 > gain[2]


def test_frozen_logprobs_are_those_of_the_policy_and_only_of_the_rows_asked_for(chat: Chat) -> None:
    learner, batch = fresh(chat, microbatch_tokens=25), example()
    frozen = learner.frozen_logprobs(batch, torch.tensor([4, 1]))
    whole = learner.policy.scores(batch).logprobs.detach()
    assert_close(frozen[[1, 4]], whole[[1, 4]], atol=1e-6, rtol=1e-5)
    assert (frozen[[0, 2, 3, 5]] == 0).all()


def test_the_schedule_warms_up_and_ends_where_it_says() -> None:
    cosine = OptimizerConfig(lr=1.0, schedule="cosine", warmup_steps=4, final_lr_share=0.1)
    assert [lr_at(cosine, step, 104) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert lr_at(cosine, 54, 104) == pytest.approx(0.55)
    assert lr_at(cosine, 104, 104) == pytest.approx(0.1)
    assert lr_at(OptimizerConfig(lr=1.0, schedule="linear"), 75, 100) == pytest.approx(0.25)
    assert lr_at(OptimizerConfig(lr=0.3), 75, 100) == 0.3


@dataclass(frozen=True)
class Broken:
    entropy_gradient: bool = False
    whole_groups: bool = False

    def __call__(self, piece: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        return scores.logprobs.sum() * math.nan, {}


def test_a_gradient_that_is_no_number_leaves_the_weights_alone_and_the_third_stops_the_run(chat: Chat) -> None:
    learner, batch = fresh(chat), example()

    broken = Broken()
    before = [parameter.detach().clone() for parameter in learner.policy.trainable().values()]
    for _ in range(2):
        assert learner.update(batch, broken).metrics["skipped"] == 1.0
    assert (
        learner.update(batch, GRPOLoss(resolve("dr_grpo"))).metrics["skipped"] == 0.0
    )  # a good one in between starts the count anew
    changed = [parameter.detach().clone() for parameter in learner.policy.trainable().values()]
    assert any((a != b).any() for a, b in zip(before, changed, strict=True))
    for _ in range(2):
        learner.update(batch, broken)
    for a, b in zip(changed, learner.policy.trainable().values(), strict=True):
        assert (a == b).all()
    with pytest.raises(DivergenceError, match="3 optimizer steps in a row"):
        learner.update(batch, broken)


def test_bfloat16_autocast_trains_float32_weights(chat: Chat) -> None:
    config = ModelConfig(scratch=TINY, autocast="bfloat16")
    policy: Policy = load_policy(config, chat, torch.device("cpu"), temperature=1.0, seed=0)
    exact = fresh(chat).frozen_logprobs(example(), torch.arange(6))
    learner = LocalLearner(policy, OptimizerConfig(lr=1e-2), steps=10)
    rounded = learner.frozen_logprobs(example(), torch.arange(6))
    assert 0 < (rounded - exact).abs().max() < 0.1
    assert learner.update(example(), GRPOLoss(resolve("dr_grpo"))).metrics["skipped"] == 0.0
    assert {parameter.dtype for parameter in policy.trainable().values()} == {torch.float32}


@pytest.mark.slow
def test_torch_compile_changes_speed_and_not_weights(chat: Chat) -> None:
    _, plain = weights_after(fresh(chat), example())
    policy = load_policy(ModelConfig(scratch=TINY, compile=True), chat, torch.device("cpu"), temperature=1.0, seed=0)
    _, compiled = weights_after(with_plain_steps(LocalLearner(policy, OptimizerConfig(lr=1.0), steps=10)), example())
    assert_close(compiled, plain, atol=1e-6, rtol=1e-5)
