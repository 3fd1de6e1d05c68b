from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from rlvr.config import LoraConfig, ModelConfig, TrustRegionConfig
from rlvr.errors import ConfigError
from rlvr.learners.local import LocalLearner
from rlvr.models.chat import Chat
from rlvr.models.heads import ValueHead
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.rollouts.rows import Rows
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import ppo, trust_region
from rlvr.types import Batch
from tests.conftest import TINY
from tests.rlvr.trainers.test_ppo import CPU, TOY, config, groups_of, rollout

REGION = {"trust_region": "{kl: 0.01}"}


def batch_of(policy: Policy, *lengths: int) -> Batch:
    """Rollouts of the policy with advantages of both signs."""
    policy.critic = policy.critic or ValueHead(TINY.hidden_size, CPU)
    cfg = config(**REGION)
    said = [rollout(policy, length, float(place % 2)) for place, length in enumerate(lengths)]
    batch, _ = ppo.estimated(LocalLearner(policy, cfg.optimizer, 1), cfg, cfg.objective, Rows.of(groups_of(*said)))
    mask = batch.completion_mask
    return replace(batch, loss_weights=mask / mask.sum())


def parameters_of(policy: Policy) -> list[torch.nn.Parameter]:
    return [p for p in policy.model.parameters() if p.requires_grad]


@pytest.mark.parametrize("tokens_at_once", [1000, 2])  # with 2, logits are computed in slices, and again backwards
def test_the_fisher_product_is_the_mean_outer_product_of_the_tokens_gradients(
    policy: Policy, monkeypatch: pytest.MonkeyPatch, tokens_at_once: int
) -> None:
    batch = batch_of(policy, 3, 4)
    parameters = parameters_of(policy)
    torch.manual_seed(0)
    vector = torch.randn(sum(p.numel() for p in parameters))
    logprobs = policy.scores(batch).logprobs[batch.completion_mask]
    expected = torch.zeros_like(vector)
    for logprob in logprobs:
        gradient = trust_region.flat(torch.autograd.grad(logprob, parameters, retain_graph=True))
        expected += (gradient @ vector) * gradient / 7
    monkeypatch.setattr("rlvr.models.logprobs.MAX_LOGITS", tokens_at_once * policy.model.config.vocab_size)
    for rows in ([[0, 1]], [[0], [1]]):
        pieces = [batch.rows(torch.tensor(numbers)) for numbers in rows]
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            found = trust_region.fisher_product(policy, pieces, parameters, vector, 7)
        assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)


def adapted(chat: Chat) -> Policy:
    return load_policy(ModelConfig(scratch=TINY, lora=LoraConfig(rank=4)), chat, CPU, 1.0, 0)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("bound", [1e-4, 0.01, 0.3])
def test_an_accepted_step_gains_and_stays_within_the_bound(
    chat: Chat, policy: Policy, bound: float, lora: bool
) -> None:
    policy = adapted(chat) if lora else policy
    batch = batch_of(policy, 3, 5, 7, 4, 6, 2)
    before = [p.clone() for p in parameters_of(policy)]
    for _ in range(3):  # from one policy to the next
        old = policy.scores(batch).logprobs.detach()
        batch = replace(batch, old_logprobs=old)
        trial, _ = trust_region.policy_step(policy, [batch], TrustRegionConfig(kl=bound))
        assert trial.share > 0
        log_ratio = (policy.scores(batch).logprobs - old).detach()[batch.completion_mask].double()
        kl = float((log_ratio.exp() - 1 - log_ratio).mean())
        assert 0 < kl <= bound * (1 + 1e-4)
        assert trial.kl == pytest.approx(kl, rel=1e-3, abs=1e-9)
        assert batch.advantages is not None
        mask = batch.completion_mask
        gain = float(((log_ratio.exp() - 1) * batch.advantages[mask]).mean())
        assert trial.gain == pytest.approx(gain, rel=1e-3, abs=1e-7)
        assert gain > 0
    assert any((old != p).any() for old, p in zip(before, parameters_of(policy), strict=True))


