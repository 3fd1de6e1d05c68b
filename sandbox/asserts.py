"""Turns assert statements into calls and expected values. They are parsed and never run."""

import ast
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from .errors import BadTests


@dataclass(frozen=True)
class Call:
    """`fn_name(*args)` must return `expected`."""

    args: tuple[Any, ...]
    expected: Any
    number_for_bool: bool = False  # accept 1 and 0 for an expected True and False, as `==` does


def as_call(source: str, fn_name: str) -> Call | None:
    """The call in `assert f(1, 2) == 3` (or `3 == f(1, 2)`, or `f(1) is True`); None for any other statement.

    Arguments and expected value must be literals. Any other statement has to run as part of the tests' own code.
    """
    try:
        body = ast.parse(source.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if len(body) != 1 or not isinstance(body[0], ast.Assert):
        return None
    test = body[0].test
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left, right = test.left, test.comparators[0]
    if isinstance(test.ops[0], ast.Is):
        if not (isinstance(right, ast.Constant) and (right.value is None or isinstance(right.value, bool))):
            return None
    elif not isinstance(test.ops[0], ast.Eq):
        return None
    elif not _is_call(left, fn_name):
        left, right = right, left
    if not _is_call(left, fn_name):
        return None
    assert isinstance(left, ast.Call)
    try:
        args = tuple(ast.literal_eval(argument) for argument in left.args)
        return Call(args, ast.literal_eval(right), isinstance(test.ops[0], ast.Eq))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _is_call(node: ast.expr, fn_name: str) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == fn_name and not node.keywords
    )


def check_sources(test: Mapping[str, Any]) -> None:
    """Raise BadTests unless the sources of an assert or check test are Python, can fail, and define `check`.

    A tester would notice as well, but could only report it as a failure of the program, which is not at fault. A test
    that asserts nothing would reward every program.
    """
    if test["type"] == "assert":
        for number, source in enumerate(test["tests"]):
            if not isinstance(source, str):
                raise BadTests(f"test {number} must be text: got {type(source).__name__}")
            if not _read(source.strip(), f"test {number}").can_fail:
                raise BadTests(
                    f"test {number} asserts nothing, so every program would pass it; put preparations into 'setup'"
                )
        _read(test.get("setup", ""), "'setup'")
        return
    sources = _read(test["test"], "'test'"), _read(test.get("prelude", ""), "'prelude'")
    if not any("check" in source.names for source in sources):
        raise BadTests("'test' of a test of type check must define check(candidate)")
    if any(source.idle_check for source in sources):
        raise BadTests("check(candidate) asserts nothing, so every program would pass it")


class _ParsedSource(NamedTuple):
    names: frozenset[str]  # every name that it binds
    can_fail: bool  # whether it asserts, raises or calls anything
    idle_check: bool  # whether it defines a function `check` that does none of these


@lru_cache(maxsize=1024)  # a group's completions are graded against the same tests
def _read(source: str, what: str) -> _ParsedSource:
    """Parse `source`. Raises BadTests if it is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadTests(f"{what} is not Python: {type(error).__name__}: {error}") from None
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    return _ParsedSource(frozenset(names), _can_fail(tree.body), bool(checks) and not _can_fail(checks[-1].body))


def _can_fail(statements: Sequence[ast.stmt]) -> bool:
    nodes = (node for statement in statements for node in ast.walk(statement))
    return any(isinstance(node, ast.Assert | ast.Raise | ast.Call) for node in nodes)


def tests_in(files: dict[str, str]) -> list[str]:
    """The tests that pytest must collect from `files`, as far as the source shows them: `file.py::Class::name`, sorted.

    Raises SyntaxError if a file is not Python. Left out: the parameters of parametrized tests.
    """
    tests = []
    for name, source in files.items():
        base = os.path.basename(name)
        if not _is_test_file(base):
            continue
        for node in ast.parse(source, name).body:
            if isinstance(node, ast.ClassDef) and _is_test_class(node):
                tests += [f"{base}::{node.name}::{inner.name}" for inner in node.body if _is_test_function(inner)]
            elif _is_test_function(node):
                tests.append(f"{base}::{node.name}")
    return sorted(set(tests))


def _is_test_file(name: str) -> bool:
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _is_test_class(node: ast.ClassDef) -> bool:
    bases = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
    return node.name.startswith("Test") or "TestCase" in bases


def _is_test_function(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
