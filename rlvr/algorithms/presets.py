"""The known variants: a row each, with its paper, and which reading was taken where the paper leaves one open.

A preset holds what its paper says of the objective; learning rate, batch and lengths are the configuration's. Where a
paper's ratio, clip range or correction has nothing to act on (one optimizer step a batch), the row still names it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from inspect import getdoc
from typing import Any

from rlvr.algorithms.choices import nearest
from rlvr.algorithms.objective import Objective


def grpo() -> Objective:
    """Group Relative Policy Optimization: siblings are the baseline. DeepSeekMath (arXiv:2402.03300), eq. 3 and 4.

        A_i = (r_i - mean r) / std r,   1/G sum_i 1/|o_i| sum_t [min(w A, clip(w, 1 - e, 1 + e) A) - 0.04 k3]

    Open: the clip range is not printed (0.2 is PPO's, arXiv:1707.06347); whether std divides by G or G - 1 (here: the
    latter).
    """
    return Objective(kl="k3", kl_coef=0.04)


def dr_grpo() -> Objective:
    """GRPO done right: no std (it favours too easy and too hard problems), no division by a completion's length (it
    favours long wrong answers), no KL. Liu et al. (arXiv:2503.20783), section 3.2.

        A_i = r_i - mean r,   1/G sum_i 1/L sum_t min(w A, clip(w, 1 - e, 1 + e) A)

    Open: the constant L; the longest completion that sampling allows, as in the authors' code.
    """
    return Objective(scale="none", aggregate="constant")


def dapo() -> Objective:
    """Decoupled clip and dynamic sampling: room to rise, only mixed groups, each token the same, a soft length limit.
    Yu et al. (arXiv:2503.14476), eq. 8 and 13, section 4.1 (0.2, 0.28; 4,096 of 20,480 tokens).

        A_i = (r_i - mean r) / std r,   1/(tokens) sum_i sum_t min(w A, clip(w, 1 - 0.2, 1 + 0.28) A)

    Open: "tokens" under the expectation over problems is each group's own (`aggregate: prompt`); the authors' code
    divides by the tokens of the batch, which is the reading here. Sampling goes on until the batch is full in the
    paper; here at most 10 rounds, as in the authors' configuration. The ablation first filters overlong samples and
    punishes them later; the released recipe punishes only, and so does this row.
    """
    return Objective(clip_low=0.2, clip_high=0.28, aggregate="token", keep="mixed", refill_rounds=10, overlong="punish")


def gspo() -> Objective:
    """Group Sequence Policy Optimization: ratio and clipping of the whole completion. Zheng et al. (arXiv:2507.18071),
    section 5.1 (3e-4, 4e-4).

        s_i = exp(1/|o_i| sum_t log w_t),   1/G sum_i min(s_i A_i, clip(s_i, 1 - 3e-4, 1 + 4e-4) A_i)

    Open: the KL term, which the paper leaves out "for brevity"; none here.
    """
    return Objective(ratio="sequence", clip_low=3e-4, clip_high=4e-4)


def cispo() -> Objective:
    """Clipped IS-weight Policy Optimization: the weight is clipped, no token loses its gradient. MiniMax-M1
    (arXiv:2506.13585).

        1/(tokens) sum_i sum_t sg(min(w, 1 + e_high)) A_i log pi

    Open: e_high is tuned and not printed; the bound 5 is ScaleRL's (arXiv:2510.13786). No lower bound, as in the paper.
    Tokens are counted over the batch, as in `dapo`. DAPO's sampling and length penalty, which the paper's runs also
    use, are not in its formula and not in this row.
    """
    return Objective(surrogate="cispo", clip_low=1.0, clip_high=4.0, aggregate="token")


def rloo() -> Objective:
    """REINFORCE with the other completions of the problem as baseline. Ahmadian et al. (arXiv:2402.14740),
    appendix C (0.03).

        R_i = r_i - 0.03 sum_t (log pi_old - log pi_ref),   A_i = R_i - mean of the others' R,
        1/G sum_i A_i log pi(o_i)

    Open: nothing on-policy; off-policy the gradient is weighted by the ratio, without a bound.
    """
    return Objective(
        baseline="leave_one_out", scale="none", surrogate="reinforce", aggregate="sequence_sum",
        kl="k1", kl_coef=0.03, kl_in="reward",
    )  # fmt: skip


def reinforce() -> Objective:
    """REINFORCE: reward-to-go minus a moving average of rewards, times the gradient of the log-probability.
    Williams (1992), section 4 (reinforcement comparison).

        A_t = gamma^(T - t) (r - b),   1/B sum_i sum_t A_t log pi

    Open: gamma; 1 here, so that all tokens of a completion share its reward (the textbooks' 0.99 would forget the first
    tokens of a proof). The decay of the average is the run's.
    """
    return Objective(
        baseline="moving_average", scale="none", surrogate="reinforce", aggregate="sequence_sum", discount=1.0
    )


def reinforce_pp() -> Objective:
    """REINFORCE++: no group at all; the KL penalty of each token in its reward, advantages normalized over the batch,
    PPO's clip. Hu et al. (arXiv:2501.03262).

        A_t = r - 0.01 sum_{k >= t} k1_k, then (A - mean A) / std A over the tokens of the batch

    Open: the average over tokens (1/|o| as in the paper's PPO objective); the coefficient (0.01, OpenRLHF's).
    """
    return Objective(baseline="none", scale="none", whiten=True, kl="k1", kl_coef=0.01, kl_in="token_reward")


def reinforce_pp_baseline() -> Objective:
    """REINFORCE++ with the group's mean as baseline, and k2 in the loss. Hu et al. (arXiv:2501.03262).

        A_i = r_i - mean r, then (A - mean A) / std A over the batch,   + 0.01 k2

    Open: the batch's statistics are taken over completions here (over tokens a long completion counts more).
    """
    return Objective(scale="none", whiten=True, kl="k2", kl_coef=0.01)


def max_rl() -> Objective:
    """Maximum likelihood RL: dividing by the mean reward makes it the gradient of log p(correct) instead of
    p(correct). Tajwar et al. (arXiv:2602.02710).

        A_i = (r_i - mean r) / mean r,   1/G sum_i A_i log pi(o_i)

    Open: nothing on-policy; off-policy the gradient is weighted by the ratio, without a bound. A group without any
    right answer has no gradient.
    """
    return Objective(scale="group_mean", surrogate="reinforce", aggregate="sequence_sum")


def gdpo() -> Objective:
    """Several rewards, each normalized in its group before they are added, then over the batch. Liu et al.
    (arXiv:2601.05242).

        A_i = sum_k weight_k (r_ik - mean r_k) / std r_k, then (A - mean A) / std A over the batch

    Open: the loss below is GRPO's; the KL term is left out here. Needs a verifier whose verdicts have parts.
    """
    return Objective(combine="decoupled", whiten=True)


def sapo() -> Objective:
    """Soft Adaptive Policy Optimization: a smooth gate instead of a clip, narrower for bad tokens. Gao et al.
    (arXiv:2511.20347; 1.0, 1.05).

        1/G sum_i 1/|o_i| sum_t 4/tau sigmoid(tau (w - 1)) A_i,   tau = 1.0 where A > 0, else 1.05
    """
    return Objective(surrogate="soft_gate", temperature_positive=1.0, temperature_negative=1.05)


def gmpo() -> Objective:
    """Geometric-Mean Policy Optimization: outlier tokens weigh less in a geometric mean, so the range can be wide.
    Zhao et al. (arXiv:2507.20673; e^-0.4, e^0.4).

        1/G sum_i A_i (prod_t w'_t)^(1/|o_i|),   w' = min(w, e^0.4) where A > 0, else max(w, e^-0.4)

    Open: the KL term; none here.
    """
    return Objective(surrogate="geometric", clip_low=0.4, clip_high=0.4)


def opo() -> Objective:
    """On-policy RL with the optimal reward baseline: of least variance where a squared gradient grows with length.
    Hao et al. (arXiv:2505.23585).

        A_i = r_i - sum_j |o_j| r_j / sum_j |o_j|,   1/G sum_i A_i log pi(o_i)

    Open: the average over tokens; the sum over a completion, for which the baseline is derived. Exactly on-policy in
    the paper: use one optimizer step a batch.
    """
    return Objective(baseline="length_weighted", scale="none", surrogate="reinforce", aggregate="sequence_sum")


def luspo() -> Objective:
    """Length-Unbiased Sequence Policy Optimization: GSPO whose completions count by their length. Liu et al.
    (arXiv:2602.05261), section 5.1 (2e-3, 2.5e-3).

        1/G sum_i |o_i| min(s_i A_i, clip(s_i, 1 - 2e-3, 1 + 2.5e-3) A_i)
    """
    return Objective(ratio="sequence", clip_low=2e-3, clip_high=2.5e-3, aggregate="sequence_sum")


def dppo() -> Objective:
    """Divergence PPO: a token loses its gradient where its *probability* moved too far, not its ratio. Qi et al.
    (arXiv:2602.04879), binary TV with 0.15 (the binary KL form: `surrogate: kl_mask, divergence_threshold: 0.05`).

        1/(tokens) sum_i sum_t M w A,   M = 0 where D > 0.15 and (A > 0, w > 1 or A < 0, w < 1),   D = |pi - pi_old|

    Open: the paper anchors w and D at the generator's probabilities; here they are the learner's at the start of the
    batch, as in every other row, and the generator's gap is what `correction` is for. Tokens are counted over the
    batch.
    """
    return Objective(surrogate="tv_mask", divergence_threshold=0.15, aggregate="token")


def grpo_plus() -> Objective:
    """This project's own: GRPO whose groups count by how much their outcomes can teach, with clip-higher, without KL
    and entropy terms, and with cut-off completions left out.

        A_i = var_g / (mean var) (r_i - mean r) / std r,   1/B sum_i 1/|o_i| sum_t min(w A, clip(w, 0.8, 1.28) A)
    """
    return Objective(group_weight="informative", clip_low=0.2, clip_high=0.28, overlong="mask")


def fair_grpo() -> Objective:
    """This project's own: `grpo` whose groups count by how far their cohort (domain, difficulty, segment of users)
    lags behind, so that none is left behind. Group DRO's weights (arXiv:1911.08731).

        A_i = exp(2 lag) / (mean over rows) (r_i - mean r) / std r,   all else as in `grpo`

    The factor 2 is a choice: a cohort whose mean reward is 0.5 below the average counts 2.7 times as much.
    """
    return replace(grpo(), group_weight="cohort", cohort_strength=2.0)


MAKERS: dict[str, Callable[[], Objective]] = {
    make.__name__: make
    for make in (
        grpo, dr_grpo, dapo, gspo, cispo, rloo, reinforce, reinforce_pp, reinforce_pp_baseline, max_rl, gdpo, sapo,
        gmpo, opo, luspo, dppo, grpo_plus, fair_grpo,
    )
}  # fmt: skip
PRESETS: dict[str, Objective] = {name: make() for name, make in MAKERS.items()}


def named(name: object) -> Objective:
    """The row called `name`; raises `ValueError` with the nearest name that exists."""
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"no preset is called {name!r}{nearest(str(name), PRESETS)}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def resolve(choices: str | Mapping[str, Any]) -> Objective:
    """A preset's name, or `{preset: name, choice: value, ...}`, as a row; without `preset`, from GRPO's.

    Raises `ValueError` for a preset or a choice that does not exist, with the nearest one that does.
    """
    values = {"preset": choices} if isinstance(choices, str) else dict(choices)
    name = values.pop("preset", "grpo")
    preset = named(name)
    known = [field.name for field in fields(Objective)]
    for choice in values:
        if choice not in known:
            raise ValueError(
                f"the objective has no choice {choice!r}{nearest(choice, known)}; it has: {', '.join(known)}"
            )
    return replace(preset, **values)


def listing() -> str:
    """A line for each preset: its name and the first sentence about it."""
    lines = []
    for name, make in MAKERS.items():
        paragraph = " ".join((getdoc(make) or "").split("\n\n")[0].split())
        lines.append(f"{name:22}{paragraph.split('. ')[0].rstrip('.')}")
    return "\n".join(lines)


def describe(name: str) -> str:
    """What a preset is, its paper and how it was read; then each choice, `*` where it is not the default."""
    row, usual = asdict(named(name)), asdict(Objective())
    choices = (f"{'*' if value != usual[choice] else ' '} {choice}: {value}" for choice, value in row.items())
    return f"{getdoc(MAKERS[name])}\n\n" + "\n".join(choices)
