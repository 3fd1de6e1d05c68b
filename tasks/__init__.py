"""Datasets as problems: what the policy is asked and what the verifier is told. Knows neither torch nor rlvr."""

from tasks.problem import Message, Problem
from tasks.registry import NoTask, Task, make_task

__all__ = ["Message", "NoTask", "Problem", "Task", "make_task"]
