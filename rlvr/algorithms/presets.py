"""The known variants: one row each, with its paper, and the reading taken where the paper leaves a choice open.

A preset holds what its paper says about the objective; learning rate, batch size and lengths belong to the
configuration. A row names the paper's ratio, clip range or correction even if it has no effect (with one optimizer step
per batch).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from inspect import getdoc
from typing import Any

from rlvr.algorithms.choices import nearest
from rlvr.algorithms.objective import Objective


def grpo() -> Objective:
    """Group Relative Policy Optimization: the group's mean is the baseline. DeepSeekMath (arXiv:2402.03300), eq. 3, 4.

        A_i = (r_i - mean r) / std r,   1/G sum_i 1/|o_i| sum_t [min(w A, clip(w, 1 - e, 1 + e) A) - 0.04 k3]

    Open: the clip range is not given (0.2 is PPO's, arXiv:1707.06347); nor whether std divides by G or G - 1 (here by
    G - 1).
    """
    return Objective(kl="k3", kl_coef=0.04)


def dr_grpo() -> Objective:
    """GRPO done right: no std (which favours problems that are too easy or too hard), no division by a completion's
    length (which favours long wrong answers), no KL. Liu et al. (arXiv:2503.20783), section 3.2.

        A_i = r_i - mean r,   1/G sum_i 1/L sum_t min(w A, clip(w, 1 - e, 1 + e) A)

    Open: the constant L; here the longest completion that sampling allows, as in the authors' code.
    """
    return Objective(scale="none", aggregate="constant")


def dapo() -> Objective:
    """Decoupled clip and dynamic sampling: a higher upper clip, only mixed groups, equal tokens, a soft length limit.
    Yu et al. (arXiv:2503.14476), eq. 8 and 13, section 4.1 (0.2, 0.28; 4,096 of 20,480 tokens).

        A_i = (r_i - mean r) / std r,   1/(tokens) sum_i sum_t min(w A, clip(w, 1 - 0.2, 1 + 0.28) A)

    Open: under the expectation over problems, "tokens" are those of each group (`aggregate: prompt`); the authors' code
    divides by the tokens of the batch, and so does this row. The paper samples until the batch is full; here sampling
    ends after 10 rounds, as in the authors' configuration. The ablation first filters overlong samples and later
    punishes them; the released recipe only punishes, and so does this row.
    """
    return Objective(clip_low=0.2, clip_high=0.28, aggregate="token", keep="mixed", refill_rounds=10, overlong="punish")


def gspo() -> Objective:
    """Group Sequence Policy Optimization: ratio and clipping per completion. Zheng et al. (arXiv:2507.18071),
    section 5.1 (3e-4, 4e-4).

        s_i = exp(1/|o_i| sum_t log w_t),   1/G sum_i min(s_i A_i, clip(s_i, 1 - 3e-4, 1 + 4e-4) A_i)

    Open: the KL term, which the paper leaves out "for brevity"; none here.
    """
    return Objective(ratio="sequence", clip_low=3e-4, clip_high=4e-4)


def cispo() -> Objective:
    """Clipped IS-weight Policy Optimization: the weight is clipped, no token loses its gradient. MiniMax-M1
    (arXiv:2506.13585).

        1/(tokens) sum_i sum_t sg(min(w, 1 + e_high)) A_i log pi

    Open: e_high is tuned and not given; the bound 5 is ScaleRL's (arXiv:2510.13786). No lower bound, as in the paper.
    Tokens are counted over the batch, as in `dapo`. DAPO's sampling and length penalty, which the paper's runs also
    use, are neither in its formula nor in this row.
    """
    return Objective(surrogate="cispo", clip_low=1.0, clip_high=4.0, aggregate="token")


def rloo() -> Objective:
    """REINFORCE with the other completions of the problem as baseline. Ahmadian et al. (arXiv:2402.14740),
    appendix C (0.03).

        R_i = r_i - 0.03 sum_t (log pi_old - log pi_ref),   A_i = R_i - mean of the others' R,
        1/G sum_i A_i log pi(o_i)

    Open: nothing on-policy; off-policy the gradient is weighted by the unbounded ratio.
    """
    return Objective(
        baseline="leave_one_out", scale="none", surrogate="reinforce", aggregate="sequence_sum",
        kl="k1", kl_coef=0.03, kl_in="reward",
    )  # fmt: skip


def reinforce() -> Objective:
    """REINFORCE: reward-to-go minus a moving average of rewards, times the gradient of the log-probability.
    Williams (1992), section 4 (reinforcement comparison).

        A_t = gamma^(T - t) (r - b),   1/B sum_i sum_t A_t log pi

    Open: gamma; 1 here, so that all tokens of a completion share its reward (with the textbook value 0.99 the first
    tokens of a proof would get almost none). The run sets the decay of the average.
    """
    return Objective(
        baseline="moving_average", scale="none", surrogate="reinforce", aggregate="sequence_sum", discount=1.0
    )


def reinforce_pp() -> Objective:
    """REINFORCE++: no group baseline; the KL penalty is in the reward of each token, advantages are normalized over the
    batch, the clip is PPO's. Hu et al. (arXiv:2501.03262).

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
    """Maximum likelihood RL: division by the mean reward gives the gradient of log p(correct) instead of
    p(correct). Tajwar et al. (arXiv:2602.02710).

        A_i = (r_i - mean r) / mean r,   1/G sum_i A_i log pi(o_i)

    Open: nothing on-policy; off-policy the gradient is weighted by the unbounded ratio. A group without a correct
    answer has no gradient.
    """
    return Objective(scale="group_mean", surrogate="reinforce", aggregate="sequence_sum")


