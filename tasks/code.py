"""Shared by the code tasks: builds a Problem from a question, its tests, and a worked solution."""

import ast
import json
from collections.abc import Sequence
from typing import Any

from tasks.problem import Message, Problem

INSTRUCTION = "Answer with one fenced block of Python."


def code_problem(
    id: str,
    question: str,
    tests: Sequence[dict[str, Any]],
    *,
    source: str,
    system: str = "",
    instruction: str = INSTRUCTION,
    preamble: str = "",
    solution: str | None = None,
    cohort: str = "",
) -> Problem:
    """A problem for the `code` verifier. `preamble` runs before the completion's code."""
    prompt: list[Message] = [{"role": "system", "content": system}] if system else []
    prompt.append({"role": "user", "content": f"{question.rstrip()}\n\n{instruction}" if instruction else question})
    answer: dict[str, Any] = {"tests": list(tests)}
    if preamble:
        answer["preamble"] = preamble
    return Problem(
        id=id,
        prompt=tuple(prompt),
        answer=json.dumps(answer),
        verifier="code",
        source=source,
        cohort=cohort,
        solution=None if solution is None else f"```python\n{solution.strip()}\n```",
    )


def tested_function(tests: Sequence[str], solution: str) -> str | None:
    """The function under test: the outermost call in the assert statements of a name that the solution defines."""
    defined = {
        node.name
        for node in ast.parse(solution).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    }
    called: list[str] = []
    for test in tests:
        for node in ast.walk(ast.parse(test)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called.append(node.func.id)
    return next((name for name in called if name in defined), None)
