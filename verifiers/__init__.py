"""A completion and a ground truth in, a Verdict out. Knows neither torch nor rlvr."""

from verifiers.verdict import Status, Verdict, Verifier

__all__ = ["Status", "Verdict", "Verifier"]
