"""kill -9 at any moment, then the same command: the same parameters and metrics, bit for bit."""

import json
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlvr.config import ModelConfig
from rlvr.config.file import load_config
from rlvr.errors import CheckpointError, ConfigError
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.runfolder.checkpoint import checkpoints
from rlvr.runfolder.metrics import MACHINE_DEPENDENT
from rlvr.trainers import grpo
from tests.conftest import TINY

STEPS = 8
# On a busy machine a run can be over before it hears of a signal; one that does not listen ends each time.
ATTEMPTS = 8
OVERRIDES = [
    "model.scratch={hidden_size: 32, layers: 2, heads: 2, kv_heads: 2, intermediate_size: 48}",
    "task={name: arithmetic, min_steps: 1, max_steps: 1, max_number: 9, max_value: 20}",
    "cold_start={steps: 12, rows_per_step: 16, optimizer: {lr: 1e-2}}",
    f"steps={STEPS}",
    "prompts_per_step=6",
    "group_size=4",
    "sampling.max_tokens=16",
    "optimizer.lr=1e-3",
    "minibatches=2",
    "eval={problems: 4, samples: 2, every: 3}",
    "checkpoint={every: 2, keep_last: 2}",
    "threads=1",
]


def command(out: Path, *options: str) -> list[str]:
    """A process of its own for each run: what else has run in this one (vLLM, say) can change the last bit of a sum."""
    return [sys.executable, "-m", "rlvr", "train", "configs/quickstart.yaml", f"out={out}", *OVERRIDES, *options]


def finish(out: Path, *options: str) -> str:
    done = subprocess.run(command(out, *options), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metrics_of(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(MACHINE_DEPENDENT)} for row in lines]


def result(out: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, float]], list[dict[str, float]]]:
    return load_file(out / "model/model.safetensors"), metrics_of(out), metrics_of(out / "cold_start")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    shutil.rmtree(out)
    finish(out)
    return out


def assert_same(out: Path, expected: Path) -> None:
    weights, metrics, cold = result(out)
    expected_weights, expected_metrics, expected_cold = result(expected)
    assert [row["step"] for row in metrics] == list(range(STEPS + 1))
    assert metrics == expected_metrics
    assert cold == expected_cold
    for name, weight in expected_weights.items():
        assert torch.equal(weights[name], weight), name
    assert len(list((out / "rollouts").glob("*.parquet"))) == STEPS


def begun(out: Path) -> bool:
    return (out / "rollouts/step-000001.parquet").exists()


def kill_when(process: subprocess.Popen[bytes], is_time) -> None:
    deadline = time.monotonic() + 600
    while not is_time() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("attempt", [0, *(pytest.param(more, marks=pytest.mark.nightly) for more in range(1, 4))])
def test_killed_at_random_moments_a_run_ends_as_if_it_had_not_been(
    tmp_path: Path, uninterrupted: Path, attempt: int
) -> None:
    rng = random.Random(os.environ.get("RLVR_KILL_SEED", str(attempt)))
    out = tmp_path / "run"
    for _ in range(3):
        stage = out / "cold_start" if rng.random() < 0.3 else out
        after = rng.randrange(STEPS)
        process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def reached() -> bool:
            path = stage / "metrics.jsonl"  # noqa: B023
            return path.exists() and path.read_bytes().count(b"\n") > after  # noqa: B023

        kill_when(process, reached)
        time.sleep(rng.random() * 0.01)
    finish(out)
    assert_same(out, uninterrupted)


