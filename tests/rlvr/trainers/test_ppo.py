import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from rlvr.config import ModelConfig, PPOConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError, ModelError
from rlvr.learners.local import LocalLearner
from rlvr.models.chat import Chat
from rlvr.models.heads import ValueHead, load_reward_model
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.rollouts.rows import Rows
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import ppo
from rlvr.types import Group, Rollout
from tasks import Problem
from tests.conftest import TINY
from tests.rlvr.credit import pool_of
from verifiers import Verdict

CPU = torch.device("cpu")


def config(**changes: Any) -> PPOConfig:
    values = {"trainer": "ppo", "objective": "{kl_coef: 0}", **changes}
    loaded = load_config("configs/quickstart.yaml", [f"{key}={value}" for key, value in values.items()])
    assert isinstance(loaded, PPOConfig)
    return loaded


@pytest.fixture
def critical(policy: Policy) -> Policy:
    """The tiny policy with a value head that says something."""
    head = ValueHead(TINY.hidden_size, CPU)
    torch.manual_seed(5)
    with torch.no_grad():
        head.linear.weight.normal_()
        head.linear.bias.fill_(0.3)
    policy.critic = head
    return policy


def rollout(policy: Policy, length: int, reward: float | None, finish: str = "stop") -> Rollout:
    torch.manual_seed(length)
    ids = torch.randint(5, 300, (length,)).tolist()
    row = torch.tensor([[5, 6, *ids]])
    with torch.no_grad():
        logits = policy.model(input_ids=row).logits[0].log_softmax(-1)
    logprobs = [float(logits[t + 1, token]) for t, token in enumerate(ids)]
    verdict = Verdict(reward, "correct" if reward else "wrong" if reward is not None else "error")
    return Rollout([5, 6], ids, [True] * length, logprobs, finish, 0, "", verdict, reward)  # type: ignore[arg-type]


def groups_of(*rollouts: Rollout) -> list[Group]:
    return [Group(Problem("p", ({"role": "user", "content": "?"},), "1"), rollouts)]


def straight_values(policy: Policy, ids: list[int]) -> torch.Tensor:
    """The value before each token and after the last, by the model's own forward pass."""
    with torch.no_grad():
        hidden = policy.model.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        linear = policy.critic.linear  # type: ignore[union-attr]
        return torch.nn.functional.linear(hidden, linear.weight, linear.bias).squeeze(-1)


def test_values_are_those_of_what_stands_before_each_token(critical: Policy) -> None:
    cfg = config()
    said = [rollout(critical, 4, 1.0), rollout(critical, 7, 0.0)]
    learner = LocalLearner(critical, cfg.optimizer, 1)
    batch, _ = ppo.estimated(learner, cfg, cfg.objective, Rows.of(groups_of(*said)))
    after_B = learner.snapshot(batch).after_B
    assert batch.values is not None
    for row, one in enumerate(said):
        states = straight_values(critical, [*one.prompt_ids, *one.completion_ids])
        length = len(one.completion_ids)
        assert_close(batch.values[row, 2 : 2 + length], states[1:-1], atol=1e-5, rtol=1e-4)
        assert float(after_B[row]) == pytest.approx(float(states[-1]), abs=1e-5)
        assert_close(batch.old_logprobs[row, 2 : 2 + length], torch.tensor(one.rollout_logprobs), atol=1e-5, rtol=1e-4)  # type: ignore[index]


def test_a_failed_grader_is_no_row_and_without_rewards_there_is_no_step(critical: Policy) -> None:
    cfg = config()
    learner = LocalLearner(critical, cfg.optimizer, 1)
    rows = Rows.of(groups_of(rollout(critical, 4, None), rollout(critical, 3, 1.0)))
    batch, _ = ppo.estimated(learner, cfg, cfg.objective, rows)
    assert len(batch) == 1
    unrewarded = pool_of(groups_of(rollout(critical, 4, None)), cfg.objective)
    assert ppo.learn(learner, cfg, cfg.objective, unrewarded, seed=0)[1] == {}
    assert learner.version == 0


