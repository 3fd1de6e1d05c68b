"""Turns datasets into problems: prompts for the policy and ground truths for the verifier. Needs no torch, no rlvr."""

from tasks.environment import Environment, SingleTurn
from tasks.problem import Message, Messages, Problem
from tasks.registry import Task, make_task

__all__ = ["Environment", "Message", "Messages", "Problem", "SingleTurn", "Task", "make_task"]
