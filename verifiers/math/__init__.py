"""Is a mathematical answer equal to the ground truth? Exactly, quickly, and whatever the answer holds."""

from verifiers.math.verifier import MathVerifier

__all__ = ["MathVerifier"]