def test_a_cut_off_completion_is_worth_its_score_or_what_the_critic_says_of_where_it_stands(critical: Policy) -> None:
    cut = rollout(critical, 5, 1.0, "length")
    after = float(straight_values(critical, [*cut.prompt_ids, *cut.completion_ids])[-1])
    for bootstrap, worth in ((False, 1.0), (True, after)):
        cfg = config(bootstrap_truncated=str(bootstrap).lower(), gae_lambda=1)
        batch, _ = ppo.estimated(LocalLearner(critical, cfg.optimizer, 1), cfg, cfg.objective, Rows.of(groups_of(cut)))
        assert batch.returns is not None
        assert_close(batch.returns[0, 2:], torch.full((5,), worth), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("value_clip", [0.0, 0.05])
def test_loss_and_gradient_are_those_of_the_formulas_written_out_token_by_token(
    chat: Chat, critical: Policy, value_clip: float
) -> None:
    objective = "{kl_coef: 0.3, entropy_coef: 0.02, whiten: true, discount: 0.97}"
    cfg = config(objective=objective, gae_lambda=0.9, value_clip=value_clip, reward_scale=2)
    reference = load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, seed=9)
    learner = LocalLearner(critical, cfg.optimizer, 1, reference)
    said = [rollout(critical, 4, 1.0), rollout(critical, 7, 0.0), rollout(critical, 2, 0.5)]
    batch, _ = ppo.estimated(learner, cfg, cfg.objective, Rows.of(groups_of(*said)))
    torch.manual_seed(3)
    with torch.no_grad():  # the policy moves, so that ratios are not 1 and some are clipped
        for weight in critical.trainable().values():
            weight.add_(0.05 * torch.randn_like(weight))
    mask = batch.completion_mask
    batch = replace(batch, loss_weights=mask / mask.sum())

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        critical.model.zero_grad()
        for weight in critical.trainable().values():
            weight.grad = None
        loss.backward()
        return torch.cat([p.grad.flatten() for p in critical.trainable().values() if p.grad is not None])

    ours, stats = ppo.PPOLoss(cfg.objective, cfg.value_coef, cfg.value_clip)(
        batch, critical.scores(batch, entropy_gradient=True)
    )
    our_gradient = gradient(ours)

    rows = []
    for row, one in enumerate(said):
        ids, n = [*one.prompt_ids, *one.completion_ids], len(one.completion_ids)
        with torch.no_grad():
            their_logits = reference.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        old = batch.old_logprobs[row, 2 : 2 + n].tolist()  # type: ignore[index]
        values = batch.values[row, 2 : 2 + n].tolist()  # type: ignore[index]
        rewards = [-0.3 * (old[t] - float(their_logits[t + 1, ids[t + 2]])) for t in range(n)]
        rewards[-1] += 2 * float(one.reward or 0.0)
        advantages = [0.0] * (n + 1)
        for t in reversed(range(n)):
            following = values[t + 1] if t + 1 < n else 0.0
            advantages[t] = rewards[t] + 0.97 * following - values[t] + 0.97 * 0.9 * advantages[t + 1]
        rows.append((ids, n, old, values, advantages[:n]))
    flat = torch.tensor([a for row in rows for a in row[4]])
    center, spread = float(flat.mean()), float(flat.std())
    total = torch.zeros(())
    for ids, n, old, values, advantages in rows:
        out = critical.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        logprobs = out.logits[0].log_softmax(-1)
        now = torch.nn.functional.linear(
            out.hidden_states[-1][0],
            critical.critic.linear.weight,
            critical.critic.linear.bias,  # type: ignore[union-attr]
        ).squeeze(-1)
        for t in range(n):
            ratio = (logprobs[t + 1, ids[t + 2]] - old[t]).exp()
            advantage = (advantages[t] - center) / spread
            surrogate = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
            target = advantages[t] + values[t]
            squared = (now[t + 1] - target) ** 2
            if value_clip:
                near = values[t] + (now[t + 1] - values[t]).clamp(-value_clip, value_clip)
                squared = torch.maximum(squared, (near - target) ** 2)
            entropy = -(logprobs[t + 1].exp() * logprobs[t + 1]).sum()
            total = total - surrogate + 0.5 * squared / 2 - 0.02 * entropy
    total = total / len(flat)
    assert 0 < float((stats["clip_fraction"] * mask).sum()) < len(flat)
    assert float(ours) == pytest.approx(float(total), rel=1e-5)
    assert_close(our_gradient, gradient(total), atol=1e-5, rtol=1e-4)


