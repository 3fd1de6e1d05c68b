"""Probability ratios that stay finite."""

from torch import Tensor

# e^20 is far beyond any useful ratio or clip range, and far below the maximum of float32.
MAX_LOG_RATIO = 20.0


def bounded(log_ratio: Tensor) -> Tensor:
    """`log_ratio` clamped to [-20, 20]: beyond that its exponential carries no more information."""
    return log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
