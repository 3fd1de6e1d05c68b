import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rlvr.algorithms.objective import Objective
from rlvr.algorithms.presets import PRESETS
from rlvr.config import GRPOConfig, ModelConfig
from rlvr.config.file import load_config
from rlvr.learners.local import LocalLearner as Learner
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.rollouts.rows import Rows
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import grpo
from rlvr.types import Batch, Group, Rollout
from tasks import Problem
from tests.conftest import TINY
from tests.rlvr.credit import credit_of, pool_of
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
COHORTS = "task={name: arithmetic, min_steps: 1, max_steps: 2, max_number: 9, max_value: 20}"


@pytest.fixture(scope="module")
def cold_started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes answers, which all the runs below start from."""
    out = tmp_path_factory.mktemp("toy")
    return (
        grpo.train(load_config("configs/quickstart.yaml", [f"out={out}", *TOY, "steps=1"])).folder / "cold_start/model"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        # A way through the trainer each: one model, a reference, groups that wait, advantages of tokens in epochs.
        ["objective=dr_grpo"],
        ["objective={preset: grpo, kl_coef: 0.001}"],
        ["objective={preset: dapo, refill_rounds: 1, max_staleness: 2}"],
        ["objective={preset: reinforce_pp, kl_coef: 0.001}", "epochs=2", "minibatches=2"],
        # The same ways with other formulas, which test_presets compares with their papers.
        *(
            pytest.param(overrides, marks=pytest.mark.nightly)
            for overrides in (
                ["objective={surrogate: reinforce, keep: mixed}"],
                ["objective=gspo"],
                ["objective={preset: rloo, kl_coef: 0.001}"],
                ["objective={preset: fair_grpo, kl_coef: 0.001}", COHORTS],
            )
        ),
    ],
    ids=lambda overrides: " ".join(overrides)[10:],
)
def test_it_learns_what_is_rewarded(tmp_path: Path, cold_started: Path, overrides: list[str]) -> None:
    # The verifier pays for completions that end in an even digit: about one in ten at the start.
    model = [f"model.path={cold_started}", "model.scratch=null", "cold_start=null", "steps=15"]
    run = grpo.train(load_config("configs/quickstart.yaml", [f"out={tmp_path}", *TOY, *model, *overrides]))
    rewards = [row["reward/mean"] for row in read_metrics(run.folder / "metrics.jsonl") if "reward/mean" in row]
    assert sum(rewards[:3]) / 3 < 0.5
    assert sum(rewards[-3:]) / 3 > 0.9


def test_what_is_drawn_at_a_temperature_is_scored_at_it(tmp_path: Path) -> None:
    changes = ["steps=1", "cold_start={steps: 1}", "sampling.temperature=0.5", "objective=grpo"]
    run = grpo.train(load_config("configs/quickstart.yaml", [f"out={tmp_path}", *TOY, *changes]))
    assert run.learner.policy.temperature == 0.5
    assert run.learner.reference is not None
    assert run.learner.reference.temperature == 0.5
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["rollout_gap"] < 1e-4


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


def trained_batch(groups: list[Group], objective: Objective) -> Batch:
    _, batch, credit = credit_of(groups, objective)
    return replace(batch, advantages=credit.advantages).rows(credit.trained_B)


def learn(learner: Learner, cfg: GRPOConfig, groups: list[Group]) -> tuple[list[Group], dict[str, float]]:
    return grpo.learn(learner, cfg, cfg.objective, pool_of(groups, cfg.objective), seed=0)


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
            lambda loss, grad_norm: kept.extend(p.grad.flatten() for p in policy.trainable().values()) or {},
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
    batch = trained_batch([group(1, 1, 1)], cfg.objective)
    assert grpo.signal_B(batch, cfg.objective).all()
    assert not grpo.signal_B(batch, config(objective="dr_grpo").objective).any()


def test_one_optimizer_step_a_batch_needs_no_frozen_forward_pass(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "frozen_logprobs", lambda *_, **__: pytest.fail("a frozen forward pass was made"))
    cfg = config(objective="dr_grpo")
    _, metrics = learn(Learner(policy, cfg.optimizer, 1), cfg, [group(1, 0)])
    assert metrics["ratio"] == 1.0


GROUPS = [group(1, 0, 0), group(1, 0, number=1), group(0, 1, 1, number=2), group(1, 0, number=3)]


class Seen:
    """What each call of the loss saw, and the weights' own log-probabilities at the start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[dict[str, torch.Tensor]] = []
        honest = grpo.policy_loss

        def listening(logprobs: torch.Tensor, entropy: torch.Tensor, **given: torch.Tensor):
            self.calls.append({"logprobs": logprobs.detach(), **given})
            return honest(logprobs, entropy, **given)

        monkeypatch.setattr(grpo, "policy_loss", listening)


