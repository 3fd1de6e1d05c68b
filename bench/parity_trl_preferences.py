"""The preference losses of this project beside TRL's own, on one model and the same rows: value and gradient.

TRL's `DPOTrainer`, `KTOTrainer` and `RewardTrainer` are built as their documentation says, with a tiny model on the
disk. They read the rows, tokenize them, and compute their loss with their own code; nothing of them is replaced. This
project reads the same file, tokenizes with its own code, and computes its loss as its trainers do. The policy has moved
away from the reference before, so that the log-ratios are not zero.

    difference = max |ours - TRL's| / max |TRL's|, the larger of the loss's and of the largest over all gradients

TRL's sigmoid loss ignores label smoothing; the smoothed loss (cDPO) is put together from TRL's sigmoid losses of the
rows as they are and with chosen and rejected exchanged.

    python bench/parity_trl_preferences.py      in an environment with trl==1.16.0
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer

from rlvr.config import DPOConfig as OurDPOConfig
from rlvr.config import ModelConfig, RewardModelConfig, ScratchConfig
from rlvr.data.examples import Answers, answer_batch, encode, mismatched
from rlvr.models.chat import Chat
from rlvr.models.heads import RewardModel, load_reward_model
from rlvr.models.load import load_chat, load_policy, scratch_chat
from rlvr.models.policy import Policy, TokenScores
from rlvr.trainers.dpo import AnswerLoss, PairLoss, log_ratio
from rlvr.trainers.reward_model import ComparisonLoss
from rlvr.types import Batch
from tasks.preferences import parse_preference, parse_unpaired

LIMIT = 1e-5
SIZE = ScratchConfig(hidden_size=64, layers=2, heads=4, kv_heads=2, intermediate_size=96, max_length=256)
# How far the policy's weights are from the reference's: log-ratios of some tenths to a few.
DRIFT = 0.02
BETA = 0.3
# What their trainers assume of a GPU, put off; nothing else differs from their defaults.
ON_A_CPU: dict[str, Any] = {"bf16": False, "gradient_checkpointing": False, "use_cpu": True, "report_to": "none"}

Found = tuple[Tensor, dict[str, Tensor]]


def figures() -> dict[str, float]:
    """The difference of each loss, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chat = make_models(folder)
        differences = {}
        for setting, (ours, theirs) in settings(folder, chat).items():
            with redirect_stdout(sys.stderr):
                differences[setting] = difference(ours(), theirs())
    return differences


def settings(folder: Path, chat: Chat) -> dict[str, tuple[Callable[[], Found], Callable[[], Found]]]:
    swapped = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in pairs()]

    def smoothed() -> Found:
        (loss, gradient), (flipped, flipped_gradient) = (
            trl_dpo(folder, "sigmoid", 0.0, rows) for rows in (pairs(), swapped)
        )
        mixed = {name: 0.8 * gradient[name] + 0.2 * flipped_gradient[name] for name in gradient}
        return 0.8 * loss + 0.2 * flipped, mixed

    return {
        "dpo sigmoid": (
            lambda: our_dpo(folder, chat, "sigmoid", 0.0),
            lambda: trl_dpo(folder, "sigmoid", 0.0, pairs()),
        ),
        "dpo sigmoid, packed": (
            lambda: our_dpo(folder, chat, "sigmoid", 0.0, packing=True),
            lambda: trl_dpo(folder, "sigmoid", 0.0, pairs()),
        ),
        "dpo sigmoid, label smoothing 0.2": (lambda: our_dpo(folder, chat, "sigmoid", 0.2), smoothed),
        "dpo robust, label smoothing 0.2": (
            lambda: our_dpo(folder, chat, "robust", 0.2),
            lambda: trl_dpo(folder, "robust", 0.2, pairs()),
        ),
        "dpo ipo": (lambda: our_dpo(folder, chat, "ipo", 0.0), lambda: trl_dpo(folder, "ipo", 0.0, pairs())),
        "dpo hinge": (lambda: our_dpo(folder, chat, "hinge", 0.0), lambda: trl_dpo(folder, "hinge", 0.0, pairs())),
        "kto": (lambda: our_kto(folder, chat), lambda: trl_kto(folder)),
        "reward": (lambda: our_reward(folder, chat, pairs()), lambda: trl_reward(folder, pairs())),
        "reward, margin": (
            lambda: our_reward(folder, chat, with_margins(), margin=True),
            lambda: trl_reward(folder, with_margins()),
        ),
        "reward, centred": (
            lambda: our_reward(folder, chat, pairs(), center_rewards_coef=0.1),
            lambda: trl_reward(folder, pairs(), center_rewards_coefficient=0.1),
        ),
    }