@pytest.mark.slow
def test_killed_while_writing_a_checkpoint_the_one_before_is_used(tmp_path: Path, uninterrupted: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kill_when(process, (out / "checkpoints/step-000004.partial").exists)
    assert (out / "checkpoints/step-000004.partial").exists() or (out / "checkpoints/step-000004").exists()
    finish(out)
    assert_same(out, uninterrupted)
    assert not list((out / "checkpoints").glob("*.partial"))


def newest_history(out: Path) -> dict[str, list[object]]:
    found = [path / "history.json" for path in checkpoints(out / "checkpoints")]
    return json.loads(found[-1].read_text()) if found and found[-1].exists() else {"pending": []}


def untimed(history: dict[str, list[object]]) -> dict[str, list[object]]:
    """The history without the seconds that verdicts took."""
    return json.loads(re.sub(r'("seconds": )[^,}]+', r"\g<1>0", json.dumps(history)))


def test_killed_with_groups_that_wait_a_run_ends_as_if_it_had_not_been(tmp_path: Path, chat: Chat) -> None:
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), 1.0, 0).save(tiny, chat.tokenizer)
    objective = "{preset: rloo, keep: mixed, refill_rounds: 2, max_staleness: 4, kl_target: 0.01, entropy_target: 9}"
    options = (
        f"model={{path: {tiny}}}", "cold_start=null", f"objective={objective}", "group_size=2", "eval={problems: 0}",
        "verify.verifier=tests.rlvr.scripts:by_text", "selection={curriculum: pass_rate, oversample: 2}",
        "checkpoint={every: 1, keep_last: 2}", "seed=3",  # with which groups wait in most steps
    )  # fmt: skip
    whole = tmp_path / "whole"
    finish(whole, *options)
    for attempt in range(ATTEMPTS):  # a slow kill can hit the next checkpoint, in which no group waits
        out = tmp_path / f"run{attempt}"
        process = subprocess.Popen(command(out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kill_when(process, lambda out=out: len(newest_history(out)["pending"]) > 0)
        if newest_history(out)["pending"] and not (out / "model").exists():
            break
    assert newest_history(out)["pending"]
    assert not (out / "model").exists()
    finish(out, *options)
    weights, rows = load_file(out / "model/model.safetensors"), metrics_of(out)[1:]
    assert rows == metrics_of(whole)[1:]
    assert len(rows) == STEPS
    assert max(row["groups/staleness_max"] for row in rows) > 0
    assert len({row["objective/kl_coef"] for row in rows if "loss" in row}) > 1
    assert untimed(newest_history(out)) == untimed(newest_history(whole))
    for name, weight in load_file(whole / "model/model.safetensors").items():
        assert torch.equal(weights[name], weight), name


def test_a_truncated_checkpoint_is_named_and_the_one_before_is_used(tmp_path: Path, uninterrupted: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    newest = checkpoints(out / "checkpoints")[-1]
    assert newest.name == "step-000008"
    whole = (newest / "weights.safetensors").read_bytes()
    (newest / "weights.safetensors").write_bytes(whole[: len(whole) // 2])
    said = finish(out)
    assert f"{newest / 'weights.safetensors'} is damaged: got {len(whole) // 2} bytes" in said.replace("\n", " ")
    assert_same(out, uninterrupted)


def test_old_checkpoints_are_removed(uninterrupted: Path) -> None:
    assert [path.name for path in checkpoints(uninterrupted / "checkpoints")] == ["step-000006", "step-000008"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=lambda stop: stop.name)
def test_a_signal_ends_after_the_step_with_a_checkpoint_and_the_run_goes_on(
    tmp_path: Path, uninterrupted: Path, stop: signal.Signals
) -> None:
    if signal.getsignal(stop) == signal.SIG_IGN:
        pytest.skip(f"{stop.name} is ignored here, and in what is started from here")
    for attempt in range(ATTEMPTS):
        out = tmp_path / f"run{attempt}"
        process = subprocess.Popen(command(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + 600
        while not begun(out) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(stop)
        said, _ = process.communicate(timeout=600)
        if not (out / "model").exists():
            break
    assert "interrupted after step" in said
    assert process.returncode == 130
    (only,) = checkpoints(out / "checkpoints")[-1:]
    assert str(only) in said
    assert not (out / "model").exists()
    finish(out)
    assert_same(out, uninterrupted)


def test_a_run_whose_terminal_is_closed_ends_with_a_checkpoint(tmp_path: Path, uninterrupted: Path) -> None:
    """The kernel's SIGHUP, and nowhere to write to any more."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        pytest.skip("SIGHUP is ignored here, and in what is started from here")
    for attempt in range(ATTEMPTS):
        out = tmp_path / f"run{attempt}"
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, command(out))
        deadline = time.monotonic() + 600
        while not begun(out) and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.002)[0]:
                os.read(terminal, 1 << 16)
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not (out / "model").exists():
            break
    assert code == 130
    assert not (out / "model").exists()
    assert metrics_of(out)[-1]["step"] == int(checkpoints(out / "checkpoints")[-1].name.split("-")[1])
    finish(out)
    assert_same(out, uninterrupted)


def test_a_full_disk_is_an_error_that_names_the_file_and_keeps_what_there_was(
    tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlvr.learners import local

    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    shutil.rmtree(checkpoints(out / "checkpoints")[-1])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local, "save_file", full)
    config = load_config("configs/quickstart.yaml", [f"out={out}", *OVERRIDES])
    with pytest.raises(CheckpointError, match=r"step-000008.partial/weights.safetensors: .*No space left"):
        grpo.train(config)
    monkeypatch.undo()
    assert [path.name for path in checkpoints(out / "checkpoints")] == ["step-000006"]
    grpo.train(config)
    assert_same(out, uninterrupted)


def test_another_configuration_in_the_same_folder_is_refused(tmp_path: Path, uninterrupted: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    config = load_config("configs/quickstart.yaml", [f"out={out}", *OVERRIDES, "group_size=8"])
    with pytest.raises(ConfigError, match=r"group_size \(4 there, 8 now\): groups of another size have other"):
        grpo.train(config)
