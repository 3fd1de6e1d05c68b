"""The learner: the policy and its optimizer. One call is one optimizer step, whatever the number of microbatches."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from rlvr.batching import microbatches
from rlvr.config import OptimizerConfig
from rlvr.errors import DivergenceError
from rlvr.models.policy import Policy, TokenScores
from rlvr.types import Batch

# A loss says what a microbatch costs and what to log of it: a scalar that is already weighted, and values of each token
# `(B, T)` or of whatever the loss counts `(N,)`.
Loss = Callable[[Batch, TokenScores], tuple[Tensor, dict[str, Tensor]]]


class Scorer(Protocol):
    """What can be trained: a policy, or another model that says something of each row of a batch."""

    model: Any

    @property
    def device(self) -> torch.device: ...

    def train(self, mode: bool = True) -> None: ...

    def trainable(self) -> dict[str, nn.Parameter]: ...

    def scores(self, batch: Batch, entropy_gradient: bool = False) -> Any: ...

    def named_weights(self) -> Iterator[tuple[str, Tensor]]: ...


Model = TypeVar("Model", bound=Scorer, default=Policy)

# One bad batch happens; three in a row are a run that is lost.
MAX_SKIPPED_IN_A_ROW = 3


def lr_at(config: OptimizerConfig, step: int, steps: int) -> float:
    """The learning rate of optimizer step `step` (from 0) of `steps`: a function, so there is no state to save."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    progress = min(1.0, (step - config.warmup_steps) / max(1, steps - config.warmup_steps))
    share = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return config.lr * (config.final_lr_share + (1 - config.final_lr_share) * share[config.schedule])


@dataclass(frozen=True)
class Update:
    """What an optimizer step found: numbers to log, and the log-probabilities `(B, T)` that it started from."""

    metrics: dict[str, float]
    logprobs: Tensor


@dataclass
class Learner(Generic[Model]):
    """Holds the policy (or reward model) and its optimizer. `steps` is the length of the schedule, in optimizer steps.

    `reference` is a frozen policy for the KL term; with adapters it is the same policy with them off.
    """

    policy: Model
    config: OptimizerConfig
    steps: int
    reference: Policy | None = None
    step: int = 0
    skipped_in_a_row: int = 0
    tokens_seen: int = 0  # since somebody last set it to zero
    optimizer: torch.optim.AdamW = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.AdamW(
            self.policy.trainable().values(),
            lr=self.config.lr,
            betas=self.config.betas,
            weight_decay=self.config.weight_decay,
            fused=True,
        )

    def update(
        self,
        batch: Batch,
        loss: Callable[[Batch, Any], tuple[Tensor, dict[str, Tensor]]],
        entropy_gradient: bool = False,
        whole_groups: bool = False,
    ) -> Update:
        """One optimizer step over all rows of `batch`, in microbatches whose losses add up.

        With `whole_groups` the rows of a group are in one microbatch.

        A loss or gradient that is not finite leaves the weights as they are and is counted; the third in a row raises
        `DivergenceError`.
        The metrics are `loss`, `grad_norm`, `lr`, `skipped`, and the mean of what the loss logs (of what it logs for
        each token, over the scored ones).
        """
        self.policy.train()
        self.optimizer.zero_grad(set_to_none=True)
        device = self.policy.device
        totals: dict[str, Tensor] = {"loss": torch.zeros((), device=device)}
        counts: dict[str, int] = {"loss": 1}
        tokens = int(batch.completion_mask.sum())
        logprobs = torch.zeros(batch.input_ids.shape, device=device)
        for rows in microbatches(batch, self.config.microbatch_tokens, whole_groups):
            piece = batch.rows(rows).to(device)
            scores = self.policy.scores(piece, entropy_gradient)
            value, stats = loss(piece, scores)
            value.backward()
            if isinstance(scores, TokenScores):
                logprobs[rows.to(device), : piece.input_ids.shape[1]] = scores.logprobs.detach().float()
            totals["loss"] += value.detach()
            for name, stat in stats.items():
                of_tokens = stat.dim() == 2
                total = (stat * piece.completion_mask).sum() if of_tokens else stat.sum()
                totals[name] = totals.get(name, torch.zeros((), device=device)) + total
                counts[name] = tokens if of_tokens else counts.get(name, 0) + len(stat)
        self.tokens_seen += int(batch.attention_mask.sum())
        metrics = {name: float(total) / max(1, counts[name]) for name, total in totals.items()}
        return Update(metrics | self._apply_gradient(metrics["loss"]), logprobs.cpu())

    def _apply_gradient(self, loss: float) -> dict[str, float]:
        lr = lr_at(self.config, self.step, self.steps)
        parameters = self.policy.trainable().values()
        bound = self.config.max_grad_norm or math.inf
        grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, bound))
        finite = math.isfinite(loss) and math.isfinite(grad_norm)
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1
        if self.skipped_in_a_row == MAX_SKIPPED_IN_A_ROW:
            raise DivergenceError(
                f"loss or gradient was not a finite number in {MAX_SKIPPED_IN_A_ROW} optimizer steps in a row (last: "
                f"loss {loss}, gradient norm {grad_norm}); expected finite numbers. Lower optimizer.lr, or set "
                "max_grad_norm; the last checkpoint is from before."
            )
        return {"grad_norm": grad_norm, "lr": lr, "skipped": float(not finite)}

    @torch.no_grad()
    def frozen_logprobs(self: "Learner[Policy]", batch: Batch, rows: Tensor, reference: bool = False) -> Tensor:
        """Log-probabilities `(B, T)` of completion tokens as constants, zero outside of `rows`.

        They are the policy's now, or with `reference` those of the frozen reference policy.
        """
        policy = (self.reference or self.policy) if reference else self.policy
        policy.train(False)
        out = torch.zeros(batch.input_ids.shape)
        with policy.without_adapters() if reference else nullcontext():
            for piece in microbatches(batch.rows(rows), self.config.microbatch_tokens):
                chosen = batch.rows(rows[piece])
                out[rows[piece], : chosen.input_ids.shape[1]] = policy.scores(chosen.to(policy.device)).logprobs.cpu()
        return out

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        return self.policy.named_weights()