def pairs() -> list[dict[str, Any]]:
    """Rows of unequal length, so that there is padding."""
    words = ["one", "two three", "four five six", "seven", "eight nine ten eleven", "twelve"]
    return [
        {
            "prompt": [{"role": "user", "content": f"{words[index]}?"}],
            "chosen": [{"role": "assistant", "content": words[index - 1]}],
            "rejected": [{"role": "assistant", "content": words[index - 3]}],
        }
        for index in range(len(words))
    ]


def with_margins() -> list[dict[str, Any]]:
    return [row | {"margin": 0.5 * number} for number, row in enumerate(pairs(), start=1)]


def judged() -> list[dict[str, Any]]:
    return [
        {"prompt": row["prompt"], "completion": row["chosen" if number % 3 else "rejected"], "label": number % 3 > 0}
        for number, row in enumerate(pairs())
    ]


def make_models(folder: Path) -> Chat:
    """`reference`, a `policy` that has drifted away from it, and a `reward` model, in Hugging Face's format."""
    texts = [m["content"] for row in pairs() for side in ("prompt", "chosen", "rejected") for m in row[side]]
    chat = scratch_chat(SIZE, texts)
    policy = load_policy(ModelConfig(scratch=SIZE), chat, torch.device("cpu"), 1.0, seed=0)
    for name in ("reference", "policy", "reward"):
        (folder / name).mkdir()
    policy.save(folder / "reference", chat.tokenizer)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(DRIFT * torch.randn_like(weight))
    policy.save(folder / "policy", chat.tokenizer)
    load_reward_model(ModelConfig(path=str(folder / "policy")), chat, torch.device("cpu"), 0).save(
        folder / "reward", chat.tokenizer
    )
    return load_chat(str(folder / "policy"))


# -- TRL's ---------------------------------------------------------------------------------------------------------


def trl_dpo(folder: Path, loss: str, label_smoothing: float, rows: list[dict[str, Any]]) -> Found:
    model = AutoModelForCausalLM.from_pretrained(folder / "policy")
    settings = DPOConfig(
        output_dir=str(folder / "out"), loss_type=loss, beta=BETA, label_smoothing=label_smoothing,
        per_device_train_batch_size=len(rows), **ON_A_CPU,
    )  # fmt: skip
    reference = AutoModelForCausalLM.from_pretrained(folder / "reference")
    return trl_loss(
        DPOTrainer(
            model=model, ref_model=reference, args=settings, train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder / "policy"),
        ),
        model,
    )  # fmt: skip


def trl_kto(folder: Path) -> Found:
    model = AutoModelForCausalLM.from_pretrained(folder / "policy")
    rows = judged()
    settings = KTOConfig(
        output_dir=str(folder / "out"), beta=BETA, desirable_weight=1.5, undesirable_weight=0.75,
        per_device_train_batch_size=len(rows), **ON_A_CPU,
    )  # fmt: skip
    reference = AutoModelForCausalLM.from_pretrained(folder / "reference")
    return trl_loss(
        KTOTrainer(
            model=model, ref_model=reference, args=settings, train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder / "policy"),
        ),
        model,
    )  # fmt: skip