def stale(member: Group, version: int) -> Group:
    return replace(member, rollouts=tuple(replace(rollout, policy_version=version) for rollout in member.rollouts))


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("groups", [GROUPS, [stale(GROUPS[0], -2), *GROUPS[1:]]], ids=["fresh", "one stale"])
def test_ratios_are_against_the_policy_at_the_start_of_the_step(
    policy: Policy, monkeypatch: pytest.MonkeyPatch, epochs: int, groups: list[Group]
) -> None:
    cfg = config(
        objective="dr_grpo", minibatches=2, epochs=epochs, **{"optimizer.lr": 1e-2, "optimizer.warmup_steps": 0}
    )
    learner = Learner(policy, cfg.optimizer, 10)
    batch = Rows.of(groups).batch()
    start = {
        tuple(row.tolist()): logprobs
        for row, logprobs in zip(batch.input_ids, learner.frozen_logprobs(batch, torch.arange(len(batch))), strict=True)
    }
    pieces: list[torch.Tensor] = []
    scores = Policy.scores
    monkeypatch.setattr(
        Policy, "scores", lambda self, piece, *more: pieces.append(piece.input_ids) or scores(self, piece, *more)
    )
    frozen: list[int] = []
    freeze = Learner.frozen_logprobs
    monkeypatch.setattr(
        Learner, "frozen_logprobs", lambda self, b, rows, **m: frozen.append(len(rows)) or freeze(self, b, rows, **m)
    )
    seen = Seen(monkeypatch)
    learn(learner, cfg, groups)
    assert learner.version == 2 * epochs
    assert frozen == [5]  # the rows of the first piece are scored by its own update
    first, *later = seen.calls
    assert (first["logprobs"] == first["old_logprobs"]).all()
    assert len(later) == 2 * epochs - 1
    for call, ids in zip(later, pieces[-len(later) :], strict=True):
        moved = (call["logprobs"] - call["old_logprobs"])[call["mask"]]
        assert moved.abs().max() > 1e-4
        for row, old in zip(ids, call["old_logprobs"], strict=True):
            (whole,) = (value for key, value in start.items() if list(key[: len(row)]) == row.tolist())
            torch.testing.assert_close(old, whole[: len(old)], atol=1e-6, rtol=0)


def with_own_logprobs(learner: Learner, groups: list[Group]) -> list[Group]:
    """The groups as if the learner's weights had written them."""
    batch = Rows.of(groups).batch()
    ours = learner.frozen_logprobs(batch, torch.arange(len(batch)))
    rows = iter([row[mask].tolist() for row, mask in zip(ours, batch.completion_mask, strict=True)])
    return [replace(g, rollouts=tuple(replace(r, rollout_logprobs=next(rows)) for r in g.rollouts)) for g in groups]


def test_stale_rows_are_in_the_ratio_of_probabilities_and_not_in_the_check_of_the_sync(policy: Policy) -> None:
    cfg = config(objective="dr_grpo")
    learner = Learner(policy, cfg.optimizer, 1)
    first, *others = with_own_logprobs(learner, GROUPS)
    likelier = tuple(replace(r, rollout_logprobs=[x - 0.5 for x in r.rollout_logprobs]) for r in first.rollouts)
    _, metrics = learn(learner, cfg, [stale(replace(first, rollouts=likelier), -1), *others])
    assert metrics["rollout_gap"] < 1e-5
    tokens = [sum(len(r.completion_ids) for r in g.rollouts) for g in GROUPS]
    share = tokens[0] / sum(tokens)
    assert metrics["rollout_ratio/outside"] == pytest.approx(share)
    assert metrics["rollout_ratio/p01"] == pytest.approx(1.0, abs=1e-5)
    assert metrics["rollout_ratio/max"] == pytest.approx(math.exp(0.5), rel=1e-5)
    assert metrics["rollout_ratio/kl"] == pytest.approx(share * (math.exp(0.5) - 0.5 - 1), rel=1e-4)


