"""A variant of policy optimization is a row of independent choices. This file holds the row and the table of presets.

Each choice is a key of a dict beside the functions it names (`advantage.BASELINES`, `policy_loss.SURROGATES`,
`weights.AGGREGATES`, `kl.ESTIMATORS`, `rlvr.groups.KEEP`), or `module:name` of a function of yours with the same
signature. Nothing branches on the name of a preset.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class Objective:
    """What is maximized, choice by choice.

    From rewards to advantages
    combine        several rewards of one completion: `sum` (the verdict's score), `apart` (normalize each of its parts,
                   then add up)
    overlong       completions that were cut off: `keep`, `mask` (not trained on), `punish` (softly, over the last
                   `overlong_buffer` tokens)
    baseline       what is subtracted from a reward: `none`, `mean`, `leave_one_out`, `length_weighted`, `batch_mean`,
                   `moving_average`
    scale          what the difference is divided by: `none`, `group_std`, `group_mean`, `batch_std`
    whiten         whether the advantages of the batch are brought to mean 0 and standard deviation 1 at last
    discount       gamma: what a token's reward counts for the token before it
    group_weight   what a group counts for: `none`, `informative` (mixed outcomes count more), `cohort` (cohorts behind
                   the average count more)
    keep           which groups are trained on: `all`, `mixed` (rewards not all equal)
    refill_rounds  how often a step may sample further problems in place of groups that were not kept
    max_staleness  optimizer steps that a surplus group may wait for its turn; 0 throws it away

    From log-probabilities to the loss
    ratio          probability ratio of each `token`, or of the whole `sequence` (geometric mean)
    surrogate      `clip`, `reinforce`, `cispo`, `band`, `soft`, `geometric` (see `policy_loss`)
    clip_low, clip_high   the ratio's range is [1 - clip_low, 1 + clip_high]
    clip_dual      the loss of a bad token is bounded at this ratio; 0 does not bound it
    band           `band`: how far a token's probability may move
    soft_positive, soft_negative   `soft`: temperatures of the gate for good and for bad tokens
    correction     factor for the generator's probabilities not being the learner's: `none`, `truncate`, `mask`
    correction_level   of each `token`, or of the whole `sequence`
    correction_low, correction_high   the range that the factor is truncated to, or masked outside of
    aggregate      what each token weighs: `token`, `sequence`, `sequence_sum`, `prompt`, `constant` (see `weights`)

    Regularization
    kl, kl_coef    estimator of KL(policy || reference): `k1`, `k2`, `k3`, `k3_unbiased`; 0 needs no reference at all
    kl_in          the `loss`, or the `reward`
    kl_target      halve or double `kl_coef` so that the KL stays near; 0 leaves it fixed
    entropy_coef   bonus for entropy
    entropy_target adapt `entropy_coef` so that the entropy (nats a token) does not fall below; 0 leaves it fixed
    """

    combine: str = "sum"
    overlong: str = "keep"
    overlong_buffer: int = 0
    baseline: str = "mean"
    scale: str = "group_std"
    whiten: bool = False
    discount: float = 1.0
    group_weight: str = "none"
    keep: str = "all"
    refill_rounds: int = 0
    max_staleness: int = 0

    ratio: str = "token"
    surrogate: str = "clip"
    clip_low: float = 0.2
    clip_high: float = 0.2
    clip_dual: float = 0.0
    band: float = 0.15
    soft_positive: float = 1.0
    soft_negative: float = 1.05
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
    def trains_without_advantage(self) -> bool:
        """Whether a rollout of zero advantage still has a gradient; where not, it costs no forward pass."""
        return self.kl_coef != 0 or self.entropy_coef != 0


PRESETS: dict[str, Objective] = {
    # Group Relative Policy Optimization. Shao et al., DeepSeekMath (arXiv:2402.03300), eq. 3 and section 4.2:
    # A = (r - mean) / std, mean over the tokens of a completion and then over completions, k3 with coefficient 0.04.
    # The paper does not print its clip range; 0.2 is PPO's (arXiv:1707.06347).
    "grpo": Objective(kl_coef=0.04),
    # "GRPO done right". Liu et al., Understanding R1-Zero-Like Training (arXiv:2503.20783), section 3.2: no division
    # by the standard deviation (it favours too easy and too hard problems) nor by the completion's length (it favours
    # long wrong answers) but by a constant, and no KL term.
    "dr_grpo": Objective(scale="none", aggregate="constant"),
}


# Baselines that compare a completion with its siblings: in a group of one they leave nothing.
GROUP_BASELINES = ("mean", "leave_one_out", "length_weighted")


def resolve(choices: str | Mapping[str, Any]) -> Objective:
    """A preset's name, or `{preset: name, choice: value, ...}`, as a row; without `preset`, from GRPO's.

    Raises `ValueError` for a preset or a choice that does not exist, with the nearest one that does.
    """
    values = {"preset": choices} if isinstance(choices, str) else dict(choices)
    name = values.pop("preset", "grpo")
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"no preset is called {name!r}{nearest(str(name), PRESETS)}; known: {', '.join(PRESETS)}")
    known = [field.name for field in fields(Objective)]
    for choice in values:
        if choice not in known:
            raise ValueError(
                f"the objective has no choice {choice!r}{nearest(choice, known)}; it has: {', '.join(known)}"
            )
    return replace(PRESETS[name], **values)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'clip_low'?`, or nothing where no known name is like it."""
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
