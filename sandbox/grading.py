"""Grades function calls and whole programs: sends requests to a job and checks its answers.

Runs in the parent process. A job that runs the program is never sent an expected value.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .asserts import Call
from .compare import Rule, same_output, same_value
from .errors import BadTests
from .inside.frames import pack
from .inside.values import BadValue, NotPlain, decode, encode
from .jobs import Budget, Findings, Started, ZygoteFor, after_ready, as_text, brief, end_of, exit_text, packages_for
from .results import Case, Execution
from .session import converse
from .zygote_client import RUNNER, ZygoteClient

# A job enforces the deadline on its children itself; with this much more time it can return their partial output.
_GRACE_SECONDS = 1.0
_END = pack(["end"])


def grade_function(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "function", "fn_name", "cases": [{"args", "expected"}], "tol"?, "sequences"?: "strict" or "alike"}"""
    calls = [Call(tuple(case["args"]), case["expected"]) for case in test["cases"]]
    rule = Rule(test.get("tol"), test.get("sequences", "strict") == "alike")
    return Findings(run_calls(zygote_for(packages_for(code)), code, test["fn_name"], calls, rule, budget))


def run_calls(
    zygote: ZygoteClient, code: str, fn_name: str, calls: Sequence[Call], rule: Rule, budget: Budget
) -> list[Case]:
    """Make all calls in one job, each with fresh copies of its arguments."""
    try:
        expected = [decode(encode(call.expected)) for call in calls]
        requests = [pack(["call", i, fn_name, [encode(arg) for arg in call.args]]) for i, call in enumerate(calls)]
    except NotPlain as error:
        raise BadTests(f"a test case of {fn_name} cannot be sent by value: {error}") from None
    outgoing = b"".join([pack(["load", code, "solution"]), *requests, _END])
    deadline = time.monotonic() + budget.timeout_seconds
    cases: list[Case] = []
    loaded = False
    failure = forged = ""
    with Started(zygote, RUNNER, budget) as job:
        talk = converse(budget.watch(zygote, job), outgoing, deadline, budget.limits.output_bytes)
        for frame in after_ready(job, talk):
            number = len(cases)
            if not loaded and not failure and frame == ["loaded"]:
                loaded = True
            elif not loaded and not failure and _is_failure(frame):
                failure = f"{frame[1]}: {frame[2]}"
            elif loaded and number < len(calls) and _answers(frame, number):
                cases.append(_grade_answer(frame, calls[number], expected[number], rule))
            else:
                forged = "the program wrote to the channel of the sandbox"
                job.kill("protocol")  # or it could go on until the deadline
    if forged:
        return [Case(False, "wrong", forged)] * len(calls)
    if failure:
        return [Case(False, "memory" if failure.startswith("MemoryError") else "wrong", failure)] * len(calls)
    if len(cases) == len(calls):
        return cases if job.status == 0 and not job.killed else [end_of(job)] * len(calls)
    return cases + [end_of(job)] * (len(calls) - len(cases))


def _answers(frame: Any, number: int) -> bool:
    """Whether `frame` has the shape of an answer to call `number`."""
    if type(frame) is not list or len(frame) < 3 or type(frame[1]) is not int or frame[1] != number:
        return False
    if frame[0] == "raised":
        return len(frame) == 5 and type(frame[2]) is str and type(frame[3]) is str
    return len(frame) == 3 and (frame[0] == "value" or (frame[0] == "opaque" and type(frame[2]) is str))


def _grade_answer(frame: list[Any], call: Call, expected: Any, rule: Rule) -> Case:
    if frame[0] == "opaque":
        return Case(False, "wrong", frame[2])
    if frame[0] == "raised":
        return Case(False, "memory" if frame[2] == "MemoryError" else "wrong", f"raised {frame[2]}: {frame[3]}")
    try:
        actual = decode(frame[2])
        if call.number_for_bool and type(expected) is bool and type(actual) is int and actual in (0, 1):
            actual = bool(actual)
        if same_value(expected, actual, rule):
            return Case(True, "correct")
    except (BadValue, RecursionError):
        return Case(False, "wrong", "the answer is not a plain value")
    return Case(False, "wrong", f"expected {brief(expected)}, got {brief(actual)}")


def _is_failure(frame: Any) -> bool:
    return type(frame) is list and len(frame) == 3 and frame[0] == "failed" and all(type(item) is str for item in frame)


def grade_stdio(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "stdio", "cases": [{"stdin", "stdout"}], "compare"?: exact, lines or tokens, "tol"?}"""
    stdins = [as_text(case["stdin"]) for case in test["cases"]]
    rule, tol = test.get("compare", "lines"), test.get("tol")
    cases = []
    zygote = zygote_for(packages_for(code))
    for case, execution in zip(test["cases"], run_programs(zygote, code, stdins, budget), strict=True):
        if execution.status != "ok":
            cases.append(Case(False, execution.status, execution.detail))
        elif same_output(as_text(case["stdout"]), execution.stdout, rule, tol):
            cases.append(Case(True, "correct"))
        else:
            cases.append(Case(False, "wrong", f"expected {brief(case['stdout'])}, got {brief(execution.stdout)}"))
    return Findings(cases)


def run_programs(zygote: ZygoteClient, code: str, stdins: Sequence[str], budget: Budget) -> list[Execution]:
    """Run the program once per standard input, in one job; after a timeout the remaining runs are skipped."""
    started = time.monotonic()
    outgoing = [pack(["run", code, budget.timeout_seconds, budget.limits.output_bytes])]
    outgoing += [pack(["stdin", i, text]) for i, text in enumerate(stdins)] + [_END]
    runs: list[Execution] = []
    failure = ""
    last = started

    def execution(status: Any, detail: str, out: str = "", err: str = "", code: int | None = None) -> Execution:
        return Execution(status, out, err, code, zygote.tier, time.monotonic() - last, detail)  # type: ignore[arg-type]

    with Started(zygote, RUNNER, budget) as job:
        max_bytes = (2 * budget.limits.output_bytes + 4096) * 6 * max(1, len(stdins))  # JSON may need six bytes for one
        deadline = started + budget.timeout_seconds + _GRACE_SECONDS
        for frame in after_ready(job, converse(budget.watch(zygote, job), b"".join(outgoing), deadline, max_bytes)):
            # The program cannot write here: frames come from the job's first process, which never runs it.
            if _is_failure(frame):
                failure = f"{frame[1]}: {frame[2]}"
            elif type(frame) is list and frame[0] == "ran" and len(runs) < len(stdins):
                _, _, end, exit_code, out, err = frame
                runs.append(
                    execution(*_classify_run(end, exit_code, err), out, err, exit_code if end == "exit" else None)
                )
                last = time.monotonic()
    if failure:
        return [execution("crash", failure, "", failure, 1)] * len(stdins)
    if len(runs) < len(stdins):
        ended = runs[-1] if runs and runs[-1].status == "timeout" else None
        case = end_of(job)
        rest = execution("timeout", "not run after a timeout") if ended else execution(case.status, case.detail)
        runs += [rest] * (len(stdins) - len(runs))
    return runs


def _classify_run(end: str, exit_code: int, stderr: str) -> tuple[str, str]:
    if end == "timeout":
        return "timeout", "still running at the deadline"
    if end == "output":
        return "output", "wrote more output than allowed"
    if exit_code == 0:
        return "ok", ""
    last = stderr.rstrip().rsplit("\n", 1)[-1][-300:]
    if last.startswith("MemoryError"):
        return "memory", last
    return "crash", f"ended with {exit_text(exit_code)}" + (f": {last}" if last else "")
