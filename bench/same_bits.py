"""Does a change of the code change a number? Short training runs of every trainer, as digests of all that they leave.

    python bench/same_bits.py                    compare with the digests in bench/same_bits.json
    python bench/same_bits.py --record           write them
    python bench/same_bits.py --against COMMIT   run that commit's code too, on this machine, and compare with it

A digest covers `metrics.jsonl` (without the keys that depend on the machine), the ledger (without the verifier's words)
and the final weights, bit for bit. Digests are kept for each kind of processor, since its instructions decide the last
bits of a product; on a machine of another kind use `--against`. A key or column that the record does not know is named,
and is no difference.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".json")
MACHINE_DEPENDENT = ("time/", "speed/")
# Columns of the ledger that hold a verifier's own words about a verdict.
WORDING = ("detail",)

TINY = "model.scratch={hidden_size: 64, layers: 2, heads: 4, kv_heads: 2, intermediate_size: 128, max_length: 128}"
ARITHMETIC = "task={name: arithmetic, min_steps: 1, max_steps: 2, max_number: 12, max_value: 40}"
FAST = "optimizer={lr: 3.0e-4, betas: [0.9, 0.99], microbatch_tokens: 2048}"
SMALL_EVAL = "eval={problems: 32, samples: 2, every: 4}"
# Of the SFT run below.
START = "model.path={out}/sft/model"
RL = [START, ARITHMETIC, FAST, SMALL_EVAL, "sampling.max_tokens=40", "prompts_per_step=8", "group_size=4", "steps=8"]


@dataclass(frozen=True)
class Case:
    """One run: a recipe or a trainer, what is set otherwise, and whether it is stopped in between and goes on."""

    name: str
    source: str
    overrides: list[str]
    interrupted: bool = False


# Renamed keys have their older spelling here, which `--against` an older commit needs (rlvr/config/renamed.py).
CASES = [
    Case("sft", "sft", [TINY, ARITHMETIC, SMALL_EVAL, "steps=250", "rows_per_step=32", "sampling.max_tokens=40",
        "optimizer={lr: 3.0e-3, schedule: cosine, warmup_steps: 10, betas: [0.9, 0.99], microbatch_tokens: 4096}",
        "eval.every=0"]),
    Case("grpo", "grpo", [*RL, "objective={preset: grpo, kl_coef: 0.02}", "epochs=2", "minibatches=2"]),
    Case("dapo_waiting", "grpo", [*RL, "objective={preset: dapo, refill_rounds: 3, max_staleness: 4}",
        "minibatches=2"]),
    Case("rloo_kl_in_reward", "grpo", [*RL, "objective={preset: rloo, keep: mixed, refill_rounds: 2, max_staleness: 4, "
        "kl_target: 0.01, entropy_target: 3}", "selection={skip_solved: 1}"]),
    Case("curriculum", "grpo", [*RL, "objective={preset: dr_grpo, group_weight: cohort, overlong: punish}",
        "selection={curriculum: pass_rate}", "model.packing=true"]),
    Case("apart", "grpo", [*RL, "objective=gdpo", "verify.verifier=bench.same_bits:parts"]),
    Case("lora", "grpo", [*RL, "objective={preset: grpo, kl_coef: 0.02}", "model.lora={rank: 4, alpha: 8}"]),
    Case("ppo", "ppo", [*RL, "group_size=2"]),
    Case("ppo_critic", "ppo", [*RL, "critic.path={out}/reward_model/model", "bootstrap_truncated=true",
        "sampling.max_tokens=24"]),
    Case("trust_region", "ppo", [*RL, "steps=3", "trust_region={iterations: 3}"]),
    Case("sft_data", "sft", [START, FAST, "data={train: {data}/answers.jsonl, held_out_rows: 20}", "steps=6",
        "rows_per_step=16", "eval.every=3", "model.packing=true"]),
    Case("dpo", "dpo", [START, ARITHMETIC, FAST, SMALL_EVAL, "data={train: {data}/pairs.jsonl, held_out_rows: 40}",
        "steps=8", "rows_per_step=16", "sampling.max_tokens=40"]),
    Case("kto", "dpo", [START, FAST, "loss=kto", "data={train: {data}/judged.jsonl, held_out_rows: 40}", "steps=6",
        "rows_per_step=16", "eval.every=3"]),
    Case("reward_model", "reward_model", [START, FAST, "data={train: {data}/pairs.jsonl, held_out_rows: 40}",
        "steps=8", "rows_per_step=16", "eval.every=4"]),
    Case("grpo_resumed", "grpo", [*RL, "objective={preset: grpo, kl_coef: 0.02}", "epochs=2", "minibatches=2"], True),
    Case("dapo_resumed", "grpo", [*RL, "objective={preset: dapo, refill_rounds: 3, max_staleness: 4}",
        "minibatches=2"], True),
    Case("ppo_resumed", "ppo", [*RL, "group_size=2"], True),
    Case("quickstart", "configs/quickstart.yaml", ["steps=20", "eval.samples=2", "eval.problems=128"]),
    Case("quickstart_code", "configs/quickstart_code.yaml", ["steps=10", "eval.samples=2", "eval.problems=128"]),
]  # fmt: skip
# The reward model is the critic of a later run.
ORDER = sorted(CASES, key=lambda case: {"sft": 0, "reward_model": 1}.get(case.name, 2))


def parts(completion: str, answer: str, **context: object) -> Any:
    """A verifier whose verdicts have parts: the answer is right, and the completion is short.

    Its worker processes import this file, which therefore imports nothing heavy at its top.
    """
    from verifiers import Verdict

    right, short = float(completion.rstrip().endswith(answer)), float(len(completion) < 60)
    score = 0.75 * right + 0.25 * short
    status = "correct" if score == 1 else "partial" if score else "wrong"
    return Verdict(score, status, parts={"right": right, "short": short})


def write_data(folder: Path) -> None:
    """Comparisons, judged answers and conversations, made by arithmetic."""
    folder.mkdir(parents=True)
    rows = [(a, b) for a in range(2, 22) for b in range(2, 22)]
    questions = [([{"role": "user", "content": f"How much is {a} plus {b}?"}], a + b) for a, b in rows]

    def reply(number: int) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": f"The answer is {number}."}]

    files: dict[str, Iterable[dict[str, Any]]] = {
        "pairs": ({"prompt": q, "chosen": reply(n), "rejected": reply(n + 1 + n % 3)} for q, n in questions),
        "judged": (
            {"prompt": q, "completion": reply(n + i % 2), "label": i % 2 == 0} for i, (q, n) in enumerate(questions)
        ),
        "answers": ({"messages": [*q, *reply(n)]} for q, n in questions),
    }
    for name, lines in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def run_case(case: Case, tree: Path, folder: Path) -> None:
    """Train `case` with the code in `tree`, below `folder`."""
    overrides = [text.replace("{out}", str(folder)).replace("{data}", str(folder / "data")) for text in case.overrides]
    overrides += [f"out={folder / case.name}", "threads=1", "device=cpu"]
    path = tree / case.source
    if not case.source.endswith(".yaml"):
        path = folder / f"{case.source}.yaml"
        path.write_text(f"trainer: {case.source}\n")
    command = [sys.executable, "-m", "rlvr", "train", str(path), *overrides]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    log_path = folder / f"{case.name}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=log, stderr=log)
        if case.interrupted:
            wait_for(lambda: steps_written(folder / case.name) > 3 or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            process.wait()
            if (folder / case.name / "model").exists():
                raise SystemExit(f"{case.name} ended before it could be stopped in between")
            process = subprocess.Popen(command, cwd=tree, env=environment, stdout=log, stderr=log)
        if process.wait():
            raise SystemExit(f"{case.name} failed in {tree}:\n{log_path.read_text()[-3000:]}")


def wait_for(happened: Callable[[], bool]) -> None:
    while not happened():
        time.sleep(0.02)


def steps_written(run: Path) -> int:
    path = run / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def rows_of(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass(frozen=True)
class Left:
    """What a run left behind, without what depends on the machine."""

    metrics: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    weights: str

    @property
    def keys(self) -> list[str]:
        return sorted({key for row in self.metrics for key in row})

    @property
    def columns(self) -> list[str]:
        return sorted({key for row in self.ledger for key in row})

    def digest(self, keys: Iterable[str], columns: Iterable[str]) -> dict[str, str]:
        """SHA-256 of each part, metrics and ledger of some keys and columns only."""
        wanted, shown = set(keys), set(columns)
        return {
            "metrics": digest_of([{k: v for k, v in row.items() if k in wanted} for row in self.metrics]),
            "ledger": digest_of([{k: v for k, v in row.items() if k in shown} for row in self.ledger]),
            "weights": self.weights,
        }


def digest_of(rows: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def left_by(run: Path) -> Left:
    import pyarrow.parquet
    import torch
    from safetensors.torch import load_file

    metrics = [
        {key: value for key, value in row.items() if not key.startswith(MACHINE_DEPENDENT)} for row in rows_of(run)
    ]
    ledger = [
        {column: value for column, value in row.items() if column not in WORDING}
        for path in sorted(run.glob("rollouts/*.parquet"))
        for row in pyarrow.parquet.read_table(path).to_pylist()
    ]
    digest = hashlib.sha256()
    for name, weight in sorted(load_file(run / "model" / "model.safetensors").items()):
        digest.update(name.encode() + weight.contiguous().view(torch.uint8).numpy().tobytes())
    return Left(metrics, ledger, digest.hexdigest())


def machine() -> str:
    """What the last bits depend on."""
    import torch

    models = {line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith(("model name", "model\t", "cpu family"))}  # fmt: skip
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {' '.join(sorted(models))}"


def run_all(cases: Iterable[Case], tree: Path, folder: Path) -> dict[str, Left]:
    write_data(folder / "data")
    results = {}
    for case in cases:
        started = time.monotonic()
        run_case(case, tree, folder)
        results[case.name] = left_by(folder / case.name)
        print(f"  {case.name}: {time.monotonic() - started:.1f} s", flush=True)
    return results


def differences(expected: dict[str, Any], left: Left) -> list[str]:
    """Which parts differ, and what is new."""
    digests = left.digest(expected["keys"], expected["columns"])
    wrong = [part for part in digests if digests[part] != expected[part]]
    new = sorted({*left.keys} - {*expected["keys"]}) + sorted({*left.columns} - {*expected["columns"]})
    return [f"DIFFERS: {', '.join(wrong)}"] * bool(wrong) + [f"new: {', '.join(new)}"] * bool(new)


def as_record(left: Left) -> dict[str, Any]:
    return {**left.digest(left.keys, left.columns), "keys": left.keys, "columns": left.columns}


def formatted(known: dict[str, dict[str, Any]]) -> str:
    """The record as JSON, a line for each case."""
    machines = (
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(case)}: {json.dumps(record)}" for case, record in cases.items())
        + "\n }"
        for name, cases in known.items()
    )
    return "{\n" + ",\n".join(machines) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write bench/same_bits.json")
    parser.add_argument("--against", metavar="COMMIT", help="compare with the code of this commit")
    parser.add_argument("--only", nargs="*", help="names of cases (those that they start from run too)")
    options = parser.parse_args()
    cases = [case for case in ORDER if not options.only or case.name in {*options.only, "sft", "reward_model"}]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        if options.against:
            tree = folder / "tree"
            subprocess.run(["git", "worktree", "add", "--detach", str(tree), options.against], cwd=ROOT, check=True)
            try:
                (tree / "bench" / "same_bits.py").write_text(Path(__file__).read_text())
                print(f"{options.against}:")
                (folder / "before").mkdir()
                expected = {name: as_record(left) for name, left in run_all(cases, tree, folder / "before").items()}
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
        else:
            expected = known.get(machine(), {})
        if not (expected or options.record):
            raise SystemExit(f"no digests are kept for {machine()}: use --against COMMIT")
        print(f"this tree, on {machine()}:")
        (folder / "now").mkdir()
        results = run_all(cases, ROOT, folder / "now")
        if options.record:
            known.setdefault(machine(), {}).update({name: as_record(left) for name, left in results.items()})
            RECORD.write_text(formatted(known))
            return
        changes = {name: differences(expected[name], left) for name, left in results.items()}
    for name, lines in changes.items():
        print(f"{name}: {'; '.join(lines) or 'the same bits'}")
    if any("DIFFERS" in line for lines in changes.values() for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
