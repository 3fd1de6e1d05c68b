"""Datasets as problems: what the policy is asked and what the verifier is told. Knows neither torch nor rlvr."""

from tasks.environment import Environment, SingleTurn
from tasks.problem import Message, Messages, Problem
from tasks.registry import NoTask, Task, make_task

__all__ = ["Environment", "Message", "Messages", "NoTask", "Problem", "SingleTurn", "Task", "make_task"]
