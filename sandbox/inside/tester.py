"""The role of a job that runs tests which cannot be expressed as calls and expected values.

It runs the tests' own code and never a line of the program. The program is in another job; a socket to it is sent
before the request. The tester reports one ["outcome", id, passed, detail] per test, and finally ["done", what could not
be expressed, why the program is gone].
"""

import ast
import builtins
import contextlib
import importlib
import io
import os
import sys
import traceback
import types
from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, socket
from collections.abc import Iterable
from typing import Any

from .frames import read_frame, write_frame
from .remote import Gone, Link, NotReady

# Modules whose names always mean the module itself in tests, never something of the program.
_MODULES = (
    *("cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "itertools", "json", "math"),
    *("operator", "random", "re", "statistics", "string", "sys"),
)
_MAX_DETAIL, _INT_BYTES = 500, 4


def serve(channel: int) -> None:
    """Play the role: receive the candidate's socket, then ["tests", kind, material] (check, assert or pytest)."""
    candidate = _receive_descriptor(channel)
    request: Any = read_frame(channel)
    if request is None:
        return
    _, kind, material = request
    sys.path.remove(os.getcwd())  # a tester imports modules of the standard library, never files in its directory
    link = Link(candidate)
    try:
        link.load(*material["load"])
        _TEST_RUNNERS[kind](channel, link, material)
        failure = link.gone
    except Gone:
        failure = link.gone
    except NotReady as error:
        write_frame(channel, ["unready", str(error)])
        return
    except Exception as error:  # the program may have caused it, so it counts against the program
        failure = "the tests could not be run: " + traceback.format_exception_only(error)[-1].strip()[:_MAX_DETAIL]
    write_frame(channel, ["done", link.unsafe, failure])


def _receive_descriptor(channel: int) -> int:
    sockets = socket(fileno=channel)
    _, ancillary, _, _ = sockets.recvmsg(1, CMSG_SPACE(_INT_BYTES), MSG_CMSG_CLOEXEC)
    sockets.detach()
    return int.from_bytes(ancillary[0][2], sys.byteorder) if ancillary else -1


def _run_check(channel: int, link: Link, material: dict[str, Any]) -> None:
    """HumanEval's form: run `prelude` and `test`, then `check(candidate)`."""
    namespace: dict[str, Any] = {"__name__": "tests"}

    def run() -> None:
        exec(compile(material["prelude"], "prelude.py", "exec", dont_inherit=True), namespace)
        candidate = link.name(material["fn_name"])
        namespace[material["fn_name"]] = candidate
        exec(compile(material["test"], "test.py", "exec", dont_inherit=True), namespace)
        namespace["check"](candidate)

    _report(channel, 0, run)


def _run_asserts(channel: int, link: Link, material: dict[str, Any]) -> None:
    """Run a list of statements after a common setup; names that the tests do not define come from the program."""
    namespace: dict[str, Any] = {"__name__": "tests"}
    trees = [ast.parse(source) for source in (material["setup"], *material["tests"])]
    for name in _MODULES:  # tests are often written as if they stood below the program, and use its imports
        if any(isinstance(node, ast.Name) and node.id == name for tree in trees for node in ast.walk(tree)):
            namespace[name] = importlib.import_module(name)
    for name in _foreign_names(trees):
        with contextlib.suppress(NameError):
            namespace[name] = link.name(name)
    try:
        exec(compile(trees[0], "setup.py", "exec", dont_inherit=True), namespace)
    finally:
        namespace[material["fn_name"]] = link.name(material["fn_name"])
    for number, tree in zip(material["numbers"], trees[1:], strict=True):
        _report(channel, number, lambda tree=tree: exec(compile(tree, "test.py", "exec", dont_inherit=True), namespace))


def _foreign_names(trees: list[ast.Module]) -> list[str]:
    names = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return sorted({node.id for node in names if isinstance(node.ctx, ast.Load)} - _own_names(trees))


def _own_names(trees: Iterable[ast.Module]) -> set[str]:
    """The names that never come from the program: those that the tests bind, built-in names, and `_MODULES`."""
    names = {*dir(builtins), *_MODULES}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                names.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    return names


def _report(channel: int, number: int, run: Any) -> None:
    try:
        run()
        detail = ""
    except Gone:
        raise
    except BaseException as error:
        detail = (traceback.format_exception_only(error)[-1].strip() or type(error).__name__)[:_MAX_DETAIL]
    write_frame(channel, ["outcome", number, not detail, detail])


class _Stub(types.ModuleType):
    """What `import solution` returns in a test: a module whose attributes are looked up in the program's process."""

    def __init__(self, name: str, link: Link, public: list[str]) -> None:
        super().__init__(name)
        self.__link = link
        self.__all__ = public

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.__link.name(name)
        except NameError as error:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from error


def _run_pytest(channel: int, link: Link, material: dict[str, Any]) -> None:
    """Run the test files with pytest, against a stand-in for the program's module."""
    import pytest

    module = material["module"]
    # A star import takes from the program only names that the tests lack.
    own_names = _own_names(ast.parse(source) for name, source in material["files"].items() if name.endswith(".py"))
    sys.modules[module] = _Stub(module, link, [name for name in link.public_names() if name not in own_names])
    directory = os.path.join(os.getcwd(), "tests")
    os.mkdir(directory)
    for name, source in material["files"].items():
        with open(os.path.join(directory, os.path.basename(name)), "w", encoding="utf-8") as file:
            file.write(source)
    recorder = _Recorder()
    arguments = ["-q", "-p", "no:cacheprovider", "--noconftest", "-c", os.devnull, "--tb=short"]
    arguments += ["--import-mode=importlib", f"--rootdir={directory}", f"--confcutdir={directory}", directory]
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
        pytest.main(arguments, plugins=[recorder])
    if not recorder.collected:
        raise RuntimeError(printed.getvalue()[-_MAX_DETAIL:])
    for identity in recorder.collected:
        phases = recorder.phases.get(identity, {})
        passed = phases == {"setup": "passed", "call": "passed", "teardown": "passed"}
        detail = "" if passed else recorder.details.get(identity, "not run")
        write_frame(channel, ["outcome", identity, passed, detail])


class _Recorder:
    """A pytest plugin that records the collected tests and how each phase of each test ended."""

    def __init__(self) -> None:
        self.collected: list[str] = []
        self.phases: dict[str, dict[str, str]] = {}
        self.details: dict[str, str] = {}

    def pytest_collection_finish(self, session: Any) -> None:
        self.collected = [item.nodeid for item in session.items]

    def pytest_deselected(self, items: Any) -> None:
        for item in items:
            self.details[item.nodeid] = "deselected"

    def pytest_runtest_logreport(self, report: Any) -> None:
        outcome = "xfail" if hasattr(report, "wasxfail") else report.outcome
        self.phases.setdefault(report.nodeid, {})[report.when] = outcome
        if outcome != "passed":
            self.details[report.nodeid] = f"{outcome}: {report.longreprtext[-_MAX_DETAIL:]}"


_TEST_RUNNERS = {"check": _run_check, "assert": _run_asserts, "pytest": _run_pytest}
