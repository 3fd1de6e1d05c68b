"""A completion and a ground truth go in, a Verdict comes out. Imports neither torch nor rlvr."""

from verifiers.batch import verify_batch
from verifiers.compose import AllOf, Gate, LengthPenalty, WeightedMean, WeightedSum
from verifiers.function import BatchVerifier, FunctionVerifier
from verifiers.math import MathVerifier
from verifiers.pool import WorkerPool
from verifiers.registry import get_verifier
from verifiers.verdict import Spec, Status, Verdict, Verifier, is_solved, with_threshold

__all__ = [
    "AllOf",
    "BatchVerifier",
    "FunctionVerifier",
    "Gate",
    "LengthPenalty",
    "MathVerifier",
    "Spec",
    "Status",
    "Verdict",
    "Verifier",
    "WeightedMean",
    "WeightedSum",
    "WorkerPool",
    "get_verifier",
    "is_solved",
    "verify_batch",
    "with_threshold",
]
