from pathlib import Path

import pytest
import torch

from rlvr.batching import rollout_batch, trained_rows
from rlvr.config import GRPOConfig
from rlvr.config_file import load_config
from rlvr.groups import with_advantages
from rlvr.history import History
from rlvr.learner import Learner
from rlvr.metrics import read_metrics
from rlvr.models.policy import Policy
from rlvr.trainers import grpo
from rlvr.types import Group, Rollout
from tasks import Problem
from verifiers import Verdict

TOY = [
    "model.scratch={hidden_size: 32, layers: 2, heads: 2, kv_heads: 2, intermediate_size: 64}",
    "task={name: arithmetic, min_steps: 1, max_steps: 1, max_number: 9, max_value: 20}",
    "cold_start={steps: 60, rows_per_step: 32, optimizer: {lr: 5.0e-3}}",
    "steps=40",
    "prompts_per_step=16",
    "sampling.max_tokens=8",
    "optimizer={lr: 2.0e-3, warmup_steps: 5}",
    "eval={problems: 0}",
    "verify.verifier=tests.rlvr.scripts:coin",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", ["dr_grpo", "{preset: grpo, kl_coef: 0.001}", "{surrogate: reinforce, keep: mixed}"]
)
def test_it_learns_what_is_rewarded(tmp_path: Path, objective: str) -> None:
    # The verifier pays for completions that end in an even digit: a random half at the start.
    run = grpo.train(load_config("configs/quickstart.yaml", [f"out={tmp_path}", f"objective={objective}", *TOY]))
    rewards = [row["reward/mean"] for row in read_metrics(run.folder / "metrics.jsonl") if "reward/mean" in row]
    assert sum(rewards[:3]) / 3 < 0.75
    assert sum(rewards[-3:]) / 3 > 0.9


def group(*rewards: float, number: int = 0) -> Group:
    torch.manual_seed(number)
    rollouts = []
    for reward in rewards:
        ids = torch.randint(5, 300, (int(torch.randint(1, 12, ())),)).tolist()
        verdict = Verdict(reward, "correct" if reward else "wrong")
        rollouts.append(
            Rollout([5 + number, 6], ids, [True] * len(ids), [-1.0] * len(ids), "stop", 0, "", verdict, reward)
        )
    return Group(Problem(str(number), ({"role": "user", "content": "?"},), "1"), tuple(rollouts))


def config(**changes: object) -> GRPOConfig:
    loaded = load_config("configs/quickstart.yaml", [f"{key}={value}" for key, value in changes.items()])
    assert isinstance(loaded, GRPOConfig)
    return loaded


def learn(learner: Learner, cfg: GRPOConfig, groups: list[Group]) -> tuple[list[Group], dict[str, float]]:
    return grpo.learn(learner, cfg, cfg.objective, History(), groups, seed=0)


@pytest.mark.parametrize("preset", ["dr_grpo", "{preset: grpo, kl_coef: 0}"])
def test_rows_without_signal_cost_no_forward_pass_and_leave_the_gradient_as_it_is(
    policy: Policy, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = config(objective=preset)
    groups = [group(1, 0, 0), group(1, 1, 1, number=1), group(0, 0, 0, number=2)]
    computed: list[int] = []
    scores = Policy.scores
    monkeypatch.setattr(
        Policy, "scores", lambda self, batch, *more: computed.append(len(batch)) or scores(self, batch, *more)
    )

    def gradient(groups: list[Group]) -> tuple[torch.Tensor, int]:
        computed.clear()
        learner = Learner(policy, cfg.optimizer, steps=1)
        kept: list[torch.Tensor] = []
        monkeypatch.setattr(
            learner, "_apply_gradient",
            lambda loss: kept.extend(p.grad.flatten() for p in policy.trainable().values()) or {},
        )  # fmt: skip
        learn(learner, cfg, groups)
        return torch.cat(kept).clone(), sum(computed)

    skipping, rows = gradient(groups)
    assert rows == 3
    monkeypatch.setattr(grpo, "signal_B", lambda batch, objective: torch.ones(len(batch), dtype=torch.bool))
    computing_all, all_rows = gradient(groups)
    assert all_rows == 9
    torch.testing.assert_close(skipping, computing_all, atol=1e-8, rtol=1e-5)


def test_with_a_kl_term_every_row_is_computed() -> None:
    cfg = config(objective="grpo")
    groups = with_advantages([group(1, 1, 1)], cfg.objective, History())
    batch = trained_rows(rollout_batch(groups), groups, cfg.objective, None)
    assert grpo.signal_B(batch, cfg.objective).all()
    assert not grpo.signal_B(batch, config(objective="dr_grpo").objective).any()


def test_one_optimizer_step_a_batch_needs_no_frozen_forward_pass(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "frozen_logprobs", lambda *_, **__: pytest.fail("a frozen forward pass was made"))
    cfg = config(objective="dr_grpo")
    _, metrics = learn(Learner(policy, cfg.optimizer, 1), cfg, [group(1, 0)])
    assert metrics["ratio"] == 1.0
