"""The learner without a model, alone and as half of a whole run: no weights, the same loop, the same folder."""

import json
import math
import os
import signal
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from transformers import PreTrainedModel

from rlvr.batching import token_batch
from rlvr.config import GRPOConfig
from rlvr.config.file import load_config
from rlvr.learners.scripted import ScriptedLearner
from rlvr.models.chat import Chat
from rlvr.rollouts.rollouts import Rollouts
from rlvr.rollouts.source import AheadSource, Draws, FreshSource
from rlvr.run import Run
from rlvr.runfolder.checkpoint import checkpoints
from rlvr.runfolder.metrics import MACHINE_DEPENDENT, read_metrics
from rlvr.trainers import grpo
from rlvr.trainers.sft import LikelihoodLoss
from rlvr.types import Batch, Sampling
from rlvr.weight_sync import Probe
from tests.rlvr.players import Numbers, even_is_right, player_of

STEPS = 6


def batch() -> Batch:
    return token_batch([[5, 6], [7]], [[8], [9, 10, 11]], [[True], [True] * 3], [0, 1])


def test_it_counts_its_optimizer_steps_and_keeps_what_they_were_given() -> None:
    learner = ScriptedLearner()
    update = learner.update(batch(), LikelihoodLoss())
    learner.update(batch().rows(torch.tensor([1])), LikelihoodLoss())
    assert learner.version == 2
    assert [given.input_ids.tolist() for given in learner.batches] == [
        [[5, 6, 8, 0], [7, 9, 10, 11]],
        [[7, 9, 10, 11]],
    ]
    assert update.metrics == {"loss": 0.0, "grad_norm": 0.0, "lr": 0.0, "skipped": 0.0}
    assert learner.stats().tokens == 3 + 4 + 4


def test_every_number_of_its_model_is_0() -> None:
    learner = ScriptedLearner()
    zeros = torch.zeros(2, 4)
    assert torch.equal(learner.frozen_logprobs(batch(), torch.arange(2)), zeros)
    snapshot = learner.snapshot(batch())
    assert torch.equal(snapshot.logprobs, zeros)
    assert torch.equal(snapshot.values, zeros)
    assert torch.equal(snapshot.after_B, torch.zeros(2))
    assert torch.equal(learner.frozen_scores(batch()), torch.zeros(2))
    assert list(learner.buckets(1)) == []
    assert learner.adapter() is None


def test_it_goes_on_from_what_it_saved(tmp_path: Path) -> None:
    learner, other = ScriptedLearner(), ScriptedLearner()
    learner.update(batch(), LikelihoodLoss())
    learner.save(tmp_path)
    other.load(tmp_path)
    assert other.version == 1


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever makes a model of transformers' in this test fails it."""
    monkeypatch.setattr(PreTrainedModel, "__init__", lambda *_, **__: pytest.fail("a model was made"))


def train(out: Path, chat: Chat, ahead: int, stop_in: int | None = None) -> Run:
    """The GRPO loop with nothing behind it. In step `stop_in` a signal to stop arrives."""
    config = load_config(
        "configs/quickstart.yaml",
        [
            f"out={out}",
            f"steps={STEPS}",
            "prompts_per_step=4",
            "group_size=3",
            "checkpoint={every: 2, keep_last: 2}",
            "eval={problems: 3, samples: 2, every: 3}",
            f"selection.max_staleness={ahead}",
        ],
    )
    assert isinstance(config, GRPOConfig)
    player, sampling, task = player_of(chat), Sampling(config.sampling.max_tokens), Numbers()
    draws = Draws(task, config.selection, player, even_is_right, config.group_size, sampling, config.seed)
    rollouts = Rollouts(
        player=player,
        task=task,
        held_out=task.held_out(config.eval.problems),
        sampling=sampling,
        eval_sampling=sampling,
        judge=even_is_right,
        evaluation=config.eval,
        max_failed_share=config.verify.max_failed_share,
        probe=Probe([], config.sampling.temperature, math.inf),
        source=AheadSource(draws, ahead, config.steps) if ahead else FreshSource(draws),
    )
    run = Run(config, out, ScriptedLearner(), rollouts)

    def learn(learner, config, objective, pool, seed):
        if pool.step == stop_in:
            os.kill(os.getpid(), signal.SIGTERM)
        return grpo.learn(learner, config, objective, pool, seed)

    with run:
        grpo.take_steps(run, rollouts, config, learn)
    return run


def metrics_of(out: Path) -> list[dict[str, float]]:
    rows = read_metrics(out / "metrics.jsonl")
    return [{name: value for name, value in row.items() if not name.startswith(MACHINE_DEPENDENT)} for row in rows]


def ledger_of(out: Path) -> list[dict[str, object]]:
    files = sorted((out / "rollouts").glob("*.parquet"))
    return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]


@pytest.mark.usefixtures("no_model")
def test_a_run_without_a_model_leaves_metrics_a_ledger_checkpoints_and_a_result(tmp_path: Path, chat: Chat) -> None:
    run = train(tmp_path, chat, ahead=0)
    rows = metrics_of(tmp_path)
    assert [row["step"] for row in rows] == list(range(STEPS + 1))
    assert [row["step"] for row in rows if "eval/greedy" in row] == [0, 3, STEPS]
    assert all(0 < row["reward/mean"] < 1 for row in rows[1:])
    assert {row["loss"] for row in rows[1:]} == {0.0}
    ledger = ledger_of(tmp_path)
    assert [row["draw"] for row in ledger] == [number for number in range(4 * STEPS) for _ in range(3)]
    assert all(row["reward"] == float(int(row["completion"]) % 2 == 0) for row in ledger)
    assert {row["policy_version"] for row in ledger} == set(range(STEPS))
    for draw in range(4 * STEPS):  # dr_grpo: each reward minus the mean of its group
        group = [row for row in ledger if row["draw"] == draw]
        mean = sum(row["reward"] for row in group) / 3
        assert [row["advantage"] for row in group] == pytest.approx([row["reward"] - mean for row in group])
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["step-000004", "step-000006"]
    assert json.loads((run.model_folder / "scripted.json").read_text()) == {"version": STEPS}


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("ahead", [0, 1])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, chat: Chat, ahead: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, chat, ahead)
    stopped = train(parts, chat, ahead, stop_in=3)
    assert (stopped.interrupted, stopped.done) == (True, 3)
    assert not stopped.model_folder.exists()
    rest = train(parts, chat, ahead)
    assert rest.learner.version == STEPS
    assert metrics_of(parts) == metrics_of(whole)
    assert ledger_of(parts) == ledger_of(whole)
    ages = {row["groups/staleness_max"] for row in metrics_of(whole)[2:]}
    assert ages == {ahead}
