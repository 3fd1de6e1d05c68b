"""The parts of a run that samples: a player, problems and graders, and for RL the source of its groups."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rlvr.config import EvalConfig, RLConfig
from rlvr.learners.base import Learner
from rlvr.rollouts.evaluate import Evaluation, evaluate
from rlvr.rollouts.grader import Grader, check_graders, failures
from rlvr.rollouts.groups import unclear, why_no_signal
from rlvr.rollouts.history import History
from rlvr.rollouts.play import Player
from rlvr.rollouts.selection import Pool
from rlvr.rollouts.source import GroupSource, groups_of
from rlvr.types import Group, Sampling
from rlvr.weight_sync import Probe, check_gap, push, truncation_of
from tasks import Problem, Task


@dataclass
class Rollouts:
    """`judge` grades evaluations on the problems in `held_out`; `source` supplies the groups of RL.

    `history` is the memory of earlier steps, `pending` are the groups that wait for the next step, and `silent_steps`
    counts the latest consecutive steps without a signal.
    """

    player: Player
    task: Task
    held_out: Sequence[Problem]
    sampling: Sampling
    judge: Grader
    evaluation: EvalConfig
    max_failed_share: float
    probe: Probe
    source: GroupSource | None = None
    history: History = field(default_factory=History)
    pending: tuple[Group, ...] = ()
    silent_steps: int = 0
    warned_of: set[str] = field(default_factory=set)

    def sample(self, config: RLConfig, step: int, version: int) -> Pool:
        """The verified groups of a step: first those that wait, then others from the source. Raises `GraderError`."""
        assert self.source is not None
        pool = Pool(
            config.prompts_per_step, config.objective, version, step, self.history, config.selection.max_staleness
        )
        pool = self.source.fill(pool.with_waiting(self.pending))
        if self.player.generator.shares_weights:
            self.source.finish_open()  # before the learner moves the weights that they are to be written with
        check_graders(pool.fresh, self.max_failed_share)
        return pool

    def sync(self, learner: Learner, metrics: Mapping[str, float]) -> None:
        """Send the learner's weights to the generator, if they have changed.

        Raises `WeightSyncError` if they do not arrive, or if the log-probabilities of this step's rollouts show that
        the generator held other weights. With `top_p` or `top_k` the log-probabilities belong to a truncated
        distribution and are not compared.
        """
        learned = "rollout_gap" in metrics and not metrics.get("skipped")
        if learned and not self.sampling.is_truncated:
            check_gap(metrics["rollout_gap"], self.probe.tolerance)
        if self.player.generator.version != learner.version:
            if self.source is not None:
                self.source.finish_open()
            push(learner, self.player.generator, self.probe)

    def settle(self, config: RLConfig, pool: Pool, metrics: Mapping[str, float]) -> list[str]:
        """Update the memory after a step. Returns warnings."""
        self.pending = pool.pending
        self.history = self.history.updated(pool.step, pool.fresh, pool.kept_share, config.selection.by_problem)
        self.history = self.history.steered(config.objective, metrics)
        self.silent_steps = 0 if "loss" in metrics else self.silent_steps + 1
        warnings = []
        groups = pool.fresh or pool.kept
        silence = f"this step had nothing to learn from: {why_no_signal(groups)}" if groups else None
        # A learned score is not meant to say what is solved.
        unsolved = None if config.verify.reward_model else unclear(groups, "verify.solved_at")
        if failed := failures(pool.fresh):
            warnings.append(f"warning: {failed}; these completions train nobody")
        for topic, warning in {
            "truncation": truncation_of(self.sampling),
            "batch": pool.shortfall(),
            "silence": silence if self.silent_steps else None,
            "solved": unsolved,
        }.items():
            if warning and topic not in self.warned_of:
                self.warned_of.add(topic)
                warnings.append(f"warning: {warning}")
        if groups and self.silent_steps and self.silent_steps % config.no_signal_patience == 0:
            warnings.append(
                f"warning: {self.silent_steps} steps in a row had nothing to learn from: {why_no_signal(groups)}"
            )
        return warnings

    def evaluate(self) -> Evaluation:
        """Evaluate on the held-out problems. Raises `GraderError`."""
        samples = self.evaluation.samples
        evaluation = evaluate(self.held_out, samples, self.sampling, self.player, self.judge, seed=0)
        for groups in evaluation.groups:
            check_graders(groups, self.max_failed_share)
        return evaluation

    def close(self) -> None:
        self.player.close()

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint, as JSON, which restores floats exactly."""
        return {
            "history": asdict(self.history),
            "pending": [group.state() for group in self.pending],
            "silent_steps": self.silent_steps,
            "source": None if self.source is None else self.source.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.history = History.of(state["history"])
        self.pending = tuple(groups_of(state["pending"]))
        self.silent_steps = state["silent_steps"]
        if self.source is not None:
            self.source.restore(state["source"])
