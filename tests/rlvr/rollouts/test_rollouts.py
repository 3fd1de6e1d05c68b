"""What a run has that samples: a step's groups, the way of weights to the engine, warnings, and what is kept."""

import json
import math
from dataclasses import replace

import pytest

from rlvr.config import EvalConfig, GRPOConfig, SelectionConfig
from rlvr.config.file import load_config
from rlvr.engines.scripted import Script
from rlvr.errors import GraderError, WeightSyncError
from rlvr.learners.scripted import ScriptedLearner
from rlvr.models.chat import Chat
from rlvr.rollouts.grader import Grader
from rlvr.rollouts.history import Average, History
from rlvr.rollouts.rollouts import Rollouts
from rlvr.rollouts.source import AheadSource, Draws, FreshSource
from rlvr.types import Sampling
from rlvr.weight_sync import Probe
from tests.rlvr.players import Numbers, digit, even_is_right, fails, player_of


def config_of(*overrides: str) -> GRPOConfig:
    changes = ["prompts_per_step=2", "group_size=2", "steps=6", "no_signal_patience=2", *overrides]
    config = load_config("configs/quickstart.yaml", changes)
    assert isinstance(config, GRPOConfig)
    return config


def rollouts_of(
    chat: Chat, grader: Grader = even_is_right, ahead: int = 0, tolerance: float = math.inf, script: Script = digit
) -> Rollouts:
    player, sampling, task = player_of(chat, script), Sampling(40), Numbers()
    draws = Draws(task, SelectionConfig(), player, grader, 2, sampling, seed=5)
    return Rollouts(
        player=player,
        task=task,
        held_out=task.held_out(3),
        sampling=sampling,
        judge=grader,
        evaluation=EvalConfig(samples=2),
        max_failed_share=0.2,
        probe=Probe([], 1.0, tolerance),
        source=AheadSource(draws, ahead, last_step=6) if ahead else FreshSource(draws),
    )


def test_a_step_takes_the_groups_that_wait_before_it_samples_others(chat: Chat) -> None:
    rollouts, config = rollouts_of(chat), config_of("objective={keep: all}", "selection.max_staleness=1")
    first = rollouts.sample(config, step=1, version=0)
    rollouts.pending = first.batch[:1]
    second = rollouts.sample(config, step=2, version=0)
    assert [group.draw for group in first.batch] == [0, 1]
    assert [group.draw for group in second.batch] == [0, 2]
    assert [group.draw for group in second.fresh] == [2]


def test_a_grader_that_fails_too_often_stops_the_run(chat: Chat) -> None:
    with pytest.raises(GraderError, match="failed on 100%"):
        rollouts_of(chat, fails).sample(config_of(), step=1, version=0)
    with pytest.raises(GraderError, match="failed on 100%"):
        rollouts_of(chat, fails).evaluate()


def test_weights_are_handed_over_when_they_have_changed_and_open_requests_are_finished_first(chat: Chat) -> None:
    rollouts, learner = rollouts_of(chat, ahead=1), ScriptedLearner()
    rollouts.player.generator.shares_weights = False
    rollouts.probe = replace(rollouts.probe, prompts=[[5, 6]])
    config = config_of("objective={keep: all}", "selection.max_staleness=1")
    rollouts.sample(config, step=1, version=0)
    rollouts.sync(learner, {})
    assert rollouts.player.generator.open() == 2  # nothing has changed: the next step is still being sampled
    learner.version = 1
    rollouts.sync(learner, {})
    assert rollouts.player.generator.open() == 0
    assert rollouts.player.generator.version == 1


def test_an_engine_that_shares_the_weights_writes_what_is_ahead_before_they_move(chat: Chat) -> None:
    rollouts = rollouts_of(chat, ahead=1)
    rollouts.sample(config_of("objective={keep: all}", "selection.max_staleness=1"), step=1, version=0)
    assert rollouts.player.generator.open() == 0


