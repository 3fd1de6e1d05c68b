"""One epoch of DPO and one of reward modelling beside TRL's trainers: seconds and peak memory, in one run.

The same model, rows, batch size, optimizer and learning rate on both sides; each side in a process of its own, in turn,
so that its peak memory is its own. A side's seconds run from files to files: loading the model, tokenizing, the
reference's log-probabilities (TRL computes them at each step, as it does by default), the epoch, saving the model.
Imports are outside. `grown` is peak memory less the peak before that.

    python bench/preference.py                        in an environment with trl==1.16.0; two thousand pairs
    python bench/preference.py --pairs 16 --tiny      does it work

The rows are like real ones in what costs time: lengths with a long tail (log-normal, as those of what people and models
write are), and 128 words of vocabulary for each number of a state, which is between Llama 3.2 1B's 63 and Qwen2.5
0.5B's 170. `--even` takes what suits padding best: lengths without a tail, a small vocabulary. Ours runs with
`model.packing` and microbatches of 2,048 tokens, which change nothing but time and memory; `--plain` leaves both at
their defaults.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH = 16
LR = 1e-4
WORDS = [f"{a}{b}" for a in ("ba", "de", "ki", "lo", "mu", "na", "ro", "si", "ta", "vu") for b in ("n", "r", "s", "l")]
TINY = {"hidden_size": 32, "layers": 1, "heads": 2, "kv_heads": 2, "intermediate_size": 64}
SMALL = {"hidden_size": 128, "layers": 4, "heads": 4, "kv_heads": 2, "intermediate_size": 384}
SIZES = {"vocab_size": 1024, "max_length": 512}
LARGE_VOCABULARY = 16_384
LONGEST = 180  # words of a prompt or an answer
STAGES = ("dpo", "reward_model")
# What TRL's trainers assume of a GPU, put off, and nothing said or saved on the way.
QUIET: dict[str, Any] = {"report_to": "none", "save_strategy": "no", "logging_steps": 50, "disable_tqdm": True}
ON_A_CPU: dict[str, Any] = {"bf16": False, "gradient_checkpointing": False, "use_cpu": True}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=2000)
    arguments.add_argument("--repeats", type=int, default=1, help="of each; the fastest counts")
    arguments.add_argument("--tiny", action="store_true", help="a model of a few weights")
    arguments.add_argument("--even", action="store_true", help="lengths without a tail, a small vocabulary")
    arguments.add_argument(
        "--plain", action="store_true", help="ours without packing, in microbatches as large as the batch"
    )
    arguments.add_argument("--side", nargs=3, metavar=("SIDE", "STAGE", "FOLDER"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.side:
        side, stage, folder = given.side
        print(json.dumps((ours if side == "ours" else trl)(stage, Path(folder), given.pairs, given.plain)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, given.pairs, TINY if given.tiny else SMALL, given.even)
        figures: dict[str, Any] = {"pairs": given.pairs, "batch": BATCH, "even": given.even, "plain": given.plain}
        for stage in STAGES:
            runs: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}
            for _ in range(given.repeats):
                for side, done in runs.items():
                    done.append(measured(side, stage, folder, given))
            best = {side: min(done, key=lambda one: one["seconds"]) for side, done in runs.items()}
            mine, theirs = best["ours"], best["trl"]
            figures[stage] = best | {
                "times_as_fast": theirs["seconds"] / mine["seconds"],
                "peak_memory_ratio": mine["peak_mb"] / theirs["peak_mb"],
                "grown_memory_ratio": mine["grown_mb"] / max(theirs["grown_mb"], 1e-9),
            }
        print(json.dumps(figures, indent=1))


def measured(side: str, stage: str, folder: Path, given: argparse.Namespace) -> dict[str, float]:
    """One side in a process of its own. What it prints last is its figures."""
    command = [sys.executable, __file__, "--pairs", str(given.pairs), "--side", side, stage, str(folder)]
    done = subprocess.run(command + ["--plain"] * given.plain, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def rows(count: int, even: bool) -> list[dict[str, Any]]:
    """Prompts and two answers each: 10 to 60 words, or 40 in the median with a tail up to `LONGEST`."""
    draw = random.Random(0)

    def sentence() -> str:
        length = draw.randint(10, 60) if even else min(LONGEST, round(draw.lognormvariate(math.log(40), 0.8)) + 1)
        return " ".join(draw.choices(WORDS, k=length))

    return [
        {
            "prompt": [{"role": "user", "content": sentence()}],
            "chosen": [{"role": "assistant", "content": sentence()}],
            "rejected": [{"role": "assistant", "content": sentence()}],
        }
        for _ in range(count)
    ]


def prepare(folder: Path, pairs: int, size: dict[str, int], even: bool) -> None:
    """The rows and a model from nothing, on the disk."""
    import torch

    from rlvr.config import ModelConfig, ScratchConfig
    from rlvr.models.load import load_policy, scratch_chat

    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(pairs, even)))
    scratch = ScratchConfig(**SIZES, **size)
    chat = scratch_chat(scratch, [row["prompt"][0]["content"] for row in rows(min(pairs, 200), even)])
    (folder / "model").mkdir()
    policy = load_policy(ModelConfig(scratch=scratch), chat, torch.device("cpu"), 1.0, 0)
    if not even:
        policy.model.resize_token_embeddings(LARGE_VOCABULARY, mean_resizing=False)
    policy.save(folder / "model", chat.tokenizer)


def ours(stage: str, folder: Path, pairs: int, plain: bool) -> dict[str, float]:
    from rlvr.config import DPOConfig, RewardModelConfig
    from rlvr.trainers import dpo, reward_model

    keys: dict[str, Any] = {
        "trainer": stage, "steps": -(-pairs // BATCH), "rows_per_step": BATCH,
        "data": {"train": f"{folder}/pairs.jsonl"},
        "model": {"path": f"{folder}/model", "packing": not plain}, "optimizer": {"lr": LR, "schedule": "linear"},
        "checkpoint": {"every": 0},
    }  # fmt: skip
    if not plain:
        keys["optimizer"]["microbatch_tokens"] = 2048
    trainer = dpo if stage == "dpo" else reward_model
    with tempfile.TemporaryDirectory() as out:
        config = (DPOConfig if stage == "dpo" else RewardModelConfig)(**keys, out=out)
        return clocked(lambda: trainer.train(config))


def trl(stage: str, folder: Path, pairs: int, plain: bool) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

    is_dpo = stage == "dpo"
    where = {} if torch.cuda.is_available() else ON_A_CPU
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    with tempfile.TemporaryDirectory() as out:
        settings = (DPOConfig if is_dpo else RewardConfig)(
            output_dir=out, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=LR, **where, **QUIET
        )
        kind = DPOTrainer if is_dpo else RewardTrainer

        def train() -> None:
            if is_dpo:
                model = AutoModelForCausalLM.from_pretrained(folder / "model")
            else:
                model = AutoModelForSequenceClassification.from_pretrained(folder / "model", num_labels=1)
            data = Dataset.from_list([json.loads(line) for line in (folder / "pairs.jsonl").open()])
            trainer = kind(model=model, args=settings, train_dataset=data, processing_class=tokenizer)
            trainer.train()
            trainer.save_model()

        return clocked(train)


def clocked(work: Callable[[], object]) -> dict[str, float]:
    """Seconds and MiB that `work` takes."""
    import torch

    from rlvr.learners.local import peak_memory_mb

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    held = peak_memory_mb(device)
    started = time.monotonic()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds, peak = time.monotonic() - started, peak_memory_mb(device)
    return {"seconds": seconds, "peak_mb": peak, "grown_mb": peak - held}


if __name__ == "__main__":
    main()
