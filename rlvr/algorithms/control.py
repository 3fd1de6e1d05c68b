"""Adaptive coefficients: pure rules, applied once after each step; the coefficient is the only state."""

# Schulman et al., PPO (arXiv:1707.06347), section 4, which calls these values heuristic.
KL_TOLERANCE = 1.5
KL_FACTOR = 2.0
# Bounds for the halving and doubling; beyond them the term either vanishes or dominates.
MIN_KL_COEF = 1e-6
MAX_KL_COEF = 1e2
# He et al., Skywork-OR1 (arXiv:2505.22312), adaptive entropy control.
ENTROPY_STEP = 0.005
MAX_ENTROPY_COEF = 1.0


def adapted_kl_coef(coef: float, measured: float, target: float) -> float:
    """The next coefficient of the KL term: halved below target / 1.5, doubled above 1.5 target.

    PPO's adaptive penalty (arXiv:1707.06347, section 4). `measured` and `target` are in nats per token.
    """
    if measured < target / KL_TOLERANCE:
        coef = coef / KL_FACTOR
    elif measured > target * KL_TOLERANCE:
        coef = coef * KL_FACTOR
    return min(max(coef, MIN_KL_COEF), MAX_KL_COEF)


def adapted_entropy_coef(coef: float, measured: float, target: float) -> float:
    """The next coefficient of the entropy bonus: one step up if the entropy is below the target, else one step down.

    Skywork-OR1's adaptive entropy control (arXiv:2505.22312): c <- c + 0.005 where H < target, c - 0.005 elsewhere,
    within [0, 1]. `measured` and `target` are in nats per token. The paper's indicator, which drops the bonus from the
    loss while H > target, is `entropy_coef_in_use`.
    """
    change = ENTROPY_STEP if measured < target else -ENTROPY_STEP
    return min(max(coef + change, 0.0), MAX_ENTROPY_COEF)


def entropy_coef_in_use(coef: float, measured: float, target: float) -> float:
    """The coefficient in the loss of the next step: `coef`, or 0 while the entropy is above the target."""
    return coef if measured <= target else 0.0