TOY = {
    "model.scratch": "{hidden_size: 32, layers: 2, heads: 2, kv_heads: 2, intermediate_size: 64}",
    "task": "{name: arithmetic, min_steps: 1, max_steps: 1, max_number: 9, max_value: 20}",
    "cold_start": "{steps: 60, rows_per_step: 32, optimizer: {lr: 5.0e-3}}",
    "prompts_per_step": 64, "group_size": 1, "sampling.max_tokens": 8, "epochs": 2, "steps": 25,
    "optimizer": "{lr: 2.0e-3, warmup_steps: 5}", "eval": "{problems: 0}", "verify.verifier": "tests.rlvr.scripts:coin",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"objective": "{kl_coef: 0.005}", "minibatches": 2}, pytest.param({}, marks=pytest.mark.nightly)],
    ids=["held near the reference", "free"],
)
def test_it_learns_what_is_rewarded(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = ppo.train(config(out=tmp_path, **(TOY | changes)))
    rows = [row for row in read_metrics(run.folder / "metrics.jsonl") if "reward/mean" in row]
    rewards = [row["reward/mean"] for row in rows]
    assert sum(rewards[:3]) / 3 < 0.75
    assert sum(rewards[-3:]) / 3 > 0.9
    assert rows[-1]["value/mean"] > 0.3


@pytest.fixture
def tiny(chat: Chat, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, 0).save(folder, chat.tokenizer)
    return folder


def small(tiny: Path, **changes: Any) -> PPOConfig:
    values = {
        "out": tiny.parent / "run", "model.path": tiny, "model.scratch": "null", "cold_start": "null", "steps": 4,
        "prompts_per_step": 8, "eval.problems": 0, "sampling.max_tokens": 8, "checkpoint.every": 2, "epochs": 2,
        "verify.verifier": "tests.rlvr.scripts:by_text", "optimizer.lr": 1e-3,
    }  # fmt: skip
    return config(**(values | changes))


def test_a_killed_run_goes_on_to_the_same_bits_with_its_critic_and_its_coefficient(tiny: Path) -> None:
    cfg = small(tiny, objective="{kl_coef: 0.02, kl_target: 1.0e-9}")
    whole = ppo.train(cfg)
    weights = {name: p.clone() for name, p in whole.learner.policy.trainable().items()}
    assert "critic.weight" in weights
    coefficient = whole.rollouts.history.kl_coef
    assert coefficient not in (None, 0.02)
    shutil.rmtree(whole.folder / "checkpoints/step-000004")
    shutil.rmtree(whole.folder / "model")
    again = ppo.train(cfg)
    assert again.rollouts.history.kl_coef == coefficient
    assert all((again.learner.policy.trainable()[name] == weight).all() for name, weight in weights.items())


def test_a_reward_model_can_be_judge_and_critic(tiny: Path, chat: Chat) -> None:
    judge = tiny.parent / "judge"
    judge.mkdir()
    load_reward_model(ModelConfig(path=str(tiny)), chat, CPU, seed=0).save(judge, chat.tokenizer)
    run = ppo.train(
        small(
            tiny,
            critic=f"{{path: {judge}}}",
            **{"verify": f"{{verifier: reward_model, reward_model: {{path: {judge}}}}}"},
        )
    )
    rows = [row for row in read_metrics(run.folder / "metrics.jsonl") if "loss" in row]
    assert rows[0]["verdict/scored"] == 1.0
    assert all(row["grad_norm"] > 0 for row in rows)
    assert any(name.startswith("critic.model.layers.0") for name in run.learner.policy.trainable())
    from transformers import AutoModelForCausalLM

    loaded = dict(AutoModelForCausalLM.from_pretrained(run.model_folder).named_parameters())
    assert not any("critic" in name or "score" in name for name in loaded)


def test_a_critic_of_its_own_is_trained_and_at_rest_when_the_policy_is(tiny: Path, chat: Chat, policy: Policy) -> None:
    cfg = config()
    critic = load_reward_model(ModelConfig(path=str(tiny), gradient_checkpointing=True), chat, CPU, seed=0)
    policy.critic = critic
    computed: list[bool] = []
    critic.model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: computed.append(critic.model.training))
    learner = LocalLearner(policy, cfg.optimizer, 1)
    batch, _ = ppo.estimated(
        learner, cfg, cfg.objective, Rows.of(groups_of(rollout(policy, 4, 1.0), rollout(policy, 6, 0.0)))
    )
    assert computed == [False]
    weights = batch.completion_mask / batch.completion_mask.sum()
    learner.update(replace(batch, loss_weights=weights), ppo.PPOLoss(cfg.objective, cfg.value_coef, cfg.value_clip))
    assert computed == [False, True, True]  # computed again in the backward pass, instead of being kept


def test_a_critic_that_is_not_there_is_named_before_anything_is_made(tiny: Path) -> None:
    cfg = small(tiny, critic=f"{{path: {tiny.parent / 'nowhere'}}}")
    with pytest.raises(ModelError, match=r"^critic.path '.*nowhere': there is no such folder"):
        ppo.train(cfg)
    assert not Path(cfg.out).exists()


def test_choices_that_ppo_does_not_read_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"objective.baseline: got 'mean', but PPO supports only 'none'"):
        config(objective="{baseline: mean}")
    with pytest.raises(ConfigError, match="presets are rows for"):
        config(objective="dr_grpo")
