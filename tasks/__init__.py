"""Datasets as problems: what the policy is asked and what the verifier is told. Knows neither torch nor rlvr."""

from tasks.problem import Message, Problem

__all__ = ["Message", "Problem"]
