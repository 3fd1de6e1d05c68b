"""How far can a reward model be trusted? Its scores on held-out comparisons, with 95 % intervals.

accuracy     share of comparisons whose better answer scores higher (a tie counts half)
calibration  expected calibration error: how far sigmoid(score difference) is from how often it is right, in ten bins
             (Guo et al., 2017, arXiv:1706.04599)
length       correlation of the sign of the score difference with the length difference, beside the same correlation
             for the labels. Only the sign, because a label has no size: score differences would correlate more
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.algorithms.intervals import Z95, Estimate, mean_estimate

BINS = 10
# A model whose preference for length exceeds that of the labels by this much, significantly, pays for length.
LENGTH_TOLERANCE = 0.1


@dataclass(frozen=True)
class PairReport:
    accuracy: Estimate
    loss: float
    calibration_error: float
    length_correlation: Estimate
    label_length_correlation: float
    comparisons: int

    @property
    def pays_for_length(self) -> bool:
        return self.length_correlation.low > self.label_length_correlation + LENGTH_TOLERANCE

    def metrics(self) -> dict[str, float]:
        return {
            "held_out/accuracy": self.accuracy.mean,
            "held_out/accuracy_low": self.accuracy.low,
            "held_out/accuracy_high": self.accuracy.high,
            "held_out/loss": self.loss,
            "held_out/calibration_error": self.calibration_error,
            "held_out/length_correlation": self.length_correlation.mean,
            "held_out/label_length_correlation": self.label_length_correlation,
            "held_out/pays_for_length": float(self.pays_for_length),
        }

    def __str__(self) -> str:
        summary = (
            f"{self.comparisons} held-out comparisons: accuracy {self.accuracy} (95 % interval), calibration error "
            f"{self.calibration_error:.3f}, correlation with length {self.length_correlation} (labels: "
            f"{self.label_length_correlation:.3f})"
        )
        if self.pays_for_length:
            summary += "\nwarning: this reward model pays for length more than the comparisons do"
        return summary


def pair_report(
    better_scores: Tensor, worse_scores: Tensor, better_lengths: Tensor, worse_lengths: Tensor, prompts: Tensor
) -> PairReport:
    """The report on comparisons `(N,)`. `prompts` is the prompt of each: prompts are the independent draws."""
    difference = (better_scores - worse_scores).double()
    longer = (better_lengths - worse_lengths).double()
    right = (difference > 0).double() + 0.5 * (difference == 0)
    of_prompt = [right[prompts == prompt].mean().item() for prompt in prompts.unique()]
    believed = torch.sigmoid(difference.abs())
    return PairReport(
        mean_estimate(of_prompt, samples=1),
        float(-torch.nn.functional.logsigmoid(difference).mean()),
        _calibration_error(believed, right),
        _correlation(difference.sign(), longer, len(of_prompt)),
        _correlation(torch.ones_like(difference), longer, len(of_prompt)).mean,
        len(difference),
    )


def _calibration_error(believed: Tensor, right: Tensor) -> float:
    """The sum over bins of share x |mean confidence - share right|; confidences lie in [0.5, 1]."""
    bins = ((believed - 0.5) * 2 * BINS).long().clamp(max=BINS - 1)
    gaps = [(believed[bins == b].sum() - right[bins == b].sum()).abs() for b in bins.unique()]
    return float(sum(gaps)) / len(believed)


def _correlation(a: Tensor, b: Tensor, draws: int) -> Estimate:
    """Uncentred correlation of paired differences, a . b / |a| |b|, with Fisher's interval.

    `draws` is the number of independent draws.
    """
    norms = float(a.norm() * b.norm())
    r = float(a @ b) / norms if norms else 0.0
    z = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r)))
    half = Z95 / math.sqrt(max(1, draws - 2))
    return Estimate(r, math.tanh(z - half), math.tanh(z + half))
