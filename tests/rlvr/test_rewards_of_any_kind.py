"""Whole runs without a model whose verifiers return numbers as people do: of any type, sign and size.

Each looks at everything that a reward passes through: ledger, metrics, advantages, filters, evaluation, report.
"""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from rlvr.build import judge_of
from rlvr.config import GRPOConfig
from rlvr.config.file import load_config
from rlvr.errors import GraderError
from rlvr.learners.scripted import ScriptedLearner
from rlvr.models.chat import Chat
from rlvr.report.conclusions import conclude, headlines
from rlvr.report.page import Setting, render
from rlvr.report.results import read_run
from rlvr.rollouts.grader import make_grader
from rlvr.rollouts.rollouts import Rollouts
from rlvr.rollouts.source import Draws, FreshSource
from rlvr.run import Run
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import grpo
from rlvr.types import Sampling
from rlvr.weight_sync import Probe
from tests.rlvr.players import Numbers, player_of

HERE = "tests.rlvr.scripts"
STEPS, PROMPTS, SIZE = 3, 4, 4


def train(out: Path, chat: Chat, *overrides: str) -> Run:
    """A run of the GRPO loop: a script writes a digit, the verifier of the recipe grades it in a worker."""
    config = load_config(
        "configs/quickstart.yaml",
        [
            f"out={out}",
            f"steps={STEPS}",
            f"prompts_per_step={PROMPTS}",
            f"group_size={SIZE}",
            "eval={problems: 5, samples: 3}",
            *overrides,
        ],
    )
    assert isinstance(config, GRPOConfig)
    player, sampling, task = player_of(chat), Sampling(config.sampling.max_tokens), Numbers()
    grader = make_grader(config.verify)
    draws = Draws(task, config.selection, player, grader, config.group_size, sampling, config.seed)
    rollouts = Rollouts(
        player=player,
        task=task,
        held_out=task.held_out(config.eval.problems),
        sampling=sampling,
        eval_sampling=sampling,
        judge=judge_of(config),
        evaluation=config.eval,
        max_failed_share=config.verify.max_failed_share,
        probe=Probe([], config.sampling.temperature, math.inf),
        source=FreshSource(draws),
    )
    run = Run(config, out, ScriptedLearner(), rollouts)
    with run:
        grpo.take_steps(run, rollouts, config, grpo.learn)
    return run


def rows_of(folder: Path, pattern: str = "*.parquet") -> list[dict[str, Any]]:
    return [row for file in sorted(folder.glob(pattern)) for row in pyarrow.parquet.read_table(file).to_pylist()]


def last_digit(row: dict[str, Any]) -> int:
    return int(row["completion"][-1])


def is_even(row: dict[str, Any]) -> bool:
    return last_digit(row) % 2 == 0