def trl_reward(folder: Path, rows: list[dict[str, Any]], **options: Any) -> Found:
    model = AutoModelForSequenceClassification.from_pretrained(folder / "reward")
    settings = RewardConfig(
        output_dir=str(folder / "out"), per_device_train_batch_size=len(rows), **ON_A_CPU, **options
    )
    tokenizer = AutoTokenizer.from_pretrained(folder / "reward")
    trainer = RewardTrainer(
        model=model, args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    return trl_loss(trainer, model)


def trl_loss(trainer: Any, model: PreTrainedModel) -> Found:
    """Their loss of their one batch, and its gradient."""
    model.train()
    (inputs,) = list(trainer.get_train_dataloader())
    loss = trainer.compute_loss(model, trainer._prepare_inputs(inputs))
    loss.backward()
    return loss.detach(), gradients(model)


# -- ours ----------------------------------------------------------------------------------------------------------


def our_policy(folder: Path, name: str, chat: Chat, packing: bool = False) -> Policy:
    config = ModelConfig(path=str(folder / name), packing=packing)
    return load_policy(config, chat, torch.device("cpu"), 1.0, seed=0)


def with_reference(folder: Path, chat: Chat, examples: Sequence[Answers]) -> Batch:
    batch = answer_batch(examples)
    with torch.no_grad():
        reference = our_policy(folder, "reference", chat).scores(batch).logprobs.sum(-1)
    return replace(batch, ref_logprobs_B=reference)


def our_dpo(folder: Path, chat: Chat, loss: str, label_smoothing: float, packing: bool = False) -> Found:
    examples = [encode(parse_preference(row), number, chat, "rows") for number, row in enumerate(pairs())]
    batch = with_reference(folder, chat, examples)
    config = OurDPOConfig(
        trainer="dpo", model=ModelConfig(path="-"), data={"train": "-"}, steps=1, loss=loss, beta=BETA,
        label_smoothing=label_smoothing,
    )  # fmt: skip
    return our_loss(our_policy(folder, "policy", chat, packing), PairLoss.of(batch, config), batch)


def our_kto(folder: Path, chat: Chat) -> Found:
    examples = [encode(parse_unpaired(row), number, chat, "rows") for number, row in enumerate(judged())]
    batch, others = (
        with_reference(folder, chat, examples),
        with_reference(folder, chat, mismatched(examples, chat.context)),
    )
    config = OurDPOConfig(
        trainer="dpo", model=ModelConfig(path="-"), data={"train": "-"}, steps=1, loss="kto", beta=BETA,
        desirable_weight=1.5, undesirable_weight=0.75,
    )  # fmt: skip
    policy = our_policy(folder, "policy", chat)
    with torch.no_grad():
        kl = log_ratio(others, policy.scores(others)).mean().clamp(min=0)
    return our_loss(policy, AnswerLoss.of(batch, config, kl), batch)


def our_reward(folder: Path, chat: Chat, rows: list[dict[str, Any]], **options: Any) -> Found:
    examples = [encode(parse_preference(row), number, chat, "rows") for number, row in enumerate(rows)]
    config = RewardModelConfig(
        trainer="reward_model", model=ModelConfig(path="-"), data={"train": "-"}, steps=1, **options
    )
    batch = answer_batch(examples)
    model = load_reward_model(ModelConfig(path=str(folder / "reward")), chat, torch.device("cpu"), seed=0)
    return our_loss(model, ComparisonLoss.of(batch, config), batch)


def our_loss(
    model: Policy | RewardModel,
    loss: Callable[[Batch, Any], tuple[Tensor, dict[str, Tensor]]],
    batch: Batch,
) -> Found:
    scores: TokenScores | Tensor = model.scores(batch)
    value, _ = loss(batch, scores)
    value.backward()
    return value.detach(), gradients(model.model)


def gradients(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def difference(ours: Found, theirs: Found) -> float:
    (loss, gradient), (their_loss, their_gradient) = ours, theirs
    if gradient.keys() != their_gradient.keys():
        raise SystemExit(f"other weights have a gradient: {sorted(gradient.keys() ^ their_gradient.keys())}")
    largest = max(float(theirs.abs().max()) for theirs in their_gradient.values())
    apart = max(float((gradient[name] - their_gradient[name]).abs().max()) for name in gradient)
    return max(apart / largest, float((loss - their_loss).abs() / their_loss.abs()))


if __name__ == "__main__":
    differences = figures()
    print(json.dumps(differences, indent=1))
    if max(differences.values()) > LIMIT:
        raise SystemExit(f"more than {LIMIT:g} apart: {[name for name, value in differences.items() if value > LIMIT]}")
