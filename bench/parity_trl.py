"""The losses of this project beside TRL's own, on one model and the same tokens: `make bench-parity`.

TRL's `GRPOTrainer` is built as its documentation says, with a tiny model from a config and completions that its
`rollout_func` hands it. It computes advantages, old and reference log-probabilities, the correction for the generator
and `_compute_loss` with its own code; nothing of it is replaced. This project gets the same tokens, advantages, old,
reference and generator's log-probabilities, and computes its loss with `trainers.grpo.GRPOLoss`. Compared are the
gradients in the model's weights, after the weights have moved away from those that the old log-probabilities are of.

    difference = max |ours - TRL's| / max |TRL's|, the largest over all weight tensors

    python bench/parity_trl.py --json figures.json
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset, disable_progress_bars
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.experimental.gmpo import GMPOConfig, GMPOTrainer

from rlvr.algorithms.advantage import Outcomes, advantages
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.presets import PRESETS
from rlvr.algorithms.returns import kl_penalty
from rlvr.algorithms.weights import token_weights
from rlvr.batching import token_batch
from rlvr.models.policy import Policy
from rlvr.trainers.grpo import GRPOLoss
from rlvr.types import Batch

LIMIT = 1e-5
VOCABULARY = 64
GROUPS, GROUP_SIZE, MAX_TOKENS = 3, 4, 24
# How far the weights move between scoring and loss: most ratios come out between 0.7 and 1.4, the largest at 3.
DRIFT = 0.01


@dataclass(frozen=True)
class Setting:
    """What TRL is told, and the row that says the same here; `reason` where they are not meant to agree."""

    name: str
    trl: dict[str, Any]
    ours: Objective
    trainer: Any = GRPOTrainer
    config: Any = GRPOConfig
    reason: str = ""
    reward_scale: float = 1.0


@dataclass(frozen=True)
class Written:
    """What a generator wrote: token ids, and the log-probabilities that it claims."""

    prompts: list[list[int]]
    completions: list[list[int]]
    rewards: list[list[float]]
    logprobs: list[list[float]] = field(default_factory=list)


def loss_settings() -> list[Setting]:
    sequence = {"loss_type": "grpo", "importance_sampling_level": "sequence"}
    biased_kl = {"loss_type": "grpo", "beta": 0.4, "use_bias_correction_kl": False}
    unbiased_kl = {"loss_type": "grpo", "beta": 0.4, "use_bias_correction_kl": True}
    range_of_vllm = {"vllm_importance_sampling_clip_min": 0.8, "vllm_importance_sampling_clip_max": 1.25}
    return [
        Setting("grpo", {"loss_type": "grpo"}, Objective()),
        Setting("bnpo", {"loss_type": "bnpo"}, Objective(aggregate="token")),
        Setting("dr_grpo", {"loss_type": "dr_grpo"}, PRESETS["dr_grpo"]),
        Setting("dapo", {"loss_type": "dapo", "epsilon_high": 0.28}, PRESETS["dapo"]),
        Setting("cispo", {"loss_type": "cispo", "epsilon_high": 5.0}, PRESETS["cispo"]),
        Setting(
            "cispo, bound 1.1", {"loss_type": "cispo", "epsilon_high": 1.1}, replace(PRESETS["cispo"], clip_high=0.1)
        ),
        Setting("sapo", {"loss_type": "sapo"}, PRESETS["sapo"]),
        Setting("gspo", {**sequence, "epsilon": 3e-4, "epsilon_high": 4e-4}, PRESETS["gspo"]),
        Setting(
            "sequence ratio, range 0.05", {**sequence, "epsilon": 0.05},
            Objective(ratio="sequence", clip_low=0.05, clip_high=0.05),
        ),
        Setting(
            "luspo", {**sequence, "loss_type": "luspo", "epsilon": 2e-3, "epsilon_high": 2.5e-3}, PRESETS["luspo"]
        ),
        Setting("two-sided clip", {"loss_type": "grpo", "delta": 1.3}, Objective(clip_dual=1.3)),
        Setting(
            "gmpo, range 0.05", {"epsilon": 0.05}, replace(PRESETS["gmpo"], clip_low=0.05, clip_high=0.05),
            GMPOTrainer, GMPOConfig,
        ),
        Setting("k3", biased_kl, Objective(kl_coef=0.4)),
        Setting("k3_unbiased", unbiased_kl, Objective(kl="k3_unbiased", kl_coef=0.4)),
        Setting(
            "k3_unbiased, sequence ratio", {**sequence, **unbiased_kl},
            Objective(ratio="sequence", kl="k3_unbiased", kl_coef=0.4),
            reason="grpo_trainer.py:3105 takes the sequence's ratio for the KL of a token, which grpo_config.py:356 "
            "calls biased; here it is the token's own",
        ),
        *(
            Setting(
                f"correction {level}_{kind}",
                {"loss_type": "grpo", "vllm_importance_sampling_mode": f"{level}_{kind}", **range_of_vllm},
                Objective(correction=kind, correction_level=level, correction_low=0.8, correction_high=1.25),
            )
            for level in ("token", "sequence")
            for kind in ("truncate", "mask")
        ),
        Setting(
            "entropy bonus, bnpo", {"loss_type": "bnpo", "entropy_coef": 0.1},
            Objective(aggregate="token", entropy_coef=0.1),
        ),
        Setting(
            "entropy bonus, grpo", {"loss_type": "grpo", "entropy_coef": 0.1}, Objective(entropy_coef=0.1),
            reason="grpo_trainer.py:3199 averages the entropy over tokens whatever loss_type says; here the entropy of "
            "a token weighs what the token weighs",
        ),
    ]  # fmt: skip


def advantage_settings() -> list[Setting]:
    """As they are, and with rewards so large that what TRL adds to a standard deviation is nothing beside it."""
    group, batch = {"scale_rewards": "group"}, {"scale_rewards": "batch"}
    apart = {"multi_objective_aggregation": "normalize_then_sum"}
    epsilon = "1e-4 is added to the standard deviation (grpo_trainer.py:{}); here nothing is"
    return [
        Setting("advantages: none", {"scale_rewards": "none"}, Objective(scale="none")),
        Setting("advantages: group", group, Objective(), reason=epsilon.format("2787")),
        Setting("advantages: group, rewards x 1000", group, Objective(), reward_scale=1000),
        Setting("advantages: batch", batch, Objective(scale="batch_std"), reason=epsilon.format("2787")),
        Setting("advantages: batch, rewards x 1000", batch, Objective(scale="batch_std"), reward_scale=1000),
        Setting(
            "advantages: gdpo", {**apart, "reward_weights": [1.0, 0.5]}, PRESETS["gdpo"],
            reason=epsilon.format("2794, 2799"),
        ),
        Setting(
            "advantages: gdpo, rewards x 1000", {**apart, "reward_weights": [1000.0, 500.0]}, PRESETS["gdpo"],
            reward_scale=1000,
        ),
    ]  # fmt: skip


# -- the tiny model and what it is fed -------------------------------------------------------------------------------


def save_tiny_model(folder: Path) -> None:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=128, initializer_range=0.2, pad_token_id=0,
        eos_token_id=1, bos_token_id=None, tie_word_embeddings=False,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{number}": number for number in range(VOCABULARY)}, unk_token="w2"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", eos_token="w1", unk_token="w2").save_pretrained(
        folder
    )


def written(seed: int, reward_scale: float = 1.0) -> Written:
    """Random prompts and completions of unequal lengths; the first group's rewards are all equal."""
    draw = torch.Generator().manual_seed(seed)

    def ids(low: int, high: int) -> list[int]:
        return torch.randint(
            3, VOCABULARY, (int(torch.randint(low, high, (), generator=draw)),), generator=draw
        ).tolist()

    prompts = [prompt for prompt in (ids(2, 9) for _ in range(GROUPS)) for _ in range(GROUP_SIZE)]
    completions = [[*ids(1, MAX_TOKENS), 1] for _ in prompts]
    rewards = torch.rand(len(prompts), 2, generator=draw).round(decimals=1)
    rewards[:GROUP_SIZE] = 0.5
    return Written(prompts, completions, (reward_scale * rewards).tolist())


