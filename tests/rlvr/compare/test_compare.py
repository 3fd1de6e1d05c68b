"""A comparison from start to end, with processes, on a tiny model."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest
from safetensors.torch import load_file

from rlvr.compare.compare import Watch, compare, hold_folder, plan_jobs
from rlvr.compare.config import load_plan
from rlvr.compare.processes import Job
from rlvr.errors import ConfigError

COMPARISON = """
base: quickstart.yaml
overrides:
  model.scratch: {hidden_size: 32, layers: 2, heads: 2, kv_heads: 2, intermediate_size: 48}
  task: {name: arithmetic, min_steps: 1, max_steps: 2, max_number: 9, max_value: 20}
  cold_start: {steps: 12, rows_per_step: 16, optimizer: {lr: 1.0e-2}}
  steps: 4
  prompts_per_step: 6
  group_size: 4
  sampling.max_tokens: 16
  optimizer: {lr: 1.0e-3}
  eval: {problems: 12, samples: 2, every: 2}
  checkpoint.every: 1
  verify.verifier: tests.rlvr.scripts:coin_at_once
variants:
  grpo: {objective: grpo}
  broken: {verify.verifier: 'tests.rlvr.scripts:always_fails_at_once'}
  dr_grpo: {objective: dr_grpo}
seeds: [0]
out: out
jobs: 2
threads: 1
measures: [accuracy, incorrect_length_growth]
target_accuracy: 0.1
"""


def command(folder: Path, *overrides: str) -> list[str]:
    shutil.copy("configs/quickstart.yaml", folder)
    (folder / "comparison.yaml").write_text(COMPARISON)
    return [sys.executable, "-m", "rlvr", "compare", "comparison.yaml", *overrides]


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(
        command(folder, *overrides), cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    folder = tmp_path_factory.mktemp("finished")
    process = start(folder)
    said, _ = process.communicate(timeout=600)
    return folder, said, process.returncode


def results(folder: Path) -> dict[str, str]:
    """The three files without what is marked as depending on the machine."""
    html = (folder / "out/compare.html").read_text()
    tree = json.loads((folder / "out/compare.json").read_text())
    lines = [line.split(",") for line in (folder / "out/compare.csv").read_text().splitlines()]
    first = lines[0].index("machine_seconds")
    for run in tree["runs"]:
        assert run.pop("machine_seconds") > 0
        assert run.pop("machine_peak_memory_bytes") > 10**8
    for variant in tree["variants"].values():
        variant["cost"] = {name: value for name, value in variant["cost"].items() if not name.startswith("machine_")}
    return {
        "html": re.sub(r"<(td|pre) class=machine>.*?</\1>", "", html, flags=re.DOTALL),
        "json": json.dumps(tree),
        "csv": "\n".join(",".join(line[:first]) for line in lines),
    }


@pytest.mark.slow
def test_a_failed_run_is_reported_with_the_end_of_its_log_and_stops_nobody(finished: tuple[Path, str, int]) -> None:
    folder, said, code = finished
    assert code == 1
    assert "broken, seed 0: failed" in said
    assert "the judge is not at home" in said
    for variant in ("grpo", "dr_grpo"):
        assert f"{variant}, seed 0: finished 4/4" in said
        assert (folder / f"out/{variant}/seed-0/model/model.safetensors").is_file()
    html = (folder / "out/compare.html").read_text()
    assert "broken, seed 0 has no result" in html
    assert "the judge is not at home" in html
    assert set(json.loads((folder / "out/compare.json").read_text())["variants"]) == {"grpo", "dr_grpo"}


@pytest.mark.slow
def test_variants_start_from_the_same_weights_and_first_write_the_same_completions(
    finished: tuple[Path, str, int],
) -> None:
    folder, _, _ = finished
    runs = [folder / f"out/{variant}/seed-0" for variant in ("grpo", "dr_grpo")]

    def written(run: Path, name: str) -> list[tuple[object, ...]]:
        rows = pyarrow.parquet.read_table(run / name).to_pylist()
        return [(row["problem_id"], row["prompt"], row["completion"], row["reward"]) for row in rows]

    for name in ("evaluations/step-000000-drawn.parquet", "rollouts/step-000001.parquet"):
        first, second = (written(run, name) for run in runs)
        assert len(first) == 24
        assert first == second
    rollouts = [written(run, "rollouts/step-000004.parquet") for run in runs]
    assert [row[:2] for row in rollouts[0]] == [row[:2] for row in rollouts[1]]  # the same problems to the end
    weights = [load_file(run / "model/model.safetensors") for run in runs]
    assert any((weights[0][name] != weights[1][name]).any() for name in weights[0])  # and yet other policies


@pytest.mark.slow
def test_interrupted_and_started_again_it_ends_with_the_same_bytes(
    finished: tuple[Path, str, int], tmp_path: Path
) -> None:
    process = start(tmp_path)
    first_step = tmp_path / "out/grpo/seed-0/rollouts/step-000001.parquet"
    deadline = time.monotonic() + 600
    while not first_step.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = children.read_text().split() if children.exists() else []
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "interrupted: the same command goes on" in said
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not (tmp_path / "out/compare.html").exists()

    again = start(tmp_path)
    said, _ = again.communicate(timeout=600)
    assert again.returncode == 1, said  # the broken variant is tried again
    assert "cold start, seed-0: reused" in said
    assert results(tmp_path) == results(finished[0])


@pytest.mark.slow
def test_finished_runs_are_reused_and_give_the_same_page_to_the_byte(
    finished: tuple[Path, str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    without_broken = COMPARISON.replace("  broken: {verify.verifier: 'tests.rlvr.scripts:always_fails_at_once'}\n", "")
    (tmp_path / "comparison.yaml").write_text(without_broken)
    monkeypatch.chdir(tmp_path)
    pages = []
    for _ in range(2):
        assert compare(Path("comparison.yaml"), [], jobs=1, png=False) == 0
        pages.append([(tmp_path / "out" / f"compare.{kind}").read_bytes() for kind in ("html", "json", "csv")])
    assert pages[0] == pages[1]
    said = capsys.readouterr().out
    assert said.count("reused") == 6
    assert "running" not in said
    assert "No difference shown at this budget" in said or "is better than" in said

    with pytest.raises(ConfigError, match=r"out/grpo/seed-0 holds a run with another configuration: .*optimizer.lr"):
        plan_jobs(load_plan("comparison.yaml", ["overrides.optimizer.lr=2e-3"]))


@pytest.mark.slow
def test_figures_are_written_as_pictures(
    finished: tuple[Path, str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "comparison.yaml").write_text(re.sub(r"  broken: .*\n", "", COMPARISON))
    monkeypatch.chdir(tmp_path)
    assert compare(Path("comparison.yaml"), [], jobs=None, png=True) == 0
    written = {path.name: path.read_bytes()[:4] for path in Path("out/figures").iterdir()}
    assert {"learning.png", "length-incorrect.png", "pairs-accuracy.png", "cohorts.png"} <= set(written)
    assert set(written.values()) == {b"\x89PNG"}


def test_a_variant_that_learns_from_other_demonstrations_has_a_cold_start_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = load_plan("comparison.yaml", ["variants.dr_grpo.cold_start.steps=9", "seeds=[0, 1]"])
    jobs = {job.name: job for job in plan_jobs(plan)}
    assert [name for name in jobs if name.startswith("cold start")] == [
        "cold start, seed-0", "cold start, seed-0-dr_grpo", "cold start, seed-1", "cold start, seed-1-dr_grpo",
    ]  # fmt: skip
    assert jobs["grpo, seed 1"].needs is jobs["broken, seed 1"].needs is jobs["cold start, seed-1"]
    assert jobs["dr_grpo, seed 1"].needs is jobs["cold start, seed-1-dr_grpo"]
    assert jobs["dr_grpo, seed 1"].needs.steps == 9  # type: ignore[union-attr]


def test_one_cold_start_can_serve_all_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path)
    monkeypatch.chdir(tmp_path)
    jobs = plan_jobs(load_plan("comparison.yaml", ["initial_weights=once", "seeds=[4, 5]"]))
    assert [job.name for job in jobs if job.needs is None] == ["cold start, seed-4"]
    assert len(jobs) == 1 + 3 * 2


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="or a run that it started, is using"), hold_folder(tmp_path):
            pass
    with hold_folder(tmp_path):
        pass


@pytest.mark.parametrize("count", [3, 40])
def test_in_a_terminal_each_run_has_a_line_as_long_as_they_fit(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TERM", "xterm")
    jobs = [Job(f"grpo, seed {number}", tmp_path / str(number), steps=9, threads=1) for number in range(count)]
    (tmp_path / "1").mkdir()
    (tmp_path / "1/metrics.jsonl").write_text('{"step": 0, "eval/greedy": 0.5}\n{"step": 4}\n')
    jobs[0].state, jobs[1].state = "finished", "running"
    with Watch(count) as watch:
        watch.show(jobs)
    shown = capsys.readouterr().out
    assert re.search(r"grpo, seed 1 +running +4/9  accuracy 0.500", shown)
    assert ("grpo, seed 2 " in shown) == (count == 3)
    assert ("1 finished, 38 waiting" in shown) == (count == 40)
