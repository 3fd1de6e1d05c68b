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

    baseline     what is subtracted from a reward: `none`, `mean`, `leave_one_out`, `batch_mean`
    scale        what the difference is divided by: `none`, `group_std`, `batch_std`, `group_mean`
    ratio        probability ratio of each `token`, or of the whole `sequence` (geometric mean)
    surrogate    `clip` (to [1 - clip_low, 1 + clip_high]), `reinforce`
    aggregate    what each token weighs: `token`, `sequence`, `prompt`, `constant` (see `weights`)
    kl, kl_coef  estimator of KL(policy || reference) in the loss: `k1`, `k2`, `k3`; 0 needs no reference at all
    entropy_coef bonus for entropy
    keep         which groups are trained on: `all`, `mixed` (rewards not all equal)
    """

    baseline: str = "mean"
    scale: str = "group_std"
    ratio: str = "token"
    surrogate: str = "clip"
    clip_low: float = 0.2
    clip_high: float = 0.2
    aggregate: str = "sequence"
    kl: str = "k3"
    kl_coef: float = 0.0
    entropy_coef: float = 0.0
    keep: str = "all"

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
GROUP_BASELINES = ("mean", "leave_one_out")


def resolve(choices: str | Mapping[str, Any]) -> Objective:
    """A preset's name, or `{preset: name, choice: value, ...}`, as a row; without `preset`, from GRPO's.

    Raises `ValueError` for a preset or a choice that does not exist, with the nearest one that does.
    """
    values = {"preset": choices} if isinstance(choices, str) else dict(choices)
    name = values.pop("preset", "grpo")
    if name not in PRESETS:
        raise ValueError(f"no preset is called {name!r}{nearest(name, PRESETS)}; known: {', '.join(PRESETS)}")
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