def test_where_there_is_nothing_to_gain_no_weight_moves(policy: Policy) -> None:
    batch = batch_of(policy, 3, 4)
    assert batch.advantages is not None
    batch = replace(batch, advantages=torch.zeros_like(batch.advantages))
    before = [p.clone() for p in parameters_of(policy)]
    trial, norm = trust_region.policy_step(policy, [batch], TrustRegionConfig())
    assert (trial.share, norm) == (0.0, 0.0)
    assert all((old == p).all() for old, p in zip(before, parameters_of(policy), strict=True))


def test_the_critic_learns_without_moving_the_policy(policy: Policy) -> None:
    batch = batch_of(policy, 3, 4, 5, 6)
    cfg = config(**REGION, **{"optimizer.lr": 1e-2})
    learner = LocalLearner(policy, cfg.optimizer, 8)
    model = [p.clone() for p in policy.model.parameters()]
    first = trust_region.critic_steps(learner, cfg, cfg.objective, batch, seed=0)["value/loss"]
    for _ in range(5):
        last = trust_region.critic_steps(learner, cfg, cfg.objective, batch, seed=0)["value/loss"]
    assert last < first
    assert all((old == p).all() for old, p in zip(model, policy.model.parameters(), strict=True))
    assert all(p.requires_grad for p in policy.model.parameters())


def test_microbatches_change_nothing(chat: Chat) -> None:
    steps = []
    for pieces in ([[0, 1, 2, 3]], [[0], [1, 3], [2]]):
        policy = load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, 0)
        batch = batch_of(policy, 3, 4, 5, 6)
        trust_region.policy_step(policy, [batch.rows(torch.tensor(rows)) for rows in pieces], TrustRegionConfig())
        steps.append(trust_region.flat(parameters_of(policy)).detach())
    assert_close(steps[0], steps[1], atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_it_learns_what_is_rewarded_within_its_region(tmp_path: Path) -> None:
    changes: dict[str, Any] = TOY | {"steps": 12, "trust_region": "{kl: 0.05, damping: 0.01}"}
    run = ppo.train(config(out=tmp_path, **changes))
    rows = [row for row in read_metrics(run.folder / "metrics.jsonl") if "reward/mean" in row]
    rewards = [row["reward/mean"] for row in rows]
    assert sum(rewards[:3]) / 3 < 0.2
    assert sum(rewards[-3:]) / 3 > 0.4
    assert all(row["policy_kl"] <= 0.05 for row in rows)
    assert all(row["trust_region/gain"] >= 0 for row in rows)


def test_a_killed_run_goes_on_to_the_same_bits(chat: Chat, tmp_path: Path) -> None:
    import shutil

    (tmp_path / "tiny").mkdir()
    load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, 0).save(tmp_path / "tiny", chat.tokenizer)
    cfg = config(
        out=tmp_path / "run", **REGION, steps=2, prompts_per_step=4,
        **{"model.path": tmp_path / "tiny", "model.scratch": "null", "cold_start": "null", "eval.problems": 0,
           "sampling.max_tokens": 8, "checkpoint.every": 1, "verify.verifier": "tests.rlvr.scripts:by_text"},
    )  # fmt: skip
    weights = {name: p.clone() for name, p in ppo.train(cfg).learner.policy.trainable().items()}
    shutil.rmtree(tmp_path / "run/checkpoints/step-000002")
    shutil.rmtree(tmp_path / "run/model")
    again = ppo.train(cfg).learner.policy.trainable()
    assert all((again[name] == weight).all() for name, weight in weights.items())


def test_what_a_trust_region_has_no_use_for_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"objective.clip_low: got 0.1, but a trust_region step does not use it"):
        config(**REGION, objective="{clip_low: 0.1}")
    with pytest.raises(ConfigError, match="gradients of gradients"):
        config(**REGION, **{"model.compile": "true"})
