"""Sends weights from the learner to the generator, and checks that they arrived.

`push` is the only way for weights to get to the generator. Three things show that they arrived: the version that each
completion carries; for an engine with its own copy of the weights, a probe after each push, in which both score the
same tokens; and in each step, at no cost, the sampled tokens, whose log-probabilities must agree up to rounding. Before
the first step, `prove_sync` sends changed weights and then the true ones, and checks that both arrive.
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

# Mean |difference| of log-probabilities that rounding can explain, with a margin (1e-6 is measured in float32).
TOLERANCE = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.1}
# Tokens of each probe: after every push, and in the proof before the first step.
PUSH_TOKENS = 4
PROOF_TOKENS = 16
PROBE_NOISES = (0.05, 0.2, 0.8)
# Size of the weights that are in transit at a time.
BUCKET_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Probe:
    """A test of whether a generator has the learner's weights: prompts, the temperature that the learner scores at, and
    the largest difference of log-probabilities (`tolerance`)."""

    prompts: Sequence[Sequence[int]]
    temperature: float
    tolerance: float

    def gap(self, learner: Learner, generator: Generator, tokens: int) -> float:
        """Mean |log-probability difference| between generator and learner on `tokens` tokens that the generator
        samples."""
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
    """The learner's weights, gathered anew in each iteration: once for each engine that loads them."""

    learner: Learner

    def __iter__(self) -> Iterator[Mapping[str, Tensor]]:
        return self.learner.buckets(BUCKET_BYTES)


def push(learner: Learner, generator: Generator, probe: Probe) -> None:
    """Send the learner's weights to the generator, which must have no open requests.

    Raises `WeightSyncError` if the version or, for a generator with its own copy of the weights, the probe shows that
    they did not arrive.
    """
    send(learner, generator)
    if generator.shares_weights:
        return
    gap = probe.gap(learner, generator, PUSH_TOKENS)
    if not gap <= probe.tolerance:  # nan is no agreement
        raise WeightSyncError(
            f"after weights of version {learner.version} were sent, the generator's log-probabilities differ from the "
            f"learner's by {gap:.2g} on average, expected at most {probe.tolerance:g}: some did not arrive, or the "
            "engine computes a different model. Start the same command again, or set engine.logprob_tolerance if the "
            "engine is known to be this coarse"
        )


def send(learner: Learner, generator: Generator) -> None:
    generator.load(WeightUpdate(learner.version, learner.weight_names(), Buckets(learner), learner.adapter()))
    if generator.version != learner.version:
        raise WeightSyncError(
            f"the generator reports weights of version {generator.version} after version "
            f"{learner.version} was sent; expected the latter. Start the same command again"
        )


def prove_sync(learner: Learner, generator: Generator, probe: Probe) -> None:
    """Send changed weights and then the true ones; raise `WeightSyncError` if either do not arrive."""
    changed = arrived = 0.0
    for noise in PROBE_NOISES:  # the smallest change that stands out from rounding
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
            "the generator does not load weights: with changed weights its log-probabilities were off by "
            f"{changed:.2g} before the sync, {arrived:.2g} after it, and {restored:.2g} after the true weights were "
            f"sent again; expected more than {probe.tolerance:g} before and less after. Check that the versions of "
            "engine and model fit"
        )


def check_gap(gap: float, tolerance: float) -> None:
    """Raise `WeightSyncError` where the mean log-probability gap of this step's own rollouts is more than rounding."""
    if not gap <= tolerance:
        raise WeightSyncError(
            f"the generator's log-probabilities differ from the learner's by {gap:.2g} on average, expected at most "
            f"{tolerance:g}: it holds other weights, or computes a different model. This step was not saved; "
            "start the same command again, or set engine.logprob_tolerance if the engine is known to be this coarse"
        )


def sampling_bias(sampling: Sampling, corrects_sequences: bool = False) -> str | None:
    """What is biased where completions do not come from the distribution that is trained; `None` where they do.

    `corrects_sequences`: whether the objective corrects by the probability ratio of whole completions.
    """
    if sampling.is_plain:
        return None
    kept = Sampling(sampling.max_tokens)
    names = ("top_p", "top_k", "min_p", "min_tokens", "repetition_penalty")
    changed = [
        f"{name}={getattr(sampling, name):g}" for name in names if getattr(sampling, name) != getattr(kept, name)
    ]
    lines = [
        f"sampling.{', '.join(changed)}: completions come from another distribution than the one that is trained, "
        "which is the model's own at the temperature. So gradients are biased: what sampling excludes or penalizes is "
        "not tried, and what it prefers is reinforced once more; KL and entropy are the model's own. The generator's "
        "log-probabilities belong to the sampled distribution: old / rollout is not 1 even at equal weights, "
        "rollout_ratio shows it, a correction takes it for a mismatch, and the weight sync is checked by probes alone"
    ]
    if corrects_sequences:
        lines.append(
            "objective.correction_level: sequence multiplies these ratios over all tokens of a completion, and long "
            "ones then count almost nothing; use correction_level: token, or leave these keys out"
        )
    return ". ".join(lines)
