"""`rlvr compare`: trains variants under one protocol, each as an ordinary run, and reports the conclusions.

<out>/cold_start/seed-N   the supervised stage, trained once and shared by the variants
<out>/<variant>/seed-N    a run folder; `train.log` in it is the output of the run
<out>/compare.html        the page; compare.json and compare.csv beside it
"""

import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from rlvr.build import task_of
from rlvr.compare.config import COLD_START, Plan, load_plan
from rlvr.compare.processes import LOG, Job, run_jobs
from rlvr.config import RLConfig, SFTConfig, VerifyConfig
from rlvr.config.file import dump_config
from rlvr.errors import ConfigError, RlvrError
from rlvr.preflight import check, first_problems
from rlvr.report.conclusions import Comparison, changes, conclude, headlines
from rlvr.report.costs import costs
from rlvr.report.page import Setting, render
from rlvr.report.results import read_run
from rlvr.report.tables import as_csv, as_json
from rlvr.runfolder.claim import claim_folder, differences
from rlvr.runfolder.files import whole_file
from rlvr.runfolder.lock import hold_folder
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers.cold_start import cold_model

NO_EVALUATION = {"every": 0, "at_start": False, "at_end": False}
REFRESH_SECONDS = 1.0


def compare(path: Path, overrides: Sequence[str], jobs: int | None, png: bool) -> int:
    """Run what is missing and write the results. Returns the exit code: 1 if a run failed, 130 after Ctrl-C.

    Raises `ConfigError` or `DataError` before anything is trained.
    """
    plan = load_plan(path, overrides, jobs)
    check_variants(plan)
    say = Console(highlight=False, soft_wrap=True).print
    out = Path(plan.config.out)
    with hold_folder(out) as lock:
        planned = plan_jobs(plan)
        with Watch(len(planned)) as watch:
            finished = run_jobs(planned, plan.config.jobs, watch.show, inherited=(lock,))
        if not finished:
            say("interrupted: the same command goes on", markup=False)
            return 130
        comparison = write_results(plan, planned, command_of(path, overrides))
        if png:
            from rlvr.report.pictures import save_pictures

            save_pictures(comparison, out / "figures")
    for topic, lines in headlines(comparison).items():
        say("\n  ".join([topic, *lines]), markup=False)
    for line in changes(comparison):
        say(line, markup=False)
    failed = [job for job in planned if not job.has_result]
    for job in failed:
        say(f"{job.name} failed; the end of {job.folder / LOG}:\n{job.tail()}\n", markup=False)
    say(f"the comparison is in {out / 'compare.html'}", markup=False)
    return 1 if failed else 0


def check_variants(plan: Plan) -> None:
    """Check every variant before training. Raises an error that names the variant."""
    first = plan.config.seeds[0]
    held_out = None
    for variant in plan.config.variants:
        try:
            check(plan.runs[variant, first])
            problems = first_problems(task_of(plan.runs[variant, first]), plan.runs[variant, first].eval)
        except RlvrError as error:
            raise type(error)(f"{plan.path}: variant {variant!r}: {error}") from error
        held_out = held_out or problems
        if problems != held_out:
            raise ConfigError(
                f"{plan.path}: variant {variant!r} is evaluated on other problems than the first variant; expected the "
                "same for all: do not change eval.problems or the task options that determine its held-out problems"
            )


