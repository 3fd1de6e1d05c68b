"""Runs as processes: a given number at a time, each with its own threads and log. A failed run stops no other.

Children have their own sessions, so that Ctrl-C reaches them only through this file: the first asks each run to stop
after its step with a checkpoint, the second to stop at once.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from rlvr.report.results import PROCESS
from rlvr.runfolder.files import whole_file
from rlvr.runfolder.metrics import read_metrics

LOG = "train.log"
TAIL_LINES = 15
POLL_SECONDS = 0.2
State = Literal["waiting", "running", "finished", "reused", "failed", "stopped"]
# Libraries that would otherwise start a thread for each core, in every process.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass
class Job:
    """One run: `config_path` is the argument of `rlvr train`, `needs` is a job that must finish before."""

    name: str
    folder: Path
    steps: int
    threads: int
    needs: "Job | None" = None
    state: State = "waiting"
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    log_start: int = 0  # bytes in the log from earlier attempts

    @property
    def config_path(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def is_over(self) -> bool:
        return self.state not in ("waiting", "running")

    @property
    def has_result(self) -> bool:
        return self.state in ("finished", "reused")

    def tail(self) -> str:
        """The end of its log, only of this attempt."""
        path = self.folder / LOG
        lines = path.read_bytes()[self.log_start :].decode(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-TAIL_LINES:])


def is_finished(folder: Path, steps: int) -> bool:
    """Whether a run folder holds a result: the model is written last."""
    rows = read_metrics(folder / "metrics.jsonl") if (folder / "model").exists() else []
    return bool(rows) and rows[-1]["step"] == steps


def run_jobs(
    jobs: Sequence[Job], at_once: int, watch: Callable[[Sequence[Job]], None], inherited: Sequence[int] = ()
) -> bool:
    """Run all jobs, in order as far as their needs allow; `watch` is called a few times a second.

    `inherited` are file descriptors that the children keep open.
    Returns: False if Ctrl-C (or SIGTERM, SIGHUP) ended it.
    """
    interrupts = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        for job in jobs:
            if job.process is not None and job.state == "running":
                job.process.send_signal(signal.SIGINT if interrupts < 3 else signal.SIGKILL)

    usual = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        while not all(job.is_over for job in jobs):
            for job in jobs:
                _advance(job, interrupts > 0, sum(j.state == "running" for j in jobs) < at_once, inherited)
            watch(jobs)
            time.sleep(POLL_SECONDS)
    finally:
        for job in jobs:
            if (
                job.process is not None and job.process.returncode is None
            ):  # something went wrong here: leave no orphans
                job.process.kill()
                job.process.wait()
        for number, handler in usual.items():
            signal.signal(number, handler)
    return interrupts == 0


def _advance(job: Job, stopping: bool, is_room: bool, inherited: Sequence[int]) -> None:
    if job.state == "running":
        _look_after(job, stopping)
    elif job.state == "waiting":
        if stopping or (job.needs is not None and job.needs.state == "stopped"):
            job.state = "stopped"
        elif job.needs is not None and job.needs.state == "failed":
            job.state = "failed"
            (job.folder / LOG).write_text(f"not started: {job.needs.name} failed, see {job.needs.folder / LOG}\n")
        elif is_finished(job.folder, job.steps):
            job.state = "reused"
        elif is_room and (job.needs is None or job.needs.has_result):
            _start(job, inherited)


def _start(job: Job, inherited: Sequence[int]) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(job.threads)), "TOKENIZERS_PARALLELISM": "false"}
    with (job.folder / LOG).open("ab") as log:
        job.log_start = log.tell()
        job.process = subprocess.Popen(
            [sys.executable, "-m", "rlvr", "train", str(job.config_path)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            pass_fds=tuple(inherited),
        )  # fmt: skip
    job.started = time.monotonic()
    job.state = "running"


def _look_after(job: Job, stopping: bool) -> None:
    assert job.process is not None
    ended_pid, status, used = os.wait4(job.process.pid, os.WNOHANG)
    if not ended_pid:
        return
    job.process.returncode = os.waitstatus_to_exitcode(status)
    if is_finished(job.folder, job.steps):
        job.state = "finished"
        _keep_usage(job, used)
    else:
        job.state = "stopped" if stopping else "failed"


def _keep_usage(job: Job, used: resource.struct_rusage) -> None:
    """Peak memory of the largest process of the run; `ru_maxrss` is in KiB on Linux and in bytes on macOS."""
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with whole_file(job.folder / PROCESS) as partial:
        partial.write_text(
            json.dumps({"peak_memory_bytes": peak, "seconds": round(time.monotonic() - job.started, 1)}) + "\n"
        )
