"""Grades with tests whose own code must run: assert statements, HumanEval's check(candidate), and pytest files.

That code runs in a job of its own, the tester. The program runs in another job, and the two exchange values.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import asserts, layout
from .compare import Rule
from .errors import BadTests, SandboxError
from .grading import run_calls
from .inside.frames import pack
from .jobs import Budget, Findings, Started, ZygoteFor, after_ready, end_of, packages_for
from .results import Case
from .session import converse
from .zygote_client import RUNNER, TESTER

_MAX_REPORT_BYTES = 16 << 20


def grade_asserts(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "assert", "fn_name", "tests": [source, ...], "setup"?: source}

    Statements that compare a call with a literal are run as calls; the others run in a tester.
    """
    sources: list[str] = list(test["tests"])
    calls = [asserts.as_call(source, test["fn_name"]) for source in sources]
    plain = [i for i, call in enumerate(calls) if call is not None]
    rest = [i for i, call in enumerate(calls) if call is None]
    cases: dict[int, Case] = {}
    unsafe = False
    deadline = time.monotonic() + budget.timeout_seconds
    if plain:
        plain_calls = [call for call in calls if call is not None]
        zygote = zygote_for(packages_for(code))
        cases.update(zip(plain, run_calls(zygote, code, test["fn_name"], plain_calls, Rule(), budget), strict=True))
    if rest:
        material = {
            "setup": test.get("setup", ""),
            "fn_name": test["fn_name"],
            "tests": [sources[i].strip() for i in rest],
            "numbers": rest,
        }
        remaining = Budget(budget.limits, max(0.001, deadline - time.monotonic()), budget.memory_mb)
        report = _run_tester(zygote_for, code, "assert", material, remaining)
        unsafe = report.unsafe
        cases.update({i: report.outcomes.get(i, report.missing) for i in rest})
    return Findings([cases[i] for i in range(len(sources))], unsafe)


def grade_check(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "check", "fn_name", "test": source that defines check(candidate), "prelude"?: helpers of the task}"""
    material = {"prelude": test.get("prelude", ""), "test": test["test"], "fn_name": test["fn_name"]}
    report = _run_tester(zygote_for, code, "check", material, budget)
    return Findings([report.outcomes.get(0, report.missing)], report.unsafe)


def grade_pytest(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "pytest", "solution": file, "files": {name: source}}: all collected tests, none skipped."""
    try:
        if not layout.is_installed("pytest"):
            raise BadTests("tests of type pytest need pytest, which is not installed here")
        required = asserts.tests_in(test["files"])
    except (SyntaxError, ValueError) as error:
        raise BadTests(f"a test file is not Python: {error}") from None
    if not required:
        raise BadTests("no test function was found in the test files")
    module = os.path.basename(test["solution"]).removesuffix(".py")
    material = {"module": module, "files": test["files"]}
    report = _run_tester(zygote_for, code, "pytest", material, budget)
    cases = list(report.outcomes.values())
    for name in required:
        if not any(_belongs(identity, name) for identity in report.outcomes):
            cases.append(
                report.missing if report.missing.status != "correct" else Case(False, "wrong", f"{name} was not run")
            )
    return Findings(cases, report.unsafe)


def _belongs(identity: object, name: str) -> bool:
    return str(identity).split("[")[0].removeprefix("tests/") == name


@dataclass(frozen=True)
class _TesterReport:
    """What a tester reported, and the result for a test that it did not report."""

    outcomes: dict[Any, Case]
    missing: Case
    unsafe: bool


def _run_tester(
    zygote_for: ZygoteFor, code: str, kind: str, material: Mapping[str, Any], budget: Budget
) -> _TesterReport:
    """Run the tests in one job and the program in another, connected by a socket."""
    packages = ("pytest",) if kind == "pytest" else ()
    module = material.get("module", "solution")
    program_zygote = zygote_for(packages_for(code))
    tests_zygote = zygote_for((TESTER, *sorted({*packages, *packages_for(str(material))})))
    deadline = time.monotonic() + budget.timeout_seconds
    outcomes: dict[Any, Case] = {}
    done: tuple[str, str] | None = None
    request = {"load": [code, module], **material}
    with (
        Started(program_zygote, RUNNER, budget) as program,
        Started(tests_zygote, TESTER, budget) as tester,
    ):
        tester.send_descriptor(program.channel)
        program.close_channel()  # from now on only the tester talks to the program
        main, others = budget.watch(tests_zygote, tester), (budget.watch(program_zygote, program),)
        talk = converse(main, pack(["tests", kind, request]), deadline, _MAX_REPORT_BYTES, others)
        for frame in after_ready(tester, talk):
            if type(frame) is list and frame[0] == "outcome":
                _, identity, passed, detail = frame
                outcomes[identity] = Case(passed is True, "correct" if passed is True else "wrong", detail)
            elif type(frame) is list and frame[0] == "done":
                done = (frame[1], frame[2])
            elif type(frame) is list and frame[0] == "unready":
                raise SandboxError(frame[1])
    if program.killed in ("timeout", "memory", "processes") or tester.killed in ("timeout", "memory", "processes"):
        missing = end_of(program if program.killed in ("memory", "processes") else tester)
    elif done is None:
        raise SandboxError(f"the tests' process ended early, with wait status {tester.status}")
    else:
        missing = Case(False, "crash" if "ended" in done[1] else "wrong", done[1] or "not run")
    return _TesterReport(outcomes, missing, bool(done and done[0]))