def plan_jobs(plan: Plan) -> list[Job]:
    """Claim every run folder and return the jobs, cold starts before the runs that need them.

    Raises `ConfigError` if a folder holds a run with another configuration.
    """
    threads = plan.config.threads or max(1, _cores() // plan.config.jobs)
    cold: dict[str, Job] = {}
    planned: list[Job] = []
    for (variant, seed), config in plan.runs.items():
        needs = None
        if config.cold_start is not None:
            first = shared_cold_start(plan, config, variant, list(cold.values()))
            key = dump_config(first.model_copy(update={"out": ""}))
            if key not in cold:
                cold[key] = _job(f"cold start, {Path(first.out).name}", first, threads)
                planned.append(cold[key])
            needs = cold[key]
            first = first.model_copy(update={"out": str(needs.folder)})
            config = config.model_copy(update={"model": cold_model(config, first), "cold_start": None})
        planned.append(_job(f"{variant}, seed {seed}", config, threads, needs))
    return planned


def shared_cold_start(plan: Plan, config: RLConfig, variant: str, others: Sequence[Job]) -> SFTConfig:
    """The cold start of a run, without evaluations (and so without a verifier).

    A variant that changes the cold start gets its own, in a separate folder.
    """
    seed = plan.config.seeds[0] if plan.config.initial_weights == "once" else config.seed
    folder = Path(plan.config.out) / COLD_START / f"seed-{seed}"
    if any(job.folder == folder for job in others):
        folder = folder.with_name(f"{folder.name}-{variant}")
    first = config.cold_start_config(str(folder))
    assert first is not None
    evaluation = first.eval.model_copy(update=NO_EVALUATION)
    return first.model_copy(update={"seed": seed, "eval": evaluation, "verify": VerifyConfig()})


def _job(name: str, config: RLConfig | SFTConfig, threads: int, needs: Job | None = None) -> Job:
    folder = Path(config.out)
    begun = read_metrics(folder / "metrics.jsonl")
    if config.threads is None and begun:  # another number of threads would give other bits
        threads = yaml.safe_load((folder / "config.yaml").read_text())["threads"] or threads
    config = config.model_copy(update={"threads": config.threads or threads})
    assert config.threads is not None
    return Job(name, claim_folder(config, one_protocol=True), config.steps, config.threads, needs)


def write_results(plan: Plan, planned: Sequence[Job], command: str) -> Comparison:
    """compare.html, compare.json and compare.csv from the runs that have a result."""
    config, out = plan.config, Path(plan.config.out)
    done = {job.folder for job in planned if job.has_result}
    runs = [
        read_run(plan.folder(variant, seed), variant, seed)
        for variant in config.variants
        for seed in config.seeds
        if plan.folder(variant, seed) in done
    ]
    comparison = conclude(runs, config.measures, config.baseline, config.confidence, config.resamples)
    cost_rows = costs(comparison.runs, config.target_accuracy)
    first = config.seeds[0]
    resolved = {variant: plan.runs[variant, first] for variant in comparison.variants}
    setting = Setting(
        title=f"Comparison of {', '.join(comparison.variants)}",
        command=command,
        base=dump_config(next(iter(resolved.values()))),
        seeds=tuple(config.seeds),
        differences=differing_keys(resolved),
        failures={job.name: job.tail() for job in planned if not job.has_result},
        target=config.target_accuracy,
        examples=config.examples,
        initial_weights="a cold start for each seed"
        if config.initial_weights == "per_seed"
        else "one cold start for all",
    )
    shown_config = config.model_dump(mode="json", exclude={"jobs"})  # the number of jobs does not change the results
    for name, text in {
        "compare.html": render(comparison, cost_rows, setting),
        "compare.json": as_json(comparison, cost_rows, config.target_accuracy, shown_config),
        "compare.csv": as_csv(comparison, config.target_accuracy),
    }.items():
        with whole_file(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return comparison


def differing_keys(resolved: dict[str, RLConfig]) -> dict[str, list[str]]:
    """Each dotted key in which configurations differ, with its value in each of them, in order."""
    trees = [config.model_dump(mode="json", exclude={"out", "seed"}) for config in resolved.values()]
    keys = dict.fromkeys(key for tree in trees[1:] for key, _, _ in differences(trees[0], tree))
    return {key: [_shown(_at(tree, key)) for tree in trees] for key in keys}


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _shown(value: Any) -> str:
    return "–" if value is None else yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def command_of(path: Path, overrides: Sequence[str]) -> str:
    return shlex.join(["rlvr", "compare", str(path), *overrides])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Watch:
    """Shows progress: one live line per run in a terminal, elsewhere a line when the state of a run changes."""

    def __init__(self, runs: int) -> None:
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self.runs = runs
        self.printed_states: dict[str, str] = {}
        self.shown = 0.0
        self.began = time.monotonic()

    def __enter__(self) -> "Watch":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, jobs: Sequence[Job]) -> None:
        changed = [job for job in jobs if self.printed_states.get(job.name, "waiting") != job.state]
        if self.live and (changed or time.monotonic() - self.shown > REFRESH_SECONDS):
            self.shown = time.monotonic()
            self.live.update(self._table(jobs), refresh=True)
        for job in changed:
            self.printed_states[job.name] = job.state
            if not self.live:
                over = sum(one.is_over for one in jobs)
                where = f" ({job.folder / LOG})" if job.state == "failed" else ""
                text = f"[{over}/{self.runs}, {time.monotonic() - self.began:.0f} s] {job.name}: {job.state}{where}"
                self.console.print(f"{text}{_progress(job) if job.has_result else ''}", markup=False)

    def _table(self, jobs: Sequence[Job]) -> Table:
        """A row for each run; on a small screen only for running and failed ones, with a count of the others."""
        table = Table(box=None, show_header=False, pad_edge=False)
        others = Counter[str]()
        for job in jobs:
            if len(jobs) > self.console.height - 2 and job.state not in ("running", "failed"):
                others[job.state] += 1
            else:
                table.add_row(job.name, job.state, _progress(job) if job.state != "waiting" else "")
        if others:
            table.add_row(", ".join(f"{count} {state}" for state, count in others.items()))
        return table


def _progress(job: Job) -> str:
    rows = read_metrics(job.folder / "metrics.jsonl")
    evaluated = [row["eval/greedy"] for row in rows if row.get("eval/greedy") is not None]
    done = f" {int(rows[-1]['step'])}/{job.steps}" if rows else ""
    return f"{done}{f'  accuracy {evaluated[-1]:.3f}' if evaluated else ''}"
