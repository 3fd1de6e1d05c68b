"""Does the generator hold the policy's weights? Never taken on trust: probabilities are compared.

Each step, for free: the learner scores the tokens that the generator drew anyhow; with the same weights both give the
same log-probabilities but for rounding. Once at the start, for engines with a copy of the weights: a changed policy is
sent over and must be seen to arrive, and to be gone again after the true one was sent.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from rlvr.algorithms.log_ratio import bounded
from rlvr.batching import token_batch
from rlvr.config import PolicyRunConfig
from rlvr.engines.base import Generator
from rlvr.errors import WeightSyncError
from rlvr.learners.local import Learner
from rlvr.types import Batch, Sampling

# Mean |difference| of log-probabilities that rounding explains, with room (float32 measures 1e-6).
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
PROBE_TOKENS = 16
PROBE_NOISES = (0.05, 0.2, 0.8)


def tolerance_of(config: PolicyRunConfig) -> float:
    if config.engine.logprob_tolerance is not None:
        return config.engine.logprob_tolerance
    rounded = config.model.autocast == "bfloat16" or config.model.dtype == "bfloat16"
    return TOLERANCE["bfloat16" if rounded else "float32"]


def check_gap(metrics: Mapping[str, float], config: PolicyRunConfig) -> None:
    """Raise `WeightSyncError` where the mean log-probability gap of this step's own rollouts is more than rounding.

    With `top_p` or `top_k` the generator's probabilities are of a truncated distribution and the gap says nothing.
    """
    gap = metrics.get("rollout_gap", 0.0)
    truncated = config.sampling.top_p < 1 or config.sampling.top_k > 0
    if gap > tolerance_of(config) and not truncated and config.engine.name != "scripted":
        raise WeightSyncError(
            f"the generator's log-probabilities differ from the learner's by {gap:.2g} on average, expected at most "
            f"{tolerance_of(config):g}: it holds other weights, or computes another model. This step is not kept; "
            "start the same command again, or set engine.logprob_tolerance if the engine is known to be this coarse"
        )


def rollout_ratio(batch: Batch, version: int) -> dict[str, float]:
    """The distribution over tokens of old / rollout probability, uncorrected, for the log.

    `rollout_gap` is the mean |log-ratio| of the rows that weights of `version`, the old ones, wrote themselves: only
    rounding, where the generator holds what it should. Rows that older weights wrote are in all other figures.
    """
    assert batch.old_logprobs is not None
    assert batch.rollout_logprobs is not None
    assert batch.policy_version is not None
    mask = batch.completion_mask
    gap = bounded(batch.old_logprobs - batch.rollout_logprobs)
    ratio, last = gap[mask].exp().sort().values, int(mask.sum()) - 1
    own = gap[mask & (batch.policy_version == version).unsqueeze(-1)].abs()
    return {
        **{f"rollout_ratio/p{percent:02}": float(ratio[round(percent / 100 * last)]) for percent in (1, 50, 99)},
        "rollout_ratio/max": float(ratio[-1]),
        "rollout_ratio/outside": float(((ratio < 0.9) | (ratio > 1.1)).float().mean()),
        "rollout_ratio/kl": float((ratio - ratio.log() - 1).mean()),  # k3 of KL(rollout || old)
        **({"rollout_gap": float(own.mean())} if len(own) else {}),
    }


def truncation_warning(config: PolicyRunConfig) -> str | None:
    """What `top_p` and `top_k` do to the ratio of probabilities, where they are set."""
    s = config.sampling
    if s.top_p == 1 and s.top_k == 0:
        return None
    return (
        f"warning: with sampling.top_p={s.top_p} and top_k={s.top_k} completions come from a truncated distribution. "
        "The generator's log-probabilities are of that one, the learner's of the whole: old / rollout is the kept "
        "share of the probability, at most 1 at each token even with the same weights. rollout_ratio shows it, a "
        "correction takes it for a mismatch, and the weight sync is not checked by it"
    )


def probe_gap(learner: Learner, generator: Generator, prompts: Sequence[Sequence[int]]) -> float:
    """Mean |log-probability difference| between generator and learner on tokens that the generator draws."""
    sampling = Sampling(PROBE_TOKENS, learner.policy.temperature)
    drawn = dict(generator.generate(prompts, 1, sampling, seeds=range(len(prompts))))
    rollouts = [drawn[index][0] for index in range(len(prompts))]
    batch = token_batch(
        prompts,
        [rollout.completion_ids for rollout in rollouts],
        [rollout.completion_mask for rollout in rollouts],
        range(len(prompts)),
    )
    ours = learner.frozen_logprobs(batch, torch.arange(len(prompts)))[batch.completion_mask]
    theirs = torch.tensor([value for rollout in rollouts for value in rollout.rollout_logprobs])
    return float((ours - theirs).abs().mean())


@torch.no_grad()
def prove_sync(learner: Learner, generator: Generator, prompts: Sequence[Sequence[int]], tolerance: float) -> None:
    """Send changed weights and then the true ones; raise `WeightSyncError` where either is not seen to arrive."""
    parameters = learner.policy.trainable()
    kept = {name: parameter.clone() for name, parameter in parameters.items()}
    try:
        changed = 0.0
        for noise in PROBE_NOISES:  # as little as can be told from rounding
            add_noise(parameters.values(), noise)
            changed = probe_gap(learner, generator, prompts)
            if changed > 2 * tolerance:
                break
        generator.load_weights(learner.named_weights(), version=learner.step)
        arrived = probe_gap(learner, generator, prompts)
    finally:
        for name, parameter in parameters.items():
            parameter.copy_(kept[name])
    generator.load_weights(learner.named_weights(), version=learner.step)
    restored = probe_gap(learner, generator, prompts)
    if max(arrived, restored) > tolerance or changed <= tolerance:
        raise WeightSyncError(
            "the generator does not take over weights: with changed weights its log-probabilities were off by "
            f"{changed:.2g} before the sync, {arrived:.2g} after it, and {restored:.2g} after the true weights came "
            f"again; expected more than {tolerance:g} before and less after. Check that engine and model versions fit"
        )


def add_noise(parameters: Iterable[Tensor], noise: float) -> None:
    """Add normal noise of the share `noise` of each tensor's own spread (and a little, where it has none)."""
    generator = torch.Generator().manual_seed(0)
    for parameter in parameters:
        scale = noise * (float(parameter.float().std(unbiased=False)) + 0.01)
        parameter.add_((torch.randn(parameter.shape, generator=generator) * scale).to(parameter))