# The verifier, what else the recipe says, the reward of a completion, and whether it solves its problem.
KINDS = {
    "float32_penalty": ([], lambda row: 0.5 if is_even(row) else -0.25, lambda row: False),
    "int64_sign": ([], lambda row: 1.0 if is_even(row) else -1.0, is_even),
    "numpy_bool": ([], lambda row: float(is_even(row)), is_even),
    "plus_or_minus_1": ([], lambda row: 1.0 if is_even(row) else -1.0, is_even),
    "up_to_10": (
        ["verify.solved_at=10"],
        lambda row: min(10.0, 2.0 * last_digit(row)),
        lambda row: last_digit(row) >= 5,
    ),
    "unbounded_penalty": (
        ["verify.solved_at=0"],
        lambda row: -1000.0 * last_digit(row),
        lambda row: not last_digit(row),
    ),
    "fraction_score": (["verify.solved_at=2.5"], lambda row: last_digit(row) - 4.5, lambda row: last_digit(row) >= 7),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_number_of_any_kind_is_the_reward_everywhere(kind: str, tmp_path: Path, chat: Chat) -> None:
    overrides, reward, solved = KINDS[kind]
    train(tmp_path, chat, f"verify.verifier={HERE}:{kind}", *overrides)
    ledger = rows_of(tmp_path / "rollouts")
    assert len(ledger) == STEPS * PROMPTS * SIZE
    assert [row["reward"] for row in ledger] == [reward(row) for row in ledger]
    assert [row["solved"] for row in ledger] == [solved(row) for row in ledger]
    metrics = read_metrics(tmp_path / "metrics.jsonl")
    for step in range(1, STEPS + 1):
        own = [row for row in ledger if row["step"] == step]
        assert metrics[step]["reward/mean"] == pytest.approx(statistics.mean(row["reward"] for row in own))
        assert metrics[step]["reward/accuracy"] == pytest.approx(statistics.mean(solved(row) for row in own))
        assert metrics[step]["reward/failed_graders"] == 0.0
    for draw in range(STEPS * PROMPTS):  # dr_grpo: each reward minus the mean of its group
        group = [row for row in ledger if row["draw"] == draw]
        mean = statistics.mean(row["reward"] for row in group)
        assert [row["advantage"] for row in group] == pytest.approx([row["reward"] - mean for row in group], abs=1e-4)
    greedy, drawn = rows_of(tmp_path / "evaluations", "*0-greedy*"), rows_of(tmp_path / "evaluations", "*0-drawn*")
    first = metrics[0]
    assert first["eval/greedy"] == pytest.approx(statistics.mean(solved(row) for row in greedy))
    assert first["eval/avg@3"] == pytest.approx(statistics.mean(reward(row) for row in drawn))
    assert first["eval/avg@3_low"] <= first["eval/avg@3"] <= first["eval/avg@3_high"]
    any_solved = [any(solved(row) for row in drawn if row["group"] == group) for group in range(5)]
    assert first["eval/pass@3"] == pytest.approx(statistics.mean(any_solved))
    result = read_run(tmp_path, kind, seed=0)
    assert result.scores[0].mean() == pytest.approx(first["eval/avg@3"])
    assert result.greedy[0].mean() == pytest.approx(first["eval/greedy"])


def test_a_recipe_adds_rewards_with_weights_of_any_sign(tmp_path: Path, chat: Chat) -> None:
    parts = (
        f"sign: {{weight: 2, verifier: '{HERE}:plus_or_minus_1'}}, large: {{weight: -0.5, verifier: '{HERE}:up_to_10'}}"
    )
    train(tmp_path, chat, f"verify.verifier={{weighted_sum: {{{parts}}}}}", "steps=1", "eval.problems=0")
    ledger = rows_of(tmp_path / "rollouts")
    for row in ledger:
        own = {"sign": 1.0 if is_even(row) else -1.0, "large": min(10.0, 2.0 * last_digit(row))}
        assert (json.loads(row["parts"]), row["solved"]) == (own, is_even(row))
        assert row["reward"] == 2 * own["sign"] - 0.5 * own["large"]
    *_, metrics = read_metrics(tmp_path / "metrics.jsonl")
    assert metrics["reward/part/sign"] == pytest.approx(statistics.mean(1 if is_even(row) else -1 for row in ledger))
    assert metrics["reward/mean"] == pytest.approx(2 * metrics["reward/part/sign"] - 0.5 * metrics["reward/part/large"])


def test_dynamic_sampling_keeps_groups_of_mixed_penalties(tmp_path: Path, chat: Chat) -> None:
    train(tmp_path, chat, f"verify.verifier={HERE}:plus_or_minus_1", "objective={preset: dapo, refill_rounds: 2}")
    ledger = rows_of(tmp_path / "rollouts")
    for draw in {row["draw"] for row in ledger}:
        group = [row for row in ledger if row["draw"] == draw]
        mixed = len({row["reward"] for row in group}) > 1
        assert all((row["advantage"] is not None) <= mixed for row in group)


def test_problems_that_minus_and_plus_1_call_solved_are_skipped(tmp_path: Path, chat: Chat) -> None:
    run = train(
        tmp_path, chat, f"verify.verifier={HERE}:plus_or_minus_1", "selection={skip_solved: 1, curriculum: pass_rate}"
    )
    assert run.rollouts is not None
    history = run.rollouts.history
    ledger = rows_of(tmp_path / "rollouts")
    for name, record in history.problems.items():
        own = [is_even(row) for row in ledger if row["problem_id"] == name]
        assert record.pass_rate == pytest.approx(statistics.mean(own))
        assert record.solved_in_a_row == int(all(own))
    assert -1 <= history.reward.value < history.passed.value <= 1


def test_scores_that_do_not_tell_what_is_solved_leave_shares_unknown_and_say_so(
    tmp_path: Path, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, chat, f"verify.verifier={HERE}:up_to_10")
    printed = capsys.readouterr().out
    assert (
        "do not tell what is solved, so shares of solved problems are unknown: set verify.solved_at to the" in printed
    )
    assert "in this evaluation" in printed
    first, after, *_ = read_metrics(tmp_path / "metrics.jsonl")
    assert (first["eval/greedy"], after["reward/accuracy"]) == (None, None)
    assert first["eval/avg@3"] > 1
    assert "nan" not in printed


def test_a_comparison_shows_scores_as_scores(tmp_path: Path, chat: Chat) -> None:
    runs = []
    for name, verifier in (("one", "unbounded_penalty"), ("two", "fraction_score")):
        train(tmp_path / name, chat, f"verify.verifier={HERE}:{verifier}")
        runs.append(read_run(tmp_path / name, name, seed=0))
    comparison = conclude(runs, ["avg", "accuracy"], resamples=100)
    assert comparison.findings["avg"]["one"].value == pytest.approx(runs[0].scores[-1].mean())
    (sentence,) = headlines(comparison)["Avg@3"]
    assert "points" not in sentence
    page = render(comparison, [], Setting("t", "c", "b", (0,), {}, {}, None, 2, "w"))
    assert f"{runs[0].scores[-1].mean():.3f}".replace("-", "−") in page
    assert "nan" not in page.lower().replace("finance", "")


def test_failed_graders_are_said_with_their_reasons_in_the_step_in_which_they_fail(
    tmp_path: Path, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, chat, f"verify={{verifier: '{HERE}:fails_on_threes', max_failed_share: 1}}")
    failed = [row for row in rows_of(tmp_path / "rollouts") if row["step"] == 1 and row["reward"] is None]
    said = f"warning: {len(failed)} of 16 graders failed: error: RuntimeError: the judge is not at home; these completi"
    assert failed
    assert said in capsys.readouterr().out


def test_a_step_in_which_every_grader_fails_says_why_nobody_is_trained(
    tmp_path: Path, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, chat, f"verify={{verifier: '{HERE}:always_fails', max_failed_share: 1}}", "eval.problems=0")
    printed = capsys.readouterr().out
    assert "warning: 16 of 16 graders failed: error: RuntimeError: the judge is not at home" in printed
    assert "100% of groups have no reward because the grader failed" in printed
    assert "verdicts: 16 error" in printed
    with pytest.raises(GraderError):
        train(tmp_path / "strict", chat, f"verify.verifier={HERE}:always_fails", "eval.problems=0")