def weights_after(chat: Chat, cfg: GRPOConfig, groups: list[Group]) -> torch.Tensor:
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=0)
    reference = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=1)
    learner = Learner(policy, cfg.optimizer, 10, reference)
    for parameters in learner.optimizer.param_groups:
        parameters["eps"] = 1.0  # Adam's first step is a gradient's sign, which blows up rounding
    learn(learner, cfg, groups)
    return torch.cat([parameter.detach().flatten() for parameter in policy.trainable().values()])


@pytest.mark.parametrize(
    "objective", ["dapo", "rloo", "reinforce_pp", "{preset: grpo_plus, correction: truncate}", "fair_grpo"]
)
@pytest.mark.parametrize("minibatches", [1, 2])
def test_microbatches_and_the_order_of_groups_change_nothing(chat: Chat, objective: str, minibatches: int) -> None:
    options = {"objective": objective, "minibatches": minibatches, "optimizer.lr": 1.0, "optimizer.warmup_steps": 0}
    whole = weights_after(chat, config(**options, **{"optimizer.microbatch_tokens": 10_000}), GROUPS)
    split = weights_after(chat, config(**options, **{"optimizer.microbatch_tokens": 20}), GROUPS)
    torch.testing.assert_close(split, whole, atol=1e-7, rtol=1e-6)
    if minibatches == 1:
        turned = weights_after(chat, config(**options), GROUPS[::-1])
        torch.testing.assert_close(turned, whole, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_takes_its_optimizer_steps(chat: Chat, preset: str) -> None:
    cfg = config(objective=preset, epochs=2, minibatches=2, **{"optimizer.lr": 1e-2, "optimizer.warmup_steps": 0})
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=0)
    reference = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=1)
    learner = Learner(policy, cfg.optimizer, 10, reference)
    apart = [
        replace(
            g,
            rollouts=tuple(replace(r, verdict=replace(r.verdict, parts={"a": r.reward, "b": 0.5})) for r in g.rollouts),
        )
        for g in GROUPS
    ]
    groups, metrics = learn(learner, cfg, apart)
    assert learner.version == 4
    assert metrics["skipped"] == 0
    assert metrics["grad_norm"] > 0
    assert metrics["policy_kl"] > 0
    assert ("kl" in metrics) == (cfg.objective.kl_coef > 0)
    assert all(rollout.advantage is not None for member in groups for rollout in member.rollouts)


def test_kl_in_the_reward_is_old_against_reference_and_enters_before_the_baseline(chat: Chat) -> None:
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=0)
    reference = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=1)
    cfg = config(objective="{preset: rloo, kl_coef: 0.5}")
    learner = Learner(policy, cfg.optimizer, 1, reference)
    batch = Rows.of(GROUPS[:1]).batch()
    rows = torch.arange(3)
    gap = learner.frozen_logprobs(batch, rows) - learner.frozen_logprobs(batch, rows, reference=True)
    penalty = (0.5 * gap).sum(-1).tolist()
    (filled,), metrics = learn(learner, cfg, GROUPS[:1])
    assert [rollout.shaping for rollout in filled.rollouts] == pytest.approx([-value for value in penalty], abs=1e-5)
    assert filled.rewards == [1, 0, 0]
    total = [reward - value for reward, value in zip((1, 0, 0), penalty, strict=True)]
    expected = [value - (sum(total) - value) / 2 for value in total]
    assert [rollout.advantage for rollout in filled.rollouts] == pytest.approx(expected, abs=1e-5)
    assert metrics["ratio"] == 1.0
    assert metrics["kl"] == pytest.approx(float(gap.sum() / batch.completion_mask.sum()), abs=1e-5)


def test_a_correction_scales_the_advantages_by_old_against_rollout(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    objective = config(objective="{preset: dr_grpo, correction: truncate, correction_high: 0.1}").objective
    batch = trained_batch(GROUPS[:1], objective)
    scores = policy.scores(batch)
    grpo.GRPOLoss(objective)(replace(batch, loss_weights=batch.completion_mask.float()), scores)
    factor = (scores.logprobs.detach() + 1.0).exp().clamp(max=0.1)  # the rollouts' own are all -1
    assert factor[batch.completion_mask].min() < 0.1
    torch.testing.assert_close(seen.calls[0]["advantages"], batch.advantages * factor * batch.completion_mask)
