"""Direct preference optimization: a policy learns from comparisons, with no reward model and no sampling.

    h    = log pi(y | x) - log pi_ref(y | x)          beta h is the implicit reward of an answer
    loss = mean over prompts of the mean over the prompt's comparisons of l(h_better - h_worse)

l is a row of `preference_loss.PAIR_LOSSES`; with `loss: kto` each answer stands alone. The reference is the model that
training starts from: its log-probabilities are computed once, before the first step, and kept in the run folder, so
that no second model is ever in memory.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.preference_loss import (
    PAIR_LOSSES,
    UNPAIRED_LOSSES,
    comparison_weights,
    comparisons,
    kl_estimate,
)
from rlvr.build import open_run
from rlvr.config import DPOConfig
from rlvr.errors import CheckpointError
from rlvr.examples import Answers, answer_batch, load_examples, mismatched, reader_of
from rlvr.learner import Learner
from rlvr.models.policy import TokenScores
from rlvr.run import Run
from rlvr.types import Batch
from tasks.rows import shuffled

REFERENCE = "reference.safetensors"
# Rows whose reference log-probabilities are computed at a time.
CHUNK = 256


def train(config: DPOConfig) -> Run:
    """Train until `config.steps`, going on from the run folder's last checkpoint where there is one."""
    run = open_run(config)
    examples = load_examples(config.data, reader_of(config), run.chat)
    print(f"dpo: {examples}", flush=True)
    unpaired = config.loss in UNPAIRED_LOSSES
    parts = {"train": examples.train, "held_out": examples.held_out}
    if unpaired:
        parts["mismatched"] = mismatched(examples.train, run.chat.context)
    reference = reference_logprobs(run, parts)

    def batch_of(part: str, rows: Sequence[int]) -> Batch:
        batch = answer_batch([parts[part][row] for row in rows])
        return replace(batch, ref_logprobs_B=torch.cat([reference[part][row] for row in rows]))

    def measure() -> dict[str, float]:
        batch = batch_of("held_out", range(len(examples.held_out)))
        loss = AnswerLoss(batch, config, torch.zeros(())) if unpaired else PairLoss(batch, config)
        logprobs = run.learner.frozen_logprobs(batch, torch.arange(len(batch)))
        value, stats = loss(batch, TokenScores(logprobs, torch.zeros_like(logprobs)))
        return {"held_out/loss": float(value)} | {f"held_out/{k}": float(v.mean()) for k, v in stats.items()}

    run.measure = measure if examples.held_out else None
    with run:
        for step in run.steps():
            rows = [shuffled(number, len(examples.train), config.seed) for number in run.take(config.rows_per_step)]
            batch = batch_of("train", rows)
            with run.clock("learn"):
                if unpaired:
                    loss = AnswerLoss(batch, config, policy_kl(run.learner, batch_of("mismatched", rows)))
                    metrics = run.learner.update(batch, loss).metrics
                else:
                    metrics = run.learner.update(batch, PairLoss(batch, config), whole_groups=True).metrics
            run.sync_weights(metrics)
            run.finish_step(step, metrics)
    return run


class PairLoss:
    """The loss of a microbatch of comparisons. The step's prompts are counted once, before it is split."""

    def __init__(self, batch: Batch, config: DPOConfig) -> None:
        assert batch.ratings_B is not None
        better, _ = comparisons(batch.ratings_B, batch.group_index)
        self.prompts = len(batch.group_index[better].unique())
        self.loss = pick(PAIR_LOSSES, config.loss, "loss")
        self.beta, self.label_smoothing = config.beta, config.label_smoothing

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.ratings_B is not None
        better, worse = comparisons(batch.ratings_B, batch.group_index)
        log_ratio_B = log_ratio(batch, scores)
        mean_B = log_ratio_B / batch.completion_mask.sum(-1)
        per_pair = self.loss(
            log_ratio_B[better] - log_ratio_B[worse], mean_B[better] - mean_B[worse], self.beta, self.label_smoothing
        )
        weights = comparison_weights(better, batch.group_index, self.prompts)
        rewards_B = self.beta * log_ratio_B.detach()
        stats = {
            "reward/better": rewards_B[better],
            "reward/worse": rewards_B[worse],
            "margin": rewards_B[better] - rewards_B[worse],
            "accuracy": (rewards_B[better] > rewards_B[worse]).float(),
        }
        return (weights * per_pair).sum(), stats


class AnswerLoss:
    """The loss of a microbatch of answers that are wanted or not, with the step's estimate of the KL."""

    def __init__(self, batch: Batch, config: DPOConfig, kl: Tensor) -> None:
        self.answers, self.kl, self.beta = len(batch), kl, config.beta
        self.loss = UNPAIRED_LOSSES[config.loss]
        self.wanted_weight, self.unwanted_weight = config.wanted_weight, config.unwanted_weight

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.ratings_B is not None
        wanted = batch.ratings_B == 0  # the best rank
        log_ratio_B = log_ratio(batch, scores)
        kl = self.kl.to(log_ratio_B.device)
        per_answer = self.loss(log_ratio_B, wanted, kl, self.beta)
        weights_B = torch.where(wanted, self.wanted_weight, self.unwanted_weight) / self.answers
        rewards_B = self.beta * log_ratio_B.detach()
        right = torch.where(wanted, log_ratio_B.detach() > kl, log_ratio_B.detach() < kl)
        stats = {"reward/wanted": rewards_B[wanted], "reward/unwanted": rewards_B[~wanted], "accuracy": right.float()}
        return (weights_B * per_answer).sum(), stats | {"kl": kl.reshape(1)}


def log_ratio(batch: Batch, scores: TokenScores) -> Tensor:
    """h `(B,)`: how much likelier the policy finds each answer than the reference does."""
    assert batch.ref_logprobs_B is not None
    return (scores.logprobs * batch.completion_mask).sum(-1) - batch.ref_logprobs_B


def policy_kl(learner: Learner, batch: Batch) -> Tensor:
    """KTO's estimate of KL(policy || reference), from prompts with the answers of other prompts."""
    logprobs = learner.frozen_logprobs(batch, torch.arange(len(batch)))
    return kl_estimate(log_ratio(batch, TokenScores(logprobs, torch.zeros_like(logprobs))))


def reference_logprobs(run: Run, parts: dict[str, Sequence[Answers]]) -> dict[str, list[Tensor]]:
    """The reference's log-probability of every answer of every row, `(answers,)`: from the run folder, or computed.

    The policy is still the reference when this is called, and the file is there before the first step is taken.
    """
    path = run.folder / REFERENCE
    if not path.exists():
        flat = {name: _flat_logprobs(run.learner, rows) for name, rows in parts.items() if rows}
        partial = path.with_suffix(".partial")
        save_file(flat, partial)
        partial.rename(path)
    found = load_file(path)
    out = {}
    for name, rows in parts.items():
        sizes = [len(row.answer_ids) for row in rows]
        if rows and len(found[name]) != sum(sizes):
            raise CheckpointError(
                f"{path} holds {len(found[name])} log-probabilities of {name} rows, expected {sum(sizes)}: the data "
                "has changed since. Choose another folder, out=runs/NAME"
            )
        out[name] = list(found[name].split(sizes)) if rows else []
    return out


def _flat_logprobs(learner: Learner, rows: Sequence[Answers]) -> Tensor:
    chunks = []
    for start in range(0, len(rows), CHUNK):
        batch = answer_batch(rows[start : start + CHUNK])
        chunks.append(learner.frozen_logprobs(batch, torch.arange(len(batch))).sum(-1))
    return torch.cat(chunks)
