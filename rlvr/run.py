"""A run: the parts that `build.open_run` put together, the folder they write to, and where the run stands.

config.yaml        the resolved configuration; loads as it is
metrics.jsonl      one line a step; step 0 is the evaluation before training
tensorboard/       the same numbers
rollouts/          the ledger: one parquet file a step
evaluations/       the same of each evaluation
checkpoints/       step-N, whole or not there
model/             the result, in Hugging Face format
"""

import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import torch

from rlvr.config import GRPOConfig, PolicyRunConfig, RunConfig, SelectionConfig
from rlvr.engines.base import Generator
from rlvr.errors import CheckpointError, DataError
from rlvr.evaluate import evaluate
from rlvr.learners.local import Learner
from rlvr.models.chat import Chat
from rlvr.models.load import save_model
from rlvr.rollouts.collect import Grade, check_graders
from rlvr.rollouts.groups import why_no_signal
from rlvr.rollouts.history import History
from rlvr.rollouts.selection import choose
from rlvr.runfolder.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from rlvr.runfolder.display import Display
from rlvr.runfolder.ledger import write_ledger
from rlvr.runfolder.metrics import MetricsLog
from rlvr.seeds import set_global_generators
from rlvr.types import Group, Sampling
from rlvr.weight_sync import check_gap, truncation_warning
from tasks import Problem, Task

