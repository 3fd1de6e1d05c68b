"""Direct preference optimization: a policy learns from comparisons, without a reward model or sampling.

    h    = log pi(y | x) - log pi_ref(y | x)          beta h is the implicit reward of an answer
    loss = mean over prompts of the mean over the prompt's comparisons of l(h_better - h_worse)

l is a row of `preference_loss.PAIR_LOSSES`; with `loss: kto` each answer counts by itself. The reference is the
initial model: its log-probabilities are computed once, before the first step, and kept in the run folder, so no second
model is ever in memory.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from torch import Tensor

from rlvr.algorithms.choices import pick
from rlvr.algorithms.preference_loss import (
    PAIR_LOSSES,
    UNPAIRED_LOSSES,
    comparison_weights,
    comparisons,
    kl_estimate,
)
from rlvr.build import open_data_run
from rlvr.config import DPOConfig
from rlvr.data.examples import Answers, answer_batch, mismatched, numbers_of
from rlvr.learners.base import Learner
from rlvr.models.policy import TokenScores
from rlvr.run import Run
from rlvr.types import Batch
from tasks.rows import shuffled

# Number of rows whose reference log-probabilities are computed at a time.
CHUNK = 256


def train(config: DPOConfig) -> Run:
    """Train until `config.steps`, from the last checkpoint in the run folder if there is one."""
    run, chat, examples = open_data_run(config)
    assert examples is not None
    unpaired = config.loss in UNPAIRED_LOSSES
    parts = {"train": examples.train, "held_out": examples.held_out}
    if unpaired:
        parts |= {f"{name}_mismatched": mismatched(rows, chat.context) for name, rows in parts.items() if rows}
    reference = reference_logprobs(run, parts)

    def batch_of(part: str, rows: Sequence[int]) -> Batch:
        batch = answer_batch([parts[part][row] for row in rows])
        return replace(batch, ref_logprobs_B=torch.cat([reference[part][row] for row in rows]))

    def loss_of(part: str, rows: Sequence[int], batch: Batch) -> "PairLoss | AnswerLoss":
        if not unpaired:
            return PairLoss.of(batch, config)
        return AnswerLoss.of(batch, config, policy_kl(run.learner, batch_of(f"{part}_mismatched", rows)))

    def measure() -> dict[str, float]:
        rows = range(len(examples.held_out))
        batch = batch_of("held_out", rows)
        loss = loss_of("held_out", rows, batch)
        logprobs = run.learner.frozen_logprobs(batch, torch.arange(len(batch)))
        value, stats = loss(batch, TokenScores(logprobs, torch.zeros_like(logprobs)))
        return {"held_out/loss": float(value)} | {f"held_out/{k}": float(v.mean()) for k, v in stats.items()}

    run.measure = measure if examples.held_out else None
    with run:
        for step in run.steps():
            numbers = numbers_of(step, config.rows_per_step)
            rows = [shuffled(number, len(examples.train), config.seed) for number in numbers]
            batch = batch_of("train", rows)
            with run.clock("learn"):
                metrics = run.learner.update(batch, loss_of("train", rows, batch)).metrics
            run.sync_weights(metrics)
            run.finish_step(step, metrics)
    return run


@dataclass(frozen=True)
class PairLoss:
    """The loss of a microbatch of comparisons. `prompts` counts the prompts of the whole step, before any split."""

    loss: str
    beta: float
    label_smoothing: float
    prompts: int
    entropy_gradient: bool = False
    whole_groups: bool = True

    @classmethod
    def of(cls, batch: Batch, config: DPOConfig) -> "PairLoss":
        assert batch.ranks_B is not None
        better, _ = comparisons(batch.ranks_B, batch.group_index)
        return cls(config.loss, config.beta, config.label_smoothing, len(batch.group_index[better].unique()))

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.ranks_B is not None
        better, worse = comparisons(batch.ranks_B, batch.group_index)
        log_ratio_B = log_ratio(batch, scores)
        mean_B = log_ratio_B / batch.completion_mask.sum(-1)
        loss = pick(PAIR_LOSSES, self.loss, "loss")
        per_pair = loss(
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


@dataclass(frozen=True)
class AnswerLoss:
    """The loss of a microbatch of desirable and undesirable answers. `kl` and `answers` belong to the whole step."""

    loss: str
    beta: float
    desirable_weight: float
    undesirable_weight: float
    answers: int
    kl: Tensor
    entropy_gradient: bool = False
    whole_groups: bool = False

    @classmethod
    def of(cls, batch: Batch, config: DPOConfig, kl: Tensor) -> "AnswerLoss":
        return cls(config.loss, config.beta, config.desirable_weight, config.undesirable_weight, len(batch), kl)

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.ranks_B is not None
        desirable = batch.ranks_B == 0
        log_ratio_B = log_ratio(batch, scores)
        kl = self.kl.to(log_ratio_B.device)
        per_answer = UNPAIRED_LOSSES[self.loss](log_ratio_B, desirable, kl, self.beta)
        weights_B = torch.where(desirable, self.desirable_weight, self.undesirable_weight) / self.answers
        rewards_B = self.beta * log_ratio_B.detach()
        right = torch.where(desirable, log_ratio_B.detach() > kl, log_ratio_B.detach() < kl)
        stats = {
            "reward/wanted": rewards_B[desirable],
            "reward/unwanted": rewards_B[~desirable],
            "accuracy": right.float(),
        }
        return (weights_B * per_answer).sum(), stats | {"kl": kl.reshape(1)}


def log_ratio(batch: Batch, scores: TokenScores) -> Tensor:
    """h `(B,)`: log pi - log pi_ref of each answer."""
    assert batch.ref_logprobs_B is not None
    return (scores.logprobs * batch.completion_mask).sum(-1) - batch.ref_logprobs_B


def policy_kl(learner: Learner, batch: Batch) -> Tensor:
    """KTO's estimate of KL(policy || reference), from prompts paired with answers to other prompts."""
    logprobs = learner.frozen_logprobs(batch, torch.arange(len(batch)))
    return kl_estimate(log_ratio(batch, TokenScores(logprobs, torch.zeros_like(logprobs))))


def reference_logprobs(run: Run, parts: Mapping[str, Sequence[Answers]]) -> dict[str, list[Tensor]]:
    """The reference's log-probability of every answer of every row, `(answers,)`.

    Computed before the first step, while the policy is still the reference, and kept in the run folder. Raises
    `CheckpointError` if the run began with other rows.
    """

    def compute() -> dict[str, Tensor]:
        return {name: _flat_logprobs(run.learner, rows) for name, rows in parts.items() if rows}

    kept = run.cached("reference", digest_of(parts), compute)
    return {
        name: list(kept[name].split([len(row.answer_ids) for row in rows])) if rows else []
        for name, rows in parts.items()
    }


def digest_of(parts: Mapping[str, Sequence[Answers]]) -> str:
    """SHA-256 of everything that the log-probabilities depend on besides the model: the tokens, and which of them
    count."""
    digest = sha256()
    for name, rows in parts.items():
        digest.update(f"{name} {len(rows)};".encode())
        for row in rows:
            for ids in (row.prompt_ids, *row.answer_ids, *row.learned):
                digest.update(f"{len(ids)};".encode() + array("i", ids).tobytes())
    return digest.hexdigest()


def _flat_logprobs(learner: Learner, rows: Sequence[Answers]) -> Tensor:
    chunks = []
    for start in range(0, len(rows), CHUNK):
        batch = answer_batch(rows[start : start + CHUNK])
        chunks.append(learner.frozen_logprobs(batch, torch.arange(len(batch))).sum(-1))
    return torch.cat(chunks)