def gdpo() -> Objective:
    """Several rewards, each normalized in its group before they are added, then over the batch. Liu et al.
    (arXiv:2601.05242).

        A_i = sum_k weight_k (r_ik - mean r_k) / std r_k, then (A - mean A) / std A over the batch

    Open: the loss is GRPO's, without its KL term. Needs a verifier whose verdicts have parts.
    """
    return Objective(combine="decoupled", whiten=True)


def sapo() -> Objective:
    """Soft Adaptive Policy Optimization: a smooth gate instead of a clip, narrower for negative advantages. Gao et al.
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
    """On-policy RL with the optimal reward baseline: minimum variance if squared gradients grow with length.
    Hao et al. (arXiv:2505.23585).

        A_i = r_i - sum_j |o_j| r_j / sum_j |o_j|,   1/G sum_i A_i log pi(o_i)

    Open: the average over tokens; here the sum over a completion, for which the baseline is derived. The paper is
    exactly on-policy: use one optimizer step per batch.
    """
    return Objective(baseline="length_weighted", scale="none", surrogate="reinforce", aggregate="sequence_sum")


def luspo() -> Objective:
    """Length-Unbiased Sequence Policy Optimization: GSPO with each completion weighted by its length. Liu et al.
    (arXiv:2602.05261), section 5.1 (2e-3, 2.5e-3).

        1/G sum_i |o_i| min(s_i A_i, clip(s_i, 1 - 2e-3, 1 + 2.5e-3) A_i)
    """
    return Objective(ratio="sequence", clip_low=2e-3, clip_high=2.5e-3, aggregate="sequence_sum")


def dppo() -> Objective:
    """Divergence PPO: a token loses its gradient if its *probability*, not its ratio, has moved too far. Qi et al.
    (arXiv:2602.04879), binary TV with 0.15 (the binary KL form: `surrogate: kl_mask, divergence_threshold: 0.05`).

        1/(tokens) sum_i sum_t M w A,   M = 0 where D > 0.15 and (A > 0, w > 1 or A < 0, w < 1),   D = |pi - pi_old|

    Open: the paper anchors w and D at the generator's probabilities; here they are the learner's at the start of the
    batch, as in every other row, and `correction` handles the mismatch with the generator. Tokens are counted over
    the batch.
    """
    return Objective(surrogate="tv_mask", divergence_threshold=0.15, aggregate="token")


def grpo_plus() -> Objective:
    """This project's own: GRPO with groups weighted by the variance of their rewards, with clip-higher, without KL and
    entropy terms, and with cut-off completions masked.

        A_i = var_g / (mean var) (r_i - mean r) / std r,   1/B sum_i 1/|o_i| sum_t min(w A, clip(w, 0.8, 1.28) A)
    """
    return Objective(group_weight="informative", clip_low=0.2, clip_high=0.28, overlong="mask")


def fair_grpo() -> Objective:
    """This project's own: `grpo` with groups weighted by how far their cohort (domain, difficulty, user segment) lags
    behind the average, with the weights of group DRO (arXiv:1911.08731).

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
    """The row for a preset's name or for `{preset: name, choice: value, ...}`; `preset` defaults to `grpo`.

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
    """A preset's formula, paper and reading, then each choice, marked with `*` where it is not the default."""
    row, usual = asdict(named(name)), asdict(Objective())
    choices = (f"{'*' if value != usual[choice] else ' '} {choice}: {value}" for choice, value in row.items())
    return f"{getdoc(MAKERS[name])}\n\n" + "\n".join(choices)