def test_a_gap_beyond_rounding_stops_the_run_unless_the_distribution_was_truncated(chat: Chat) -> None:
    rollouts = rollouts_of(chat, tolerance=1e-3)
    rollouts.sync(ScriptedLearner(), {"rollout_gap": 9e-4})
    expected = r"differ from the learner's by 0.002 on average, expected at most 0.001"
    with pytest.raises(WeightSyncError, match=expected):
        rollouts.sync(ScriptedLearner(), {"rollout_gap": 2e-3})
    rollouts.sampling = replace(rollouts.sampling, top_p=0.9)
    rollouts.sync(ScriptedLearner(), {"rollout_gap": 2e-3})


def test_steps_without_signal_are_counted_and_warned_of_each_time_patience_ends(chat: Chat) -> None:
    rollouts, config = rollouts_of(chat, script=lambda prompt, seed, number: "4"), config_of("objective={keep: all}")
    warnings = []
    for step in range(1, 5):
        pool = rollouts.sample(config, step, version=0)
        warnings.append(rollouts.settle(config, pool, {}))
    assert [len(warned) for warned in warnings] == [1, 1, 0, 1]
    assert warnings[0][0].startswith("warning: this step had nothing to learn from: 100% of groups are all right")
    assert warnings[0][0].endswith("verdicts: 4 correct")
    assert warnings[1][0].startswith(
        "warning: 2 steps in a row had nothing to learn from: 100% of groups are all right"
    )
    rollouts.settle(config, rollouts.sample(config, 5, version=0), {"loss": 0.0})
    assert rollouts.silent_steps == 0


def test_a_truncated_distribution_is_warned_of_once(chat: Chat) -> None:
    rollouts, config = rollouts_of(chat), config_of("objective={keep: all}")
    rollouts.sampling = replace(rollouts.sampling, top_k=5)
    warned = [rollouts.settle(config, rollouts.sample(config, step, 0), {"loss": 0.0}) for step in (1, 2)]
    assert len(warned[0]) == 1
    assert "with sampling.top_p=1.0 and top_k=5 completions come from a truncated distribution" in warned[0][0]
    assert warned[1] == []


def test_the_history_is_that_of_all_groups_that_were_sampled(chat: Chat) -> None:
    rollouts, config = rollouts_of(chat), config_of("objective={keep: all}")
    pool = rollouts.sample(config, step=1, version=0)
    rollouts.settle(config, pool, {"loss": 0.0})
    rewards = [reward for group in pool.fresh for reward in group.rewards]
    assert rollouts.history.reward == Average(sum(rewards) / 4, 1)


def test_an_evaluation_is_of_the_held_out_problems_by_the_judge(chat: Chat) -> None:
    evaluation = rollouts_of(chat, script=lambda prompt, seed, number: str(number)).evaluate()
    # Greedy decoding writes completion 0, which is even; of two drawn ones the second is odd.
    means = {name: estimate.mean for name, estimate in evaluation.estimates.items()}
    assert means == {"greedy": 1.0, "avg@2": 0.5, "pass@2": 1.0, "maj@2": 1.0}
    assert [group.problem.id for group in evaluation.groups[0]] == ["held-out-0", "held-out-1", "held-out-2"]


@pytest.mark.parametrize("ahead", [0, 1])
def test_what_a_checkpoint_keeps_comes_back_from_json_as_it_was(chat: Chat, ahead: int) -> None:
    config = config_of("objective={keep: all}", f"selection.max_staleness={ahead}")
    before, after = rollouts_of(chat, ahead=ahead), rollouts_of(chat, ahead=ahead)
    pool = before.sample(config, step=1, version=0)
    before.settle(config, pool, {})
    before.pending = pool.batch[:1]
    after.restore(json.loads(json.dumps(before.state())))
    assert after.history == before.history != History()
    assert after.pending == before.pending
    assert after.silent_steps == before.silent_steps == 1
    before.pending = after.pending = ()
    expected = before.sample(config, step=2, version=0)
    assert after.sample(config, step=2, version=0).batch == expected.batch
    assert [group.draw for group in expected.batch] == [2, 3]


def test_what_only_evaluates_has_no_source_and_keeps_none(chat: Chat) -> None:
    rollouts = replace(rollouts_of(chat), source=None)
    assert rollouts.state()["source"] is None
    rollouts.restore(json.loads(json.dumps(rollouts.state())))
    rollouts.sync(ScriptedLearner(), {})
