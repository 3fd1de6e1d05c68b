"""A run: a learner, its steps, and a folder from which the run can resume.

config.yaml        the resolved configuration; loads as it is
metrics.jsonl      one line per step; step 0 is the evaluation before training
tensorboard/       the same numbers
rollouts/          the ledger: one parquet file per step
evaluations/       the same for each evaluation; those of a named set in a folder of its name
base_model.json    the commit of the hub id that the run began with
checkpoints/       step-N, complete or absent
best/              the same for the best step by `checkpoint.best`
changes.jsonl      what a resume changed in the configuration, and after which step
model/             the result, in Hugging Face format
adapter/           the adapters alone, in peft's format, if the run trained some
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from rlvr.algorithms.choices import nearest
from rlvr.config import MeasureConfig, RunConfig
from rlvr.errors import CheckpointError, ConfigError
from rlvr.learners.base import Learner
from rlvr.rollouts.evaluate import EvalSet
from rlvr.rollouts.rollouts import Rollouts
from rlvr.runfolder.best import Record, forget_after, forget_beaten, record_of
from rlvr.runfolder.checkpoint import (
    checkpoints,
    is_readable,
    read_checkpoint,
    save_checkpoint,
    step_of,
    write_checkpoint,
)
from rlvr.runfolder.claim import BEST, CHECKPOINTS, adapter_of, model_of, steps_taken
from rlvr.runfolder.files import whole_folder
from rlvr.runfolder.journal import Journal
from rlvr.runfolder.signals import StopSignals
from rlvr.runfolder.tensor_cache import cached_tensors
from rlvr.seeds import set_global_generators
from rlvr.types import Group

# The names of metrics that only evaluations have.
EVALUATED = ("eval/", "held_out/")


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
    warned_of_best: bool = False

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
                f"this run is finished ({self.folder}); add steps to go on, steps={2 * self.done}, or choose another "
                "folder to train again, out=runs/NAME"
            )
            return
        self._set_aside()
        if self.done == 0 and self.config.eval.at_start:
            metrics = self.evaluate()
            self.journal.write(0, metrics)
            self.keep_best(metrics)
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
        self.keep_best(metrics)
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
        """Write the model, and the adapters alone if there are some. Raises `CheckpointError`: nothing is lost."""
        try:
            with whole_folder(self.model_folder) as partial:
                self.learner.export(partial)
            alone = self._export_adapter() if self.learner.adapter() is not None else ""
        except Exception as error:  # whatever transformers or the disk has against it, the weights are safe
            (newest,) = self._checkpoints()[-1:]
            raise CheckpointError(
                f"training is finished, but its model cannot be written to {self.model_folder}: {error}. The weights "
                f"are safe in {newest}: start the same command again to write the model, or rlvr export {self.folder} "
                "OUT to write it elsewhere"
            ) from error
        self.say(f"{self.stage} finished: the model is in {self.model_folder}{alone}")
        best = self._record()
        if best is not None:
            self.say(f"the best {best}: rlvr export {self.folder} OUT --best makes a model of it")

    def _export_adapter(self) -> str:
        folder = adapter_of(self.folder)
        with whole_folder(folder) as partial:
            stands_alone = self.learner.export_adapter(partial)
        if stands_alone:
            return f", the adapters alone are in {folder}"
        folder.rmdir()
        return " with its adapters merged; alone they would lack a head, or a base model that a folder holds"

    def _set_aside(self) -> None:
        """Rename the model of a finished run that now takes more steps: `model/` is always that of the last step."""
        finished = steps_taken(self.folder)
        if finished >= self.config.steps:
            return
        for path in (self.model_folder, adapter_of(self.folder)):
            if path.exists():
                kept = path.with_name(f"{path.name}-step-{finished:06d}")
                path.rename(kept)
                self.say(f"{path} is of step {finished}: it is now {kept}")

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def checkpoint(self) -> Path:
        """Save everything that the next step needs."""
        keep = self.config.checkpoint.keep_last
        path = save_checkpoint(self.folder / CHECKPOINTS, self.done, self.learner.save, self._history(), keep)
        forget_beaten(self.folder / BEST)
        return path

    def _history(self) -> dict[str, Any]:
        return {} if self.rollouts is None else self.rollouts.state()

    def keep_best(self, metrics: Mapping[str, float]) -> None:
        """Keep this step in `best/` if its metrics have the best value of `checkpoint.best` so far.

        Raises `ConfigError` if the evaluation before training has no such metric.
        """
        metric, mode = self.config.checkpoint.best, self.config.checkpoint.best_mode
        if metric is None:
            return
        if metric not in metrics:
            self._miss_best(metric, metrics)
            return
        value, best = metrics[metric], self._record()
        if not math.isfinite(value) or (best is not None and best.beats(value)):
            return
        measured = self._measured(metric)
        notes = {"metric": metric, "mode": mode, "measured": measured, "value": value}
        path = write_checkpoint(self.folder / BEST, self.done, self.learner.save, self._history(), notes)
        self.say(f"the best so far: {Record(path, self.done, metric, mode, measured, value)}")

    def _measured(self, metric: str) -> dict[str, Any]:
        """What a value of an evaluation depends on besides the policy: a resume may change it."""
        settings = self.config.eval.model_dump(mode="json", exclude=set(MeasureConfig.model_fields))
        return settings if metric.startswith(EVALUATED) else {}

    def _miss_best(self, metric: str, metrics: Mapping[str, float]) -> None:
        evaluated = any(name.startswith(EVALUATED) for name in metrics)
        if metric.startswith(EVALUATED) and not evaluated:
            return
        known = [name for name in metrics if name.startswith(EVALUATED) == metric.startswith(EVALUATED)]
        hint = f"{nearest(metric, known)}; measured: {', '.join(known)}"
        if metric.startswith(EVALUATED) and self.done == 0:
            raise ConfigError(f"checkpoint.best: no evaluation has a metric {metric!r}{hint}")
        if self.done > 0 and not self.warned_of_best:
            self.warned_of_best = True
            self.say(f"warning: checkpoint.best: step {self.done} has no metric {metric!r}{hint}")

    def _record(self) -> Record | None:
        metric, mode = self.config.checkpoint.best, self.config.checkpoint.best_mode
        return None if metric is None else record_of(self.folder / BEST, metric, mode, self._measured(metric))

    def restore(self) -> None:
        """Load the newest complete checkpoint; without one, start from the beginning."""
        if not self._checkpoints():
            forget_after(self.folder / BEST, -1)
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
            forget_after(self.folder / BEST, step)
            if self.rollouts is not None:
                self.rollouts.restore(history)
                self.rollouts.sync(self.learner, {})
            if self.done < self.config.steps:
                print(f"{self.stage} goes on after step {self.done} ({path})", flush=True)
            return

    def _checkpoints(self) -> list[Path]:
        return checkpoints(self.folder / CHECKPOINTS)

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