def batch_of(text: Written) -> Batch:
    index = [row // GROUP_SIZE for row in range(len(text.prompts))]
    return token_batch(text.prompts, text.completions, [[True] * len(ids) for ids in text.completions], index)


def completion_rows(values: Tensor, mask: Tensor) -> list[list[float]]:
    return [row[chosen.bool()].tolist() for row, chosen in zip(values, mask, strict=True)]


def behind_prompts(rows: list[list[float]], batch: Batch) -> Tensor:
    """Per-token values of completions, `(B, T)` where this project's batch has them."""
    flat = torch.tensor([value for row in rows for value in row])
    return torch.zeros(batch.completion_mask.shape).masked_scatter(batch.completion_mask, flat)


def move(model: torch.nn.Module, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += DRIFT * torch.randn(weight.shape, generator=draw)


# -- the two sides ---------------------------------------------------------------------------------------------------


def trl_side(setting: Setting, folder: Path, text: Written) -> tuple[GRPOTrainer, dict[str, Any]]:
    """TRL's trainer, and the inputs that it makes for its own loss."""
    rewards = [
        lambda completions, column=column, **_: [row[column] for row in text.rewards]
        for column in range(2 if "reward_weights" in setting.trl else 1)
    ]
    for column, reward in enumerate(rewards):
        reward.__name__ = f"reward_{column}"  # type: ignore[attr-defined]
    args = setting.config(
        output_dir=str(folder / "out"), per_device_train_batch_size=len(text.prompts), num_generations=GROUP_SIZE,
        max_completion_length=MAX_TOKENS, num_iterations=2, bf16=False, gradient_checkpointing=False, report_to="none",
        use_cpu=True, disable_tqdm=True, **setting.trl,
    )  # fmt: skip
    trainer = setting.trainer(
        model=str(folder), reward_funcs=rewards, args=args,
        train_dataset=Dataset.from_dict({"prompt": ["w3"] * GROUPS}),
        rollout_func=lambda prompts, _: {
            "prompt_ids": text.prompts, "completion_ids": text.completions, "logprobs": text.logprobs or None,
        },
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    move(trainer.model, seed=1)  # away from the reference
    if "vllm_importance_sampling_mode" in setting.trl:
        # Switched on after the start, which would otherwise look for a vLLM; its completions come from rollout_func.
        trainer.use_vllm, trainer._last_loaded_step = True, trainer.state.global_step
    inputs = trainer._generate_and_score_completions([{"prompt": "w3"} for _ in text.prompts])
    move(trainer.model, seed=2)  # away from the old policy
    return trainer, inputs


def our_gradient(setting: Setting, model: torch.nn.Module, text: Written, inputs: dict[str, Any]) -> dict[str, Tensor]:
    batch, mask = batch_of(text), inputs["completion_mask"]
    old = behind_prompts(completion_rows(inputs["old_per_token_logps"], mask), batch)
    ref = inputs.get("ref_per_token_logps")
    batch = replace(
        batch,
        advantages=inputs["advantages"].unsqueeze(-1) * batch.completion_mask,
        old_logprobs=old,
        rollout_logprobs=behind_prompts(text.logprobs, batch) if text.logprobs else old,
        ref_logprobs=None if ref is None else behind_prompts(completion_rows(ref, mask), batch),
        loss_weights=token_weights(batch.completion_mask, batch.group_index, setting.ours.aggregate, MAX_TOKENS),
    )
    scores = Policy(model).scores(batch, entropy_gradient=setting.ours.entropy_coef != 0)  # type: ignore[arg-type]
    loss, _ = GRPOLoss(setting.ours)(batch, scores)
    return gradient_of(model, loss)


def gradient_of(model: torch.nn.Module, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def loss_difference(setting: Setting, folder: Path) -> float:
    text = written(seed=0)
    if "vllm_importance_sampling_mode" in setting.trl:
        text = replace(text, logprobs=claimed_logprobs(setting, folder, text))
    trainer, inputs = trl_side(setting, folder, text)
    theirs = gradient_of(trainer.model, trainer._compute_loss(trainer.model, inputs))
    ours = our_gradient(setting, trainer.model, text, inputs)
    return largest(theirs, ours)


def largest(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> float:
    """The largest difference, over all weight tensors, relative to the largest number in each."""
    assert theirs.keys() == ours.keys()
    assert max(gradient.abs().max() for gradient in theirs.values()) > 1e-4, "nothing is compared"
    return max(float((ours[name] - theirs[name]).abs().max() / theirs[name].abs().max()) for name in theirs)


def claimed_logprobs(setting: Setting, folder: Path, text: Written) -> list[list[float]]:
    """A generator that is a little off: the old log-probabilities with noise, so that ratios leave [0.8, 1.25]."""
    _, inputs = trl_side(replace(setting, trl={"loss_type": "grpo"}), folder, text)
    draw = torch.Generator().manual_seed(3)
    rows = completion_rows(inputs["old_per_token_logps"], inputs["completion_mask"])
    width = 0.2 if "token" in setting.trl["vllm_importance_sampling_mode"] else 0.08
    return [[value + width * float(torch.randn((), generator=draw)) for value in row] for row in rows]


def advantage_difference(setting: Setting, folder: Path) -> float:
    text = written(0, setting.reward_scale)
    _, inputs = trl_side(setting, folder, text)
    parts = torch.tensor(text.rewards)
    outcomes = Outcomes(
        parts[:, 0], batch_of(text).group_index, torch.ones(len(parts)), parts=parts,
        part_weights=torch.tensor(setting.trl.get("reward_weights", [1.0, 1.0])),
    )  # fmt: skip
    theirs = inputs["advantages"]
    return float((advantages(outcomes, setting.ours) - theirs).abs().max() / theirs.abs().max())


def rloo_difference(setting: Setting, folder: Path) -> float:
    """From rewards to gradient, KL in the reward included; on-policy, where TRL's clip has nothing to act on.

    The trainer has no `rollout_func`: the two methods that write a completion are told what to write.
    """
    text = written(seed=0)
    args = setting.config(
        output_dir=str(folder / "out"), per_device_train_batch_size=len(text.prompts), num_generations=GROUP_SIZE,
        max_completion_length=MAX_TOKENS, bf16=False, gradient_checkpointing=False, report_to="none", use_cpu=True,
        disable_tqdm=True, **setting.trl,
    )  # fmt: skip
    trainer = setting.trainer(
        model=str(folder), reward_funcs=lambda completions, **_: [row[0] for row in text.rewards], args=args,
        train_dataset=Dataset.from_dict({"prompt": ["w3"] * GROUPS}),
    )  # fmt: skip
    trainer._tokenize_prompts = lambda prompts: (text.prompts, None, {})
    trainer._generate_single_turn = lambda *_: text.completions
    move(trainer.model, seed=1)  # away from the reference
    inputs = trainer._generate_and_score_completions([{"prompt": "w3"} for _ in text.prompts])
    theirs = gradient_of(trainer.model, trainer._compute_loss(trainer.model, inputs))

    batch, objective = batch_of(text), setting.ours
    mask, scores = batch.completion_mask, Policy(trainer.model).scores(batch)
    with torch.no_grad():
        ref = Policy(trainer.ref_model).scores(batch).logprobs
    old = scores.logprobs.detach()
    rewards = torch.tensor([row[0] for row in text.rewards]) - kl_penalty(old, ref, mask, objective).sum(-1)
    outcomes = Outcomes(rewards, batch.group_index, mask.sum(-1).float())
    batch = replace(
        batch, rollout_logprobs=old, advantages=advantages(outcomes, objective).unsqueeze(-1) * mask,
        loss_weights=token_weights(mask, batch.group_index, objective.aggregate, MAX_TOKENS),
    )  # fmt: skip
    return largest(theirs, gradient_of(trainer.model, GRPOLoss(objective)(batch, scores)[0]))


# -- the table -------------------------------------------------------------------------------------------------------


def measured(name: str, difference: float, reason: str) -> bool:
    """Print a line; whether it is as it should be."""
    fits = difference <= LIMIT or bool(reason)
    print(f"{name:36}{difference:8.1e}   {'' if difference <= LIMIT else reason or 'TOO LARGE'}", flush=True)
    return fits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write a flat map from setting to difference")
    arguments = parser.parse_args()
    warnings.filterwarnings(
        "ignore", message=".*(rollout_func|gradient_checkpointing).*"
    )  # both may be renamed, they say
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    disable_progress_bars()
    torch.set_num_threads(1)  # sums in one order: the same figures each time
    versions = {"TRL": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
    print(f"{', '.join(f'{name} {version}' for name, version in versions.items())}; limit {LIMIT:.0e}\n")
    figures: dict[str, float] = {}
    fits = True
    compared: list[tuple[list[Setting], Callable[[Setting, Path], float]]] = [
        (loss_settings(), loss_difference),
        (
            [Setting("rloo, from the reward on", {"beta": 0.03}, PRESETS["rloo"], RLOOTrainer, RLOOConfig)],
            rloo_difference,
        ),
        (advantage_settings(), advantage_difference),
    ]
    with tempfile.TemporaryDirectory() as name:
        save_tiny_model(Path(name))
        for settings, difference_of in compared:
            for setting in settings:
                figures[setting.name] = difference_of(setting, Path(name))
                fits &= measured(setting.name, figures[setting.name], setting.reason)
    if find_spec("parity_trl_preferences"):  # DPO, KTO, reward models: a file of their own beside this one
        from parity_trl_preferences import figures as preferences

        for setting_name, difference in preferences().items():
            figures[setting_name] = difference
            fits &= measured(setting_name, difference, "")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
