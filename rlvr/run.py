"""A run: a learner, its steps, and a folder from which the run can resume.

config.yaml        the resolved configuration; loads as it is
metrics.jsonl      one line per step; step 0 is the evaluation before training
tensorboard/       the same numbers
rollouts/          the ledger: one parquet file per step
evaluations/       the same for each evaluation; those of a named set in a folder of its name
base_model.json    the commit of the hub id that the run began with
checkpoints/       step-N, complete or absent
model/             the result, in Hugging Face format
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor

from rlvr.config import RunConfig
from rlvr.errors import CheckpointError
from rlvr.learners.base import Learner
from rlvr.rollouts.evaluate import EvalSet
from rlvr.rollouts.rollouts import Rollouts
from rlvr.runfolder.checkpoint import checkpoints, is_readable, read_checkpoint, save_checkpoint, step_of
from rlvr.runfolder.claim import model_of
from rlvr.runfolder.files import whole_folder
from rlvr.runfolder.journal import Journal
from rlvr.runfolder.signals import StopSignals
from rlvr.runfolder.tensor_cache import cached_tensors
from rlvr.seeds import set_global_generators
from rlvr.types import Group


@dataclass
class Run:
    """One training run, as a context manager that closes its files. A signal to stop saves a checkpoint.

    `done` counts finished steps. `rollouts` is `None` in a run that does not sample. `measure` is the own evaluation of
    a trainer that learns from rows of data.
    """

    config: RunConfig
    folder: Path
    learner: Learner
    rollouts: Rollouts | None = None
    done: int = 0
    measure: Callable[[], dict[str, float]] | None = None
    open_parts: ExitStack = field(default_factory=ExitStack)
    tokens_learned: int = 0

    @property
    def stage(self) -> str:
        return self.config.trainer

    @property
    def interrupted(self) -> bool:
        """Whether a signal to stop came, in the last step too."""
        return hasattr(self, "signals") and self.signals.received

    @property
    def model_folder(self) -> Path:
        return model_of(self.folder)

    def __enter__(self) -> Self:
        with ExitStack() as parts:  # closed again where one of them cannot be opened
            if self.rollouts is not None:
                parts.callback(self.rollouts.close)
            self.restore()
            self.journal = parts.enter_context(Journal(self.folder, self.stage, self.config.steps, self.done))
            stopping = "stopping after this step (Ctrl-C again: at once, going back to the last checkpoint)"
            self.signals = parts.enter_context(StopSignals(lambda: self.journal.say(stopping)))
            self.open_parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open_parts.__exit__(kind, error, trace)

    def steps(self) -> Iterator[int]:
        """The numbers of the remaining steps, each after seeding the global generators; then ends the run."""
        if self.done == self.config.steps and self.model_folder.exists():
            self.journal.say(
                f"this run is finished ({self.folder}); choose another folder to train again, out=runs/NAME"
            )
            return
        if self.done == 0 and self.config.eval.at_start:
            self.journal.write(0, self.evaluate())
        while self.done < self.config.steps and not self.signals.received:
            self.journal.seconds.clear()
            set_global_generators(self.config.seed, "step", self.done + 1)
            yield self.done + 1
        if self.done < self.config.steps:
            self.journal.say(f"interrupted after step {self.done}: the same command goes on from {self.checkpoint()}")
        else:
            self._finish()

    def clock(self, stage: str) -> AbstractContextManager[None]:
        """Time a stage of the step."""
        return self.journal.clock(stage)

    def say(self, line: str) -> None:
        self.journal.say(line)

    def sync_weights(self, metrics: Mapping[str, float]) -> None:
        """Send the weights to the generator, if there is one. Raises `WeightSyncError` if they do not arrive."""
        if self.rollouts is not None:
            self.rollouts.sync(self.learner, metrics)

    def finish_step(
        self, step: int, metrics: dict[str, float], sampled: Sequence[Group] = (), settled: Sequence[Group] = ()
    ) -> None:
        """Everything after the update: ledger, evaluation, metrics, checkpoint.

        `sampled` are the groups sampled in this step. `settled` are the groups that were trained on or dropped; these
        go to the ledger, so that it holds each group once.
        """
        self.done = step
        if self.config.keeps_ledger:
            self.journal.keep_rollouts(step, settled)
        metrics |= self._speed(sampled)
        self.journal.display.show(step, metrics)
        due = self.config.eval.every and step % self.config.eval.every == 0
        last = step == self.config.steps
        if due or (last and self.config.eval.at_end):
            metrics |= self.evaluate()
        self.journal.write(step, metrics)
        every = self.config.checkpoint.every
        if last or (every and step % every == 0):
            self.checkpoint()

    def evaluate(self) -> dict[str, float]:
        """Evaluate on the held-out problems and rows; print and save the results."""
        measured = self.measure() if self.measure is not None else {}
        if self.rollouts is None or not self.rollouts.evaluated:
            return measured
        started = time.monotonic()
        for one in self.rollouts.evaluated:
            measured |= self._evaluate_on(one, self.rollouts)
        return measured | {"time/evaluate": time.monotonic() - started}

    def _evaluate_on(self, one: EvalSet, rollouts: Rollouts) -> dict[str, float]:
        """Evaluate on one set of problems; print and save the results."""
        count, wanted = len(one.problems), rollouts.evaluation.problems
        fewer = f" (eval.problems is {wanted}, and the task holds out no more)" if count < wanted else ""
        what = f"{count} problems of {one.name}" if one.name else f"{count} held-out problems{fewer}"
        with self.journal.display.doing(f"evaluating {what}"):
            evaluation = rollouts.evaluate(one)
        for kind, groups in zip(("greedy", "drawn"), evaluation.groups, strict=True):
            self.journal.keep_evaluation(self.done, kind, groups, one.name)
        known = {name: estimate for name, estimate in evaluation.estimates.items() if estimate.is_known}
        figures = "  ".join(f"{name} {estimate}" for name, estimate in known.items())
        where = f" on {one.name}" if one.name else ""
        self.say(f"{self.stage} evaluated after step {self.done}{where}: {figures}  ({count} problems, 95 % intervals)")
        for warning in filter(None, (evaluation.failures, evaluation.doubt)):
            self.say(f"warning: in this evaluation {warning}")
        return evaluation.metrics(one.name)

    def cached(self, name: str, digest: str, compute: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors that `compute` returned when the run began, kept in the run folder with a digest of their inputs.

        Raises `CheckpointError` if the digest has changed since the first checkpoint.
        """
        return cached_tensors(self.folder / f"{name}.safetensors", digest, compute, self._checkpoints())

    def _finish(self) -> None:
        with whole_folder(self.model_folder) as partial:
            self.learner.export(partial)
        self.say(f"{self.stage} finished: the model is in {self.model_folder}")

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def checkpoint(self) -> Path:
        """Save everything that the next step needs."""
        history = {} if self.rollouts is None else self.rollouts.state()
        keep = self.config.checkpoint.keep_last
        return save_checkpoint(self.folder / "checkpoints", self.done, self.learner.save, history, keep)

    def restore(self) -> None:
        """Load the newest complete checkpoint; without one, start from the beginning."""
        newest = self._checkpoints()[-1:]
        if newest and not is_readable(newest[0]):
            if self.model_folder.exists() and step_of(newest[0]) == self.config.steps:
                self.done = self.config.steps
                return
            raise CheckpointError(
                f"the checkpoint {newest[0]} was written by an older version, and this one cannot go on from it; "
                "finish the run with the version that began it, or choose another folder, out=runs/NAME"
            )
        for path in reversed(self._checkpoints()):
            try:
                step, history = read_checkpoint(path)
            except CheckpointError as error:
                print(f"warning: {error}; trying the checkpoint before it", flush=True)
                continue
            self.learner.load(path)
            self.done = step
            if self.rollouts is not None:
                self.rollouts.restore(history)
                self.rollouts.sync(self.learner, {})
            if self.done < self.config.steps:
                print(f"{self.stage} goes on after step {self.done} ({path})", flush=True)
            return

    def _checkpoints(self) -> list[Path]:
        return checkpoints(self.folder / "checkpoints")

    def _speed(self, groups: Sequence[Group]) -> dict[str, float]:
        seconds = self.journal.seconds
        speed: dict[str, float] = {f"time/{stage}": value for stage, value in seconds.items()}
        rollouts = [rollout for group in groups for rollout in group.rollouts]
        if rollouts and "sample" in seconds:
            speed["speed/sample_tokens"] = sum(r.sampled_tokens for r in rollouts) / seconds["sample"]
        stats = self.learner.stats()
        if "learn" in seconds:
            speed["speed/learn_tokens"] = (stats.tokens - self.tokens_learned) / seconds["learn"]
            self.tokens_learned = stats.tokens
        speed["speed/peak_memory_mb"] = stats.peak_memory_mb
        return speed
