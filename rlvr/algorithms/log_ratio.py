"""Ratios of probabilities that stay finite."""

from torch import Tensor

# e^20 is far outside of every range that a ratio is clipped to or means something in, and far inside of float32.
MAX_LOG_RATIO = 20.0


def bounded(log_ratio: Tensor) -> Tensor:
    """`log_ratio` held in [-20, 20]: its exponential says "far off" as well as that of a larger one would."""
    return log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
