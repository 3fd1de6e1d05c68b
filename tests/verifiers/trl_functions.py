"""Reward functions as TRL's documentation has them."""

import asyncio
import re
from typing import Any


def shorter_is_better(completions: list[str], **kwargs: Any) -> list[float]:
    return [-float(len(completion)) for completion in completions]


def is_the_answer(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    return [1.0 if completion == truth else -1.0 for completion, truth in zip(completions, answer, strict=True)]


def of_messages(prompts: list[list[dict[str, str]]], completions: list[list[dict[str, str]]]) -> list[int]:
    """Takes no further columns."""
    return [len(re.findall(p[-1]["content"], c[0]["content"])) for p, c in zip(prompts, completions, strict=True)]


def only_for_code(completions: list[str], task: list[str], **kwargs: Any) -> list[float | None]:
    return [0.5 if kind == "code" else None for kind in task]


async def best_of_the_batch(completions: list[str], **kwargs: Any) -> list[float]:
    await asyncio.sleep(0)
    return [float(completion == max(completions)) for completion in completions]


def needs_more(completions: list[str], level: list[str]) -> list[float]:
    return [0.0 for _ in completions]


def forgets_one(completions: list[str], **kwargs: Any) -> list[float]:
    return [1.0] * (len(completions) - 1)
