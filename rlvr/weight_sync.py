"""How weights get from the learner to the generator, and whether they arrived. Never taken on trust.

`push` is the one place where weights cross. What says that they arrived: the version, which each completion carries;
for an engine with a copy of the weights, a probe after each push, in which both score the same tokens; and each step,
for free, the tokens that were sampled: with the same weights both give the same log-probabilities but for rounding.
Before the first step `prove_sync` sends changed weights, which must be seen to arrive and to be gone again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.batching import token_batch
from rlvr.engines.base import Generator, Request, WeightUpdate, complete
from rlvr.errors import WeightSyncError
from rlvr.learners.base import Learner
from rlvr.types import Sampling

# Mean |difference| of log-probabilities that rounding explains, with room (float32 measures 1e-6).
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
# Tokens of each probe: those that every push pays for, and those of the proof before the first step.
PUSH_TOKENS = 4
PROOF_TOKENS = 16
PROBE_NOISES = (0.05, 0.2, 0.8)
# Weights that are on their way at a time.
BUCKET_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Probe:
    """What tells whether a generator has the learner's weights: prompts, and how far their log-probabilities may be
    apart (`tolerance`) at the temperature that the learner scores at."""

    prompts: Sequence[Sequence[int]]
    temperature: float
    tolerance: float

    def gap(self, learner: Learner, generator: Generator, tokens: int) -> float:
        """Mean |log-probability difference| between generator and learner on `tokens` tokens that the former draws."""
        sampling = Sampling(tokens, self.temperature)
        requests = [Request(-1 - index, prompt, 1, sampling, seed=index) for index, prompt in enumerate(self.prompts)]
        drawn = [completions[0] for completions in complete(generator, requests)]
        batch = token_batch(
            self.prompts,
            [completion.ids for completion in drawn],
            [[True] * len(completion.ids) for completion in drawn],
            range(len(drawn)),
        )
        ours = learner.frozen_logprobs(batch, torch.arange(len(batch)))[batch.completion_mask]
        theirs = torch.tensor([value for completion in drawn for value in completion.logprobs])
        return float((ours - theirs).abs().mean())


@dataclass(frozen=True)
class Buckets:
    """The learner's weights, made anew each time they are walked: once for each engine that takes them."""

    learner: Learner

    def __iter__(self) -> Iterator[Mapping[str, Tensor]]:
        return self.learner.buckets(BUCKET_BYTES)


def push(learner: Learner, generator: Generator, probe: Probe) -> None:
    """Hand the learner's weights to the generator, which has no open requests.

    Raises `WeightSyncError` where its version does not say that they arrived, or where it has a copy of the weights and
    the probe does not.
    """
    send(learner, generator)
    if generator.shares_weights:
        return
    gap = probe.gap(learner, generator, PUSH_TOKENS)
    if not gap <= probe.tolerance:  # nan is no agreement
        raise WeightSyncError(
            f"after weights of version {learner.version} were sent, the generator's log-probabilities differ from the "
            f"learner's by {gap:.2g} on average, expected at most {probe.tolerance:g}: they did not all arrive, or the "
            "engine computes another model. Start the same command again, or set engine.logprob_tolerance if the "
            "engine is known to be this coarse"
        )


def send(learner: Learner, generator: Generator) -> None:
    generator.load(WeightUpdate(learner.version, learner.weight_names(), Buckets(learner), learner.adapter()))
    if generator.version != learner.version:
        raise WeightSyncError(
            f"the generator says that it has weights of version {generator.version} after those of version "
            f"{learner.version} were sent; expected the latter. Start the same command again"
        )


def prove_sync(learner: Learner, generator: Generator, probe: Probe) -> None:
    """Send changed weights and then the true ones; raise `WeightSyncError` where either is not seen to arrive."""
    changed = arrived = 0.0
    for noise in PROBE_NOISES:  # as little as can be told from rounding
        with learner.perturbed(noise):
            changed = probe.gap(learner, generator, PROOF_TOKENS)
            if changed <= 2 * probe.tolerance and noise != PROBE_NOISES[-1]:
                continue
            send(learner, generator)
            arrived = probe.gap(learner, generator, PROOF_TOKENS)
        break
    send(learner, generator)
    restored = probe.gap(learner, generator, PROOF_TOKENS)
    agree = arrived <= probe.tolerance and restored <= probe.tolerance  # nan is no agreement
    if not (agree and changed > probe.tolerance):
        raise WeightSyncError(
            "the generator does not take over weights: with changed weights its log-probabilities were off by "
            f"{changed:.2g} before the sync, {arrived:.2g} after it, and {restored:.2g} after the true weights came "
            f"again; expected more than {probe.tolerance:g} before and less after. Check that the versions of engine "
            "and model fit"
        )


def check_gap(gap: float, tolerance: float) -> None:
    """Raise `WeightSyncError` where the mean log-probability gap of this step's own rollouts is more than rounding."""
    if not gap <= tolerance:
        raise WeightSyncError(
            f"the generator's log-probabilities differ from the learner's by {gap:.2g} on average, expected at most "
            f"{tolerance:g}: it holds other weights, or computes another model. This step is not kept; "
            "start the same command again, or set engine.logprob_tolerance if the engine is known to be this coarse"
        )


def truncation_of(sampling: Sampling) -> str | None:
    """What `top_p` and `top_k` do to the ratio of probabilities, where they are set."""
    if not sampling.is_truncated:
        return None
    return (
        f"with sampling.top_p={sampling.top_p} and top_k={sampling.top_k} completions come from a truncated "
        "distribution. The generator's log-probabilities are of that one, the learner's of the whole: old / rollout is "
        "the kept share of the probability, at most 1 at each token even with the same weights. rollout_ratio shows "
        "it, a correction takes it for a mismatch, and the weight sync is not checked by it"
    )
