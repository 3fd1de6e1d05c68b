"""PPO's update in a trust region: one natural-gradient step of the policy with a bounded KL, then the critic's steps.

    gain   sum_t weight_t (pi_t / pi_old_t - 1) A_t
    F      mean over the step's tokens of grad log pi grad log pi^T  + damping     the sampled Fisher matrix
    KL     mean over the same tokens of r - 1 - log r, r = pi / pi_old             at most `trust_region.kl`

A product F v is the gradient of (grad (log pi - log pi_old)^2 / 2) . v, at the old policy. It costs about four passes,
and each iteration needs one, so this suits small models and adapters. The critic learns with the policy frozen; a head
on the policy's backbone learns without changing it, because its steps would leave the trust region.

It differentiates the policy twice and sets its weights itself, so it needs a learner in this process.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from rlvr.algorithms.kl import kl
from rlvr.algorithms.objective import Objective
from rlvr.algorithms.trust_region import Trial, conjugate_gradient, line_search, longest_step
from rlvr.algorithms.value_loss import value_loss
from rlvr.algorithms.weights import token_weights
from rlvr.batching import microbatches, minibatches
from rlvr.config import PPOConfig, TrustRegionConfig
from rlvr.learners.base import Learner, mean_metrics
from rlvr.learners.local import LocalLearner, in_this_process
from rlvr.models.policy import Policy, TokenScores
from rlvr.types import Batch

Parameters = Sequence[torch.nn.Parameter]


def update(learner: Learner, config: PPOConfig, objective: Objective, batch: Batch, seed: int) -> dict[str, float]:
    """One step of the policy and `epochs` passes of the critic, in `minibatches` pieces each."""
    assert config.trust_region is not None
    local = in_this_process(learner, "trust_region")
    weights = token_weights(batch.completion_mask, batch.group_index, objective.aggregate, config.sampling.max_tokens)
    whole = replace(batch, loss_weights=weights)
    pieces = [
        whole.rows(rows).to(local.policy.device) for rows in microbatches(whole, config.optimizer.microbatch_tokens)
    ]
    trial, grad_norm = policy_step(local.policy, pieces, config.trust_region)
    local.tokens_seen += int(batch.attention_mask.sum())
    metrics = {
        "loss": -trial.gain,
        "grad_norm": grad_norm,
        "policy_kl": trial.kl,
        "trust_region/share": trial.share,
        "trust_region/gain": trial.gain,
    }
    if batch.ref_logprobs is not None and batch.old_logprobs is not None:
        ones = torch.ones_like(batch.old_logprobs)
        from_reference = kl(batch.old_logprobs, batch.ref_logprobs, ones, objective.kl)
        metrics["kl"] = float(from_reference[batch.completion_mask].mean())
    return metrics | critic_steps(local, config, objective, batch, seed)


def policy_step(policy: Policy, pieces: Sequence[Batch], region: TrustRegionConfig) -> tuple[Trial, float]:
    """Take the step, if there is one. Returns the trial that was taken (share 0: none), and the norm of the
    gradient."""
    policy.train(False)
    parameters = [p for p in policy.model.parameters() if p.requires_grad]
    tokens = sum(int(piece.completion_mask.sum()) for piece in pieces)
    with sdpa_kernel(SDPBackend.MATH):  # the only attention kernel with a second derivative
        target = gain_gradient(policy, pieces, parameters)

        def product(vector: Tensor) -> Tensor:
            return fisher_product(policy, pieces, parameters, vector, tokens) + region.damping * vector

        direction = conjugate_gradient(product, target, region.cg_iterations)
        step = longest_step(direction, float(direction @ product(direction)), region.kl)
    before = [p.detach().clone() for p in parameters]

    def measure(share: float) -> tuple[float, float]:
        move(parameters, before, share * step)
        return gain_and_kl(policy, pieces, tokens)

    trial = line_search(measure, region.kl, region.backtracking_steps)
    if trial is None:
        move(parameters, before, torch.zeros_like(step))
    return trial or Trial(0.0, 0.0, 0.0), float(target.norm())


def gain_gradient(policy: Policy, pieces: Sequence[Batch], parameters: Parameters) -> Tensor:
    """The gradient of the gain `(N,)`."""
    total = torch.zeros(sum(p.numel() for p in parameters), device=policy.device)
    for piece in pieces:
        assert piece.loss_weights is not None
        assert piece.advantages is not None
        log_ratio = from_here(policy.scores(piece))
        gain = (piece.loss_weights * piece.advantages * log_ratio.exp()).sum()
        total += flat(torch.autograd.grad(gain, parameters, materialize_grads=True))
    return total


def fisher_product(
    policy: Policy, pieces: Sequence[Batch], parameters: Parameters, vector: Tensor, tokens: int
) -> Tensor:
    """F v `(N,)`, where F is the mean over the tokens of the outer product of grad log pi with itself."""
    total = torch.zeros_like(vector)
    for piece in pieces:
        half_square = (from_here(policy.scores(piece)) ** 2 * piece.completion_mask).sum() / (2 * tokens)
        gradient = flat(torch.autograd.grad(half_square, parameters, create_graph=True, materialize_grads=True))
        total += flat(torch.autograd.grad(gradient @ vector, parameters, materialize_grads=True))
    return total


def from_here(scores: TokenScores) -> Tensor:
    """log pi - log pi_old `(B, T)` while the policy is still the old one: the value is 0, the gradient is not."""
    return scores.logprobs - scores.logprobs.detach()


@torch.no_grad()
def gain_and_kl(policy: Policy, pieces: Sequence[Batch], tokens: int) -> tuple[float, float]:
    """The gain of the current policy, and its KL from the old one."""
    gain = distance = 0.0
    for piece in pieces:
        assert piece.loss_weights is not None
        assert piece.advantages is not None
        assert piece.old_logprobs is not None
        log_ratio = torch.where(piece.completion_mask, policy.scores(piece).logprobs - piece.old_logprobs, 0.0)
        gain += float((piece.loss_weights * piece.advantages * log_ratio.expm1()).sum())
        distance += float((log_ratio.expm1() - log_ratio).sum()) / tokens
    return gain, distance


@torch.no_grad()
def move(parameters: Parameters, before: Sequence[Tensor], step: Tensor) -> None:
    """Set the parameters to their values before, plus the step."""
    pieces = step.split([p.numel() for p in parameters])
    for parameter, old, piece in zip(parameters, before, pieces, strict=True):
        parameter.copy_(old + piece.view_as(parameter).to(parameter.dtype))


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.float().flatten() for tensor in tensors])


@dataclass(frozen=True)
class CriticLoss:
    """The critic's loss of a microbatch."""

    value_coef: float
    value_clip: float
    entropy_gradient: bool = False
    whole_groups: bool = False

    def __call__(self, batch: Batch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.loss_weights is not None
        assert batch.values is not None
        assert batch.returns is not None
        assert scores.values is not None
        of_critic = value_loss(scores.values, batch.values, batch.returns, self.value_clip)
        return self.value_coef * (batch.loss_weights * of_critic).sum(), {"value/loss": of_critic.detach()}


def critic_steps(
    learner: LocalLearner[Policy], config: PPOConfig, objective: Objective, batch: Batch, seed: int
) -> dict[str, float]:
    """The critic's optimizer steps, with the policy frozen."""
    loss = CriticLoss(config.value_coef, config.value_clip)
    shuffle = torch.Generator().manual_seed(seed)
    steps = []
    with still(learner.policy.model):
        for _ in range(config.epochs):
            for rows in minibatches(batch, config.minibatches, shuffle):
                piece = batch.rows(rows)
                weights = token_weights(
                    piece.completion_mask, piece.group_index, objective.aggregate, config.sampling.max_tokens
                )
                steps.append(learner.update(replace(piece, loss_weights=weights), loss).metrics)
    means = mean_metrics(steps)
    return {name: means[name] for name in ("value/loss", "lr", "skipped")}


@contextmanager
def still(model: torch.nn.Module) -> Iterator[None]:
    """Freeze all parameters of the model inside the context."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
