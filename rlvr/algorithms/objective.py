"""A variant of policy optimization is a row of independent choices. This file defines a row, `presets` the known ones.

Each choice is a key of a dict beside the functions it names (`advantage.BASELINES`, `policy_loss.SURROGATES`,
`weights.AGGREGATES`, `kl.ESTIMATORS`, `rollouts.groups.KEEP`), or `module:name`, a function of your own with the same
signature. Nothing branches on the name of a preset.
"""

from dataclasses import dataclass
from math import inf

# Baselines that compare a completion with the rest of its group: in a group of one every advantage is 0.
GROUP_BASELINES = ("mean", "leave_one_out", "length_weighted")
OVERLONG = ("keep", "mask", "punish")
KL_IN = ("loss", "reward", "token_reward")
# DAPO (arXiv:2503.14476, section 3.4) punishes in the last 4,096 of 20,480 tokens.
OVERLONG_SHARE = 5


@dataclass(frozen=True)
class Objective:
    """The objective of policy optimization, choice by choice.

    From rewards to advantages
    combine        several rewards of one completion: `sum` (the verdict's score), `decoupled` (normalize each of its
                   parts, then add them by their weights)
    overlong       completions that were cut off: `keep`, `mask` (not trained on), `punish` (a linear penalty over the
                   last `overlong_buffer` tokens; 0: over the last fifth of max_tokens)
    baseline       what is subtracted from a reward: `none`, `mean`, `leave_one_out`, `length_weighted`, `batch_mean`,
                   `moving_average`
    scale          what the difference is divided by: `none`, `group_std`, `group_mean`, `batch_std`
    whiten         whether the advantages of the batch are finally scaled to mean 0 and standard deviation 1
    discount       gamma: the factor by which a reward counts less for each token before it
    group_weight   weight of a group: `none`, `informative` (mixed outcomes count more), `cohort` (cohorts below the
                   average count more: exp(cohort_strength x lag))
    keep           which groups are trained on: `all`, `mixed` (rewards not all equal)
    refill_rounds  how often a step may sample further problems in place of groups that were not kept

    From log-probabilities to the loss
    ratio          probability ratio of each `token`, or of the whole `sequence` (geometric mean)
    surrogate      `clip`, `reinforce`, `cispo`, `tv_mask`, `kl_mask`, `soft_gate`, `geometric` (see `policy_loss`)
    clip_low, clip_high   the ratio's range is [1 - clip_low, 1 + clip_high]; `geometric`: [e^-clip_low, e^clip_high]
    clip_dual      `clip`: bounds the ratio of tokens with a negative advantage; 0 for no bound
    divergence_threshold   `tv_mask`, `kl_mask`: largest divergence of a token from the old policy
    temperature_positive, temperature_negative   `soft_gate`: temperature for positive and for other advantages
    correction     factor for the mismatch between generator and learner: `none`, `truncate`, `mask`
    correction_level   factor of each `token`, or of the whole `sequence`
    correction_low, correction_high   range of the factor: outside of it, the factor is truncated or masked
    aggregate      weight of each token: `token`, `sequence`, `sequence_sum`, `prompt`, `constant` (see `weights`)

    Regularization
    kl, kl_coef    estimator of KL(policy || reference): `k1`, `k2`, `k3`, `k3_unbiased`; with 0 no reference is loaded
    kl_in          where the KL term goes: `loss`; `reward` (of the completion, before the baseline); `token_reward` (of
                   each token, after the baseline: see `returns`)
    kl_target      KL (nats per token) that halving and doubling `kl_coef` aims at; 0 keeps `kl_coef` fixed
    entropy_coef   coefficient of the entropy bonus
    entropy_target least entropy (nats per token), to which `entropy_coef` is adapted; 0 keeps `entropy_coef` fixed
    """

    combine: str = "sum"
    overlong: str = "keep"
    overlong_buffer: int = 0
    baseline: str = "mean"
    scale: str = "group_std"
    whiten: bool = False
    discount: float = 1.0
    group_weight: str = "none"
    cohort_strength: float = 2.0
    keep: str = "all"
    refill_rounds: int = 0

    ratio: str = "token"
    surrogate: str = "clip"
    clip_low: float = 0.2
    clip_high: float = 0.2
    clip_dual: float = 0.0
    divergence_threshold: float = 0.15
    temperature_positive: float = 1.0
    temperature_negative: float = 1.05
    correction: str = "none"
    correction_level: str = "token"
    correction_low: float = 0.0
    correction_high: float = 2.0
    aggregate: str = "sequence"

    kl: str = "k3"
    kl_coef: float = 0.0
    kl_in: str = "loss"
    kl_target: float = 0.0
    entropy_coef: float = 0.0
    entropy_target: float = 0.0

    @property
    def needs_reference(self) -> bool:
        return self.kl_coef > 0

    @property
    def kl_in_loss(self) -> bool:
        return self.kl_coef != 0 and self.kl_in == "loss"

    @property
    def kl_in_reward(self) -> bool:
        """Whether the advantages need log-probabilities of the policy and of the reference."""
        return self.kl_coef != 0 and self.kl_in != "loss"

    @property
    def trains_without_advantage(self) -> bool:
        """Whether a rollout of zero advantage still has a gradient; if not, it needs no forward pass."""
        return self.kl_in_loss or self.entropy_coef != 0

    @property
    def advantage_per_token(self) -> bool:
        """Whether the tokens of a completion have advantages of their own."""
        return self.discount != 1 or (self.kl_coef != 0 and self.kl_in == "token_reward")

    def overlong_tokens(self, max_tokens: int) -> int:
        """The number of tokens before `max_tokens` in which `punish` lowers the reward."""
        return self.overlong_buffer or max(1, max_tokens // OVERLONG_SHARE)


# The numeric choices, each with its allowed range.
RANGES: dict[str, tuple[float, float]] = {
    "overlong_buffer": (0, inf),
    "discount": (0, 1),
    "cohort_strength": (0, inf),
    "refill_rounds": (0, inf),
    "clip_low": (0, inf),
    "clip_high": (0, inf),
    "clip_dual": (0, inf),
    "divergence_threshold": (0, inf),
    "temperature_positive": (1e-6, inf),
    "temperature_negative": (1e-6, inf),
    "correction_low": (0, inf),
    "correction_high": (0, inf),
    "kl_coef": (0, inf),
    "kl_target": (0, inf),
    "entropy_coef": (0, inf),
    "entropy_target": (0, inf),
}


def contradictions(objective: Objective) -> list[str]:
    """Mistakes within a row: numbers out of range, and choices that exclude each other. One sentence each, with the way
    out."""
    o = objective
    wrong = [
        f"objective.{name}: got {getattr(o, name)}, expected {low:g} to {high:g}"
        for name, (low, high) in RANGES.items()
        if not low <= getattr(o, name) <= high
    ]
    rules = {
        "clip_low must be at most 1 (which means no lower bound), except with surrogate: geometric": (
            o.clip_low > 1 and o.surrogate != "geometric"
        ),
        "clip_dual must be above the clip range: set more than 1 + clip_high, or 0": 0 < o.clip_dual <= 1 + o.clip_high,
        "clip_dual belongs to surrogate: clip": (
            o.clip_dual > 0 and o.surrogate in ("reinforce", "cispo", "tv_mask", "kl_mask", "soft_gate", "geometric")
        ),
        "correction_low must be below correction_high": o.correction_low >= o.correction_high,
        f"surrogate: {o.surrogate} works on the probability of each token: set ratio: token": (
            o.ratio == "sequence" and o.surrogate in ("tv_mask", "kl_mask", "geometric")
        ),
        "refill_rounds replaces groups that were not kept, and keep: all keeps every group: add keep: mixed": (
            o.refill_rounds > 0 and o.keep == "all"
        ),
        "overlong_buffer belongs to overlong: punish: add that, or leave overlong_buffer out": (
            o.overlong_buffer > 0 and o.overlong != "punish"
        ),
        "kl_target halves and doubles kl_coef: set kl_coef to more than 0": o.kl_target > 0 and o.kl_coef == 0,
    }
    return wrong + [f"objective: {sentence}" for sentence, holds in rules.items() if holds]