EVERY_PROBLEM = SelectionConfig()
# Ctrl-C, the end of a cluster's job or of `timeout`, the end of a terminal: a run stops at a checkpoint.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Run:
    """One training run. A context manager: leaving it closes files; after one of `STOP_SIGNALS` a checkpoint is kept.

    `done` counts finished steps, `cursor` the problems or rows taken; `history` is what the steps so far tell the next
    one, and `pending` are the groups that wait for it. `grade` gives the rewards; `judge` evaluates, where that is
    another. What is trained on rows of data may `measure` what it learned in its own way, and `save` itself in one.
    """

    config: RunConfig
    folder: Path
    learner: Learner[Any]
    generator: Generator
    chat: Chat
    task: Task
    held_out: Sequence[Problem]
    grade: Grade
    done: int = 0
    cursor: int = 0
    history: History = field(default_factory=History)
    pending: tuple[Group, ...] = ()
    silent_steps: int = 0
    interrupted: bool = False
    usual_handlers: dict[int, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    judge: Grade | None = None
    measure: Callable[[], dict[str, float]] | None = None
    save: Callable[[Path], None] | None = None

    @property
    def sampling(self) -> Sampling:
        assert isinstance(self.config, PolicyRunConfig)
        s = self.config.sampling
        return Sampling(s.max_tokens, s.temperature, s.top_p, s.top_k)

    @property
    def stage(self) -> str:
        return self.config.trainer

    @property
    def model_folder(self) -> Path:
        return self.folder / "model"

    def __enter__(self) -> Self:
        self.restore()
        self.log = MetricsLog(self.folder, self.done)
        self.display = Display(self.stage, self.config.steps, self.done)
        self.display.__enter__()
        if self._in_main_thread():
            for number in STOP_SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                    self.usual_handlers[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.usual_handlers.items():
            signal.signal(number, handler)
        self.display.__exit__(kind, error, trace)
        self.log.close()

    # -- the loop ------------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[int]:
        """The numbers of the steps that are left, each with the global generators set for it; then the run's end."""
        if self.done == self.config.steps and self.model_folder.exists():
            self.display.say(
                f"this run is finished ({self.folder}); choose another folder to train again, out=runs/NAME"
            )
            return
        if self.done == 0 and self.config.eval.at_start:
            self.log.write(0, self.evaluate())
        if isinstance(self.config, GRPOConfig) and (warning := truncation_warning(self.config)):
            self.display.say(warning)
        while self.done < self.config.steps and not self.interrupted:
            self.seconds = {}
            set_global_generators(self.config.seed, "step", self.done + 1)
            yield self.done + 1
        if self.interrupted and self.done < self.config.steps:
            self.display.say(f"interrupted after step {self.done}: the same command goes on from {self.checkpoint()}")
        else:
            self._finish()

    def take(self, count: int) -> range:
        """The numbers of the next `count` problems or rows."""
        numbers = range(self.cursor, self.cursor + count)
        self.cursor = numbers.stop
        return numbers

    def take_problems(self, count: int, selection: SelectionConfig = EVERY_PROBLEM) -> dict[int, Problem]:
        """The next `count` training problems, by their numbers. Raises `DataError` for a row that is none."""
        try:
            problems, self.cursor = choose(self.task, self.cursor, count, selection, self.history, self.done + 1)
        except ValueError as error:
            raise DataError(str(error)) from error
        return problems

    def say_once(self, topic: str, line: str) -> None:
        if topic not in self.said:
            self.said.add(topic)
            self.display.say(line)

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Time a stage of the step."""
        started = time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started

    def sync_weights(self, metrics: Mapping[str, float]) -> None:
        """Hand the policy's weights to the generator, if an optimizer step changed them.

        Raises `WeightSyncError` where the generator's probabilities were not those of the weights it should have held.
        """
        if metrics:
            assert isinstance(self.config, PolicyRunConfig)
            check_gap(metrics, self.config)
            self.generator.load_weights(self.learner.named_weights(), version=self.learner.step)

    def finish_step(
        self, step: int, metrics: dict[str, float], sampled: Sequence[Group] = (), settled: Sequence[Group] = ()
    ) -> None:
        """Everything after the update: ledger, warnings, evaluation, metrics, checkpoint.

        `sampled` are the groups that were drawn in this step. `settled` are those that were trained on or left out for
        good: they go to the ledger, so that each group is in it once.
        """
        self.done = step
        if isinstance(self.config, GRPOConfig):
            check_graders(sampled, self.config.verify.max_failed_share)
            self._warn_without_signal(sampled or settled, metrics)
            if self.config.ledger:
                write_ledger(self.folder / "rollouts" / f"step-{step:06d}.parquet", step, settled)
        metrics |= self._speed(sampled)
        self.display.show(step, metrics)
        due = self.config.eval.every and step % self.config.eval.every == 0
        last = step == self.config.steps
        if due or (last and self.config.eval.at_end):
            metrics |= self.evaluate()
        self.log.write(step, metrics)
        every = self.config.checkpoint.every
        if last or (every and step % every == 0):
            self.checkpoint()

    def evaluate(self) -> dict[str, float]:
        """Evaluate on the held-out problems and rows, say and keep what was found."""
        measured = self.measure() if self.measure is not None else {}
        if not self.held_out:
            return measured
        assert isinstance(self.config, PolicyRunConfig)
        started = time.monotonic()
        samples = self.config.eval.samples
        count, wanted = len(self.held_out), self.config.eval.problems
        fewer = f" (eval.problems is {wanted}, and the task holds out no more)" if count < wanted else ""
        judge = self.judge or self.grade
        with self.display.doing(f"evaluating {count} held-out problems{fewer}"):
            found = evaluate(self.held_out, samples, self.sampling, self.generator, self.chat, judge, seed=0)
        for groups in found.groups:
            check_graders(groups, self.config.verify.max_failed_share)
        name = f"step-{self.done:06d}"
        for kind, groups in zip(("greedy", "drawn"), found.groups, strict=True):
            if groups:
                write_ledger(self.folder / "evaluations" / f"{name}-{kind}.parquet", self.done, groups)
        figures = "  ".join(f"{name} {estimate}" for name, estimate in found.estimates.items())
        self.display.say(
            f"{self.stage} evaluated after step {self.done}: {figures}  ({len(self.held_out)} problems, 95 % intervals)"
        )
        return measured | found.metrics() | {"time/evaluate": time.monotonic() - started}

    def _finish(self) -> None:
        partial = self.model_folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        if self.save is not None:
            self.save(partial)
        else:
            save_model(self.learner.policy, self.chat.tokenizer, partial)
        shutil.rmtree(self.model_folder, ignore_errors=True)
        os.replace(partial, self.model_folder)
        self.display.say(f"{self.stage} finished: the model is in {self.model_folder}")

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def checkpoint(self) -> Path:
        """Keep everything that the next step needs."""
        state = {
            "cursor": self.cursor,
            "optimizer_steps": self.learner.step,
            "silent_steps": self.silent_steps,
            "skipped_in_a_row": self.learner.skipped_in_a_row,
        }
        history = {"history": asdict(self.history), "pending": [asdict(group) for group in self.pending]}
        weights = self.learner.policy.trainable()
        optimizer = self.learner.optimizer.state_dict()
        keep = self.config.checkpoint.keep_last
        return save_checkpoint(self.folder / "checkpoints", self.done, weights, optimizer, history, state, keep)

    def restore(self) -> None:
        """Go back to the newest checkpoint that is whole; without any, stand at the start."""
        for path in reversed(checkpoints(self.folder / "checkpoints")):
            try:
                weights, optimizer, history, state = load_checkpoint(path, self.learner.policy.device)
            except CheckpointError as error:
                print(f"warning: {error}; trying the checkpoint before it", flush=True)
                continue
            with torch.no_grad():
                for name, parameter in self.learner.policy.trainable().items():
                    parameter.copy_(weights[name])
            self.learner.optimizer.load_state_dict(optimizer)
            self.learner.step = state["optimizer_steps"]
            self.learner.skipped_in_a_row = state["skipped_in_a_row"]
            self.done, self.cursor, self.silent_steps = state["step"], state["cursor"], state["silent_steps"]
            self.history = History.of(history["history"])
            self.pending = tuple(Group.of(group) for group in history["pending"])
            self.generator.load_weights(self.learner.named_weights(), version=self.learner.step)
            if self.done < self.config.steps:
                print(f"{self.stage} goes on after step {self.done} ({path})", flush=True)
            return

    # -- what is said on the way -----------------------------------------------------------------------------------

    def _warn_without_signal(self, groups: Sequence[Group], metrics: Mapping[str, float]) -> None:
        self.silent_steps = 0 if "loss" in metrics else self.silent_steps + 1
        assert isinstance(self.config, GRPOConfig)
        if groups and self.silent_steps and self.silent_steps % self.config.no_signal_patience == 0:
            self.display.say(
                f"warning: {self.silent_steps} steps in a row had nothing to learn from: {why_no_signal(groups)}"
            )

    def _speed(self, groups: Sequence[Group]) -> dict[str, float]:
        speed: dict[str, float] = {f"time/{stage}": seconds for stage, seconds in self.seconds.items()}
        rollouts = [rollout for group in groups for rollout in group.rollouts]
        if rollouts and "sample" in self.seconds:
            speed["speed/sample_tokens"] = sum(len(r.completion_ids) for r in rollouts) / self.seconds["sample"]
        if "learn" in self.seconds:
            speed["speed/learn_tokens"] = self.learner.tokens_seen / self.seconds["learn"]
            self.learner.tokens_seen = 0
        speed["speed/peak_memory_mb"] = peak_memory_mb(self.learner.policy.device)
        return speed

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:  # the second Ctrl-C does not wait; other signals come twice for one reason
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.interrupted = True
        self.display.say("stopping after this step (Ctrl-C again: at once, going back to the last checkpoint)")

    @staticmethod
    def _in_main_thread() -> bool:
        return threading.current_thread() is threading.main_thread()


def peak_memory_mb(device: torch.device) -> float:
    """The most memory that was in use so far: torch's on a GPU, the process's on a CPU; MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
