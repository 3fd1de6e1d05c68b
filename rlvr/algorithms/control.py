"""Coefficients that follow a measured value: pure rules, applied once after each step; the coefficient is the state."""

# Schulman et al., PPO (arXiv:1707.06347), section 4, where they are said to be heuristic.
KL_TOLERANCE = 1.5
KL_FACTOR = 2.0
# Halving and doubling never end by themselves; beyond these the term is nothing, or everything.
MIN_KL_COEF = 1e-6
MAX_KL_COEF = 1e2
# He et al., Skywork-OR1 (arXiv:2505.22312), adaptive entropy control.
ENTROPY_STEP = 0.005
MAX_ENTROPY_COEF = 1.0


def adapted_kl_coef(coef: float, measured: float, target: float) -> float:
    """The next coefficient of the KL term: half of it below target / 1.5, twice as much above 1.5 target.

    PPO's adaptive penalty (arXiv:1707.06347, section 4). `measured` and `target` are nats a token.
    """
    if measured < target / KL_TOLERANCE:
        coef = coef / KL_FACTOR
    elif measured > target * KL_TOLERANCE:
        coef = coef * KL_FACTOR
    return min(max(coef, MIN_KL_COEF), MAX_KL_COEF)


def adapted_entropy_coef(coef: float, measured: float, target: float) -> float:
    """The next coefficient of the entropy bonus: one step up while the entropy is below the target, else one down.

    Skywork-OR1's adaptive entropy control (arXiv:2505.22312): c <- c + 0.005 where H < target, c - 0.005 elsewhere,
    within [0, 1]. `measured` and `target` are nats a token. Let the paper's indicator, which drops the bonus from the
    loss while H > target, be `entropy_coef_in_use`.
    """
    change = ENTROPY_STEP if measured < target else -ENTROPY_STEP
    return min(max(coef + change, 0.0), MAX_ENTROPY_COEF)


def entropy_coef_in_use(coef: float, measured: float, target: float) -> float:
    """What the loss of the next step takes: the coefficient, or 0 while the entropy is above the target."""
    return coef if measured <= target else 0.0
