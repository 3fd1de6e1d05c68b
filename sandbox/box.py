"""The public interface: `Sandbox` and `AsyncSandbox`."""

import asyncio
import difflib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from . import asserts, grading, testing
from .errors import BadTests, SandboxError
from .inside.frames import FrameTooLarge
from .jobs import Budget, Findings, ZygoteFor, as_text, packages_for
from .limits import Limits
from .probe import TIERS, choose_tier
from .results import Case, Execution, Grade, Status, Tier
from .zygote_pool import ZygotePool

_log = logging.getLogger(__name__)

_GRADERS: dict[str, Callable[[ZygoteFor, str, Mapping[str, Any], Budget], Findings]] = {
    "function": grading.grade_function,
    "stdio": grading.grade_stdio,
    "assert": testing.grade_asserts,
    "check": testing.grade_check,
    "pytest": testing.grade_pytest,
}


class Sandbox:
    """Runs untrusted programs and grades them against tests that they never see.

        with Sandbox(workers=2) as sandbox:
            sandbox.run("print(input())", "hello").stdout
            sandbox.grade("def f(x): return x + 1", {"type": "function", "fn_name": "f",
                                                     "cases": [{"args": [1], "expected": 2}]}).passed

    Thread-safe: `workers` calls run at a time, the others wait. `tier` asks for one tier; by default it is the best one
    that works on this machine, which is probed once per process. Tier C contains nothing and needs `allow_unsafe`.
    Raises SandboxUnavailable if no allowed tier works.
    """

    def __init__(
        self,
        workers: int = 1,
        limits: Limits | None = None,
        *,
        tier: Tier | None = None,
        allow_unsafe: bool = False,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1: got {workers}")
        self.workers = workers
        self.limits = limits or Limits()
        self.tier: Tier = choose_tier(tier, allow_unsafe)
        self._pool: ZygotePool | None = None
        self._starting = threading.Lock()
        self._owner = os.getpid()
        self.unsafe_grades = 0  # grades withheld because a test would have had to trust the program
        _log.info("sandbox: tier %s, %s; %d workers", self.tier, TIERS[self.tier], workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the running calls and end all helper processes. A later call starts new ones."""
        with self._starting:
            pool, self._pool = self._pool, None
        if pool is not None and self._owner == os.getpid():
            pool.close()

    def run(
        self,
        program: str,
        stdin: str | bytes = "",
        *,
        timeout_seconds: float | None = None,
        memory_mb: int | None = None,
    ) -> Execution:
        """Run a Python program with `stdin` as its standard input."""
        budget = self._budget(timeout_seconds, memory_mb)
        _require_text(program)
        started = time.monotonic()
        try:
            with self._workers().worker() as worker:
                zygote = worker.zygote(packages_for(program))
                return grading.run_programs(zygote, program, [as_text(stdin)], budget)[0]
        except SandboxError as error:
            return Execution("error", "", "", None, self.tier, time.monotonic() - started, str(error))

    def grade(
        self,
        code: str,
        tests: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        timeout_seconds: float | None = None,
        memory_mb: int | None = None,
    ) -> Grade:
        """Grade `code` against one test, or several in order. docs/sandbox.md describes the kinds of tests.

        `timeout_seconds` limits the wall-clock time of the whole call, without the wait for a free worker. Whatever the
        program does, nothing is raised; malformed tests raise BadTests, and a failed sandbox gives status "error".
        """
        budget = self._budget(timeout_seconds, memory_mb)
        _require_text(code)
        if not isinstance(tests, Mapping | Sequence) or isinstance(tests, str):
            raise BadTests(f"tests must be a test or a list of tests: got {type(tests).__name__}")
        all_tests = [tests] if isinstance(tests, Mapping) else list(tests)
        for test in all_tests:
            check_test(test)
        cases: list[Case] = []
        unsafe = False
        with self._workers().worker() as worker:
            started = time.monotonic()
            try:
                for test in all_tests:
                    seconds_left = budget.timeout_seconds - (time.monotonic() - started)
                    if seconds_left <= 0 or any(case.status == "timeout" for case in cases):
                        cases += [Case(False, "timeout", "not run after a timeout")] * _count(test)
                        continue
                    findings = _GRADERS[test["type"]](
                        worker.zygote, code, test, Budget(budget.limits, seconds_left, budget.memory_mb)
                    )
                    cases += findings.cases
                    unsafe = unsafe or findings.unsafe
            except FrameTooLarge as error:
                raise BadTests(f"a test cannot be sent to a job: {error}") from None
            except SandboxError as error:
                total = sum(_count(test) for test in all_tests)
                seconds = time.monotonic() - started
                return Grade(0, total, "error", (), self.tier, False, seconds, str(error))
        if unsafe:
            self.unsafe_grades += 1
            _log.warning(
                "sandbox: a test was not run because it would have to trust the program (%d so far)", self.unsafe_grades
            )
        return _grade(cases, self.tier, unsafe, time.monotonic() - started)

    def _workers(self) -> ZygotePool:
        with self._starting:
            if self._owner != os.getpid():  # this is a fork of the process that owns the helper processes
                self._owner, self._pool = os.getpid(), None
            if self._pool is None:
                self._pool = ZygotePool(self.workers, self.tier)
            return self._pool

    def _budget(self, timeout_seconds: float | None, memory_mb: int | None) -> Budget:
        seconds = self.limits.timeout_seconds if timeout_seconds is None else timeout_seconds
        memory = self.limits.memory_mb if memory_mb is None else memory_mb
        if not seconds > 0:
            raise ValueError(f"timeout_seconds must be more than 0: got {seconds!r}")
        if memory < 1:
            raise ValueError(f"memory_mb must be at least 1: got {memory!r}")
        return Budget(self.limits, float(seconds), int(memory))


def _grade(cases: list[Case], tier: Tier, unsafe: bool, seconds: float) -> Grade:
    passed = sum(case.passed for case in cases)
    failed = [case for case in cases if not case.passed]
    status: Status = "error" if unsafe else failed[0].status if failed else "correct"
    detail = (
        "a test was not run because it would have to trust the program"
        if unsafe
        else failed[0].detail
        if failed
        else ""
    )
    return Grade(passed, len(cases), status, tuple(cases), tier, unsafe, seconds, detail)


_FIELDS = {
    "function": ("fn_name", "cases"),
    "stdio": ("cases",),
    "assert": ("fn_name", "tests"),
    "check": ("fn_name", "test"),
    "pytest": ("solution", "files"),
}
_OPTIONAL = {"function": ("tol", "sequences"), "stdio": ("compare", "tol"), "assert": ("setup",), "check": ("prelude",)}
_CASE_FIELDS = {"function": ("args", "expected"), "stdio": ("stdin", "stdout")}
_TEXTS = ("fn_name", "setup", "prelude", "test", "solution")


def check_test(test: Mapping[str, Any]) -> None:
    """Raise BadTests with a reason in one sentence, unless `test` is a complete test of a known kind.

    Dataset rows may carry extra fields, but one that looks like a misspelt field is refused: ignoring `tolerance` where
    `tol` was meant would fail correct programs.
    """
    if not isinstance(test, Mapping) or test.get("type") not in _FIELDS:
        kind = test.get("type") if isinstance(test, Mapping) else test
        raise BadTests(f"a test's type must be one of {', '.join(_FIELDS)}: got {kind!r}")
    what = f"a test of type {test['type']}"
    _require_fields(test, _FIELDS[test["type"]], ("type", *_OPTIONAL.get(test["type"], ())), what)
    for name in _TEXTS:
        if not isinstance(test.get(name, ""), str):
            raise BadTests(f"{name!r} of {what} must be text: got {type(test[name]).__name__}")
    if test.get("compare", "lines") not in ("exact", "lines", "tokens"):
        raise BadTests(f"compare must be exact, lines or tokens: got {test['compare']!r}")
    if test.get("sequences", "strict") not in ("strict", "alike"):
        raise BadTests(f"sequences must be strict or alike: got {test['sequences']!r}")
    for name in ("cases", "tests"):
        if name in test and not _is_list(test[name]):
            raise BadTests(f"{name!r} of {what} must be a list: got {type(test[name]).__name__}")
    files = test.get("files", {})
    if not isinstance(files, Mapping) or not all(isinstance(source, str) for source in files.values()):
        raise BadTests(f"'files' of {what} must map file names to their text")
    if _count(test) == 0:
        raise BadTests(f"{what} has no case; expected at least one")
    for number, case in enumerate(test.get("cases", ())):
        _check_case(case, f"case {number} of {what}", _CASE_FIELDS[test["type"]])
    if test["type"] in ("assert", "check"):
        asserts.check_sources(test)


def _check_case(case: Any, what: str, fields: tuple[str, ...]) -> None:
    if not isinstance(case, Mapping):
        raise BadTests(f"{what} needs {fields[0]!r} and {fields[1]!r}: got {type(case).__name__}")
    _require_fields(case, fields, (), what)
    if "args" in case and not _is_list(case["args"]):
        raise BadTests(f"'args' of {what} must be a list with one item per argument: got {type(case['args']).__name__}")
    for name in ("stdin", "stdout"):
        if not isinstance(case.get(name, ""), str | bytes):
            raise BadTests(f"{name!r} of {what} must be text: got {type(case[name]).__name__}")


def _require_fields(fields: Mapping[str, Any], needed: tuple[str, ...], optional: tuple[str, ...], what: str) -> None:
    for name in needed:
        if name not in fields:
            raise BadTests(f"{what} needs {name!r}: got only {', '.join(map(repr, fields))}")
    known = (*needed, *optional)
    for name in fields:
        if name not in known and (meant := _misspelt(str(name), known)):
            raise BadTests(f"{what} has no field {name!r}: did you mean {meant!r}?")


@functools.lru_cache(maxsize=256)  # the rows of a dataset carry the same extra fields
def _misspelt(name: str, known: tuple[str, ...]) -> str:
    """The field that `name` probably stands for; empty if none is near."""
    longer = [field for field in known if name.startswith(field) or (len(name) > 2 and field.startswith(name))]
    return next(iter(longer or difflib.get_close_matches(name, known, n=1, cutoff=0.8)), "")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _count(test: Mapping[str, Any]) -> int:
    field = {"assert": "tests", "pytest": "files", "check": ""}.get(test["type"], "cases")
    return len(test[field]) if field else 1


def _require_text(code: object) -> None:
    if not isinstance(code, str):
        raise TypeError(f"a program must be text: got {type(code).__name__}")


class AsyncSandbox:
    """`Sandbox` for asyncio: the same methods as coroutines. They never block the event loop."""

    def __init__(
        self, workers: int = 1, limits: Limits | None = None, *, tier: Tier | None = None, allow_unsafe: bool = False
    ) -> None:
        self._sandbox = Sandbox(workers, limits, tier=tier, allow_unsafe=allow_unsafe)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")
        self.tier: Tier = self._sandbox.tier

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._sandbox.close)
        self._threads.shutdown(wait=False)

    async def run(self, program: str, stdin: str | bytes = "", **options: Any) -> Execution:
        call = functools.partial(self._sandbox.run, program, stdin, **options)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def grade(
        self,
        code: str,
        tests: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        timeout_seconds: float | None = None,
        memory_mb: int | None = None,
    ) -> Grade:
        call = functools.partial(self._sandbox.grade, code, tests, timeout_seconds, memory_mb)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
