"""One function for each kind of test: what is sent to jobs, and what their answers are worth.

Runs in the judge's process. Nothing that is sent to a job that runs the program says what is expected of it.
"""

import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import asserts
from .compare import DEFAULT_STDOUT_RULE, same_output, same_value
from .errors import BadTests, SandboxError
from .inside.bounds import Bounds
from .inside.frames import pack
from .inside.values import BadValue, NotPlain, decode, encode
from .limits import Limits
from .results import Case, Execution, Status
from .scratch import clean
from .session import Watched, converse
from .worker import TESTER, Job, Zygote

ZygoteFor = Callable[[tuple[str, ...]], Zygote]

# Beyond the deadline that a job keeps itself for its children, so that partial output of a slow program comes back.
_GRACE_SECONDS = 0.25
_STATUS_OF_KILL: dict[str, Status] = {
    "timeout": "timeout",
    "memory": "memory",
    "processes": "memory",
    "disk": "output",
    "output": "output",
    "protocol": "wrong",
}


@dataclass(frozen=True)
class Budget:
    """The limits of one call, resolved."""

    limits: Limits
    timeout_seconds: float
    memory_mb: int

    def bounds(self) -> Bounds:
        return Bounds(
            memory_bytes=self.memory_mb << 20,
            cpu_seconds=math.ceil(self.timeout_seconds) + 1,
            processes=self.limits.processes,
            files=self.limits.files,
            file_bytes=self.limits.disk_mb << 20,
            disk_bytes=self.limits.disk_mb << 20,
            inodes=self.limits.inodes,
        )

    def watch(self, zygote: Zygote, job: Job) -> Watched:
        return Watched(zygote, job, self.bounds())


@dataclass(frozen=True)
class Findings:
    cases: list[Case]
    unsafe: bool = False


def packages_for(*texts: str) -> tuple[str, ...]:
    """The installed packages that a program asks for by name."""
    return ("numpy",) if any("numpy" in text for text in texts) else ()


def grade_function(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "function", "fn_name", "cases": [{"args", "expected"}], "tol"?, "sequences"?: "strict" or "alike"}"""
    calls = [asserts.Call(tuple(case["args"]), case["expected"]) for case in test["cases"]]
    alike = test.get("sequences", "strict") == "alike"
    return Findings(
        _run_calls(zygote_for(packages_for(code)), code, test["fn_name"], calls, test.get("tol"), alike, budget)
    )


def _run_calls(
    zygote: Zygote,
    code: str,
    fn_name: str,
    calls: Sequence[asserts.Call],
    tol: float | None,
    alike: bool,
    budget: Budget,
) -> list[Case]:
    """All calls in one job, each with fresh copies of its arguments."""
    try:
        expected = [decode(encode(call.expected)) for call in calls]
        requests = [pack(["call", i, fn_name, [encode(arg) for arg in call.args]]) for i, call in enumerate(calls)]
    except NotPlain as error:
        raise BadTests(f"a test case of {fn_name} cannot be sent by value: {error}") from None
    cases: list[Case] = []
    extra = False
    load_failure = None
    with _Started(zygote, "candidate", budget) as job:
        outgoing = b"".join([pack(["load", code, "solution"]), *requests, _END])
        for frame in _after_ready(
            job,
            converse(
                budget.watch(zygote, job),
                outgoing,
                time.monotonic() + budget.timeout_seconds,
                budget.limits.output_bytes,
            ),
        ):
            if load_failure is None and frame == ["loaded"] and not cases:
                load_failure = ""
            elif load_failure is None and _is_failure(frame):
                load_failure = f"{frame[1]}: {frame[2]}"
            elif (
                load_failure == ""
                and len(cases) < len(calls)
                and (case := _read_answer(frame, calls[len(cases)], len(cases), expected, tol, alike))
            ):
                cases.append(case)
            else:
                extra = True
    if extra or (load_failure == "" and len(cases) == len(calls) and job.status != 0):
        end = _end_of(job) if not extra else Case(False, "wrong", "the program wrote into the judge's channel")
        return [end] * len(calls)
    if load_failure:
        return [Case(False, "memory" if load_failure.startswith("MemoryError") else "wrong", load_failure)] * len(calls)
    missing = len(calls) - len(cases)
    return cases + ([_end_of(job)] * missing if missing else [])


_END = pack(["end"])
_MAX_REPORT_BYTES = 16 << 20


def _read_answer(
    frame: Any, call: asserts.Call, number: int, expected: list[Any], tol: float | None, alike: bool
) -> Case | None:
    """The case that `frame` settles; None where it is not the answer to call `number`."""
    if type(frame) is not list or len(frame) < 3 or type(frame[1]) is not int or frame[1] != number:
        return None
    kind = frame[0]
    if kind == "opaque" and type(frame[2]) is str:
        return Case(False, "wrong", frame[2])
    if kind == "raised" and len(frame) == 5 and type(frame[2]) is type(frame[3]) is str:
        return Case(False, "memory" if frame[2] == "MemoryError" else "wrong", f"raised {frame[2]}: {frame[3]}")
    if kind != "value" or len(frame) != 3:
        return None
    try:
        actual = decode(frame[2])
        if call.number_for_bool and type(expected[number]) is bool and type(actual) is int and actual in (0, 1):
            actual = bool(actual)
        if same_value(expected[number], actual, tol, alike):
            return Case(True, "correct")
    except (BadValue, RecursionError):
        return Case(False, "wrong", "the answer is no plain value")
    return Case(False, "wrong", f"expected {_brief(expected[number])}, got {_brief(actual)}")


def _is_failure(frame: Any) -> bool:
    return type(frame) is list and len(frame) == 3 and frame[0] == "failed" and all(type(item) is str for item in frame)


def grade_stdio(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "stdio", "cases": [{"stdin", "stdout"}], "compare"?: exact, lines or tokens, "tol"?}"""
    stdins = [as_text(case["stdin"]) for case in test["cases"]]
    rule, tol = test.get("compare", DEFAULT_STDOUT_RULE), test.get("tol")
    cases = []
    zygote = zygote_for(packages_for(code))
    for case, ran in zip(test["cases"], run_programs(zygote, code, stdins, budget), strict=True):
        if ran.status != "ok":
            cases.append(Case(False, ran.status, ran.detail))
        elif same_output(as_text(case["stdout"]), ran.stdout, rule, tol):
            cases.append(Case(True, "correct"))
        else:
            cases.append(Case(False, "wrong", f"expected {_brief(case['stdout'])}, got {_brief(ran.stdout)}"))
    return Findings(cases)


def run_programs(zygote: Zygote, code: str, stdins: Sequence[str], budget: Budget) -> list[Execution]:
    """One run for each standard input, in one job; after a timeout the others are not run."""
    started = time.monotonic()
    outgoing = [pack(["run", code, budget.timeout_seconds, budget.limits.output_bytes])]
    outgoing += [pack(["stdin", i, text]) for i, text in enumerate(stdins)] + [_END]
    runs: list[Execution] = []
    failure = ""
    last = started

    def execution(status: Any, detail: str, out: str = "", err: str = "", code: int | None = None) -> Execution:
        return Execution(status, out, err, code, zygote.tier, time.monotonic() - last, detail)  # type: ignore[arg-type]

    with _Started(zygote, "program", budget) as job:
        max_bytes = (2 * budget.limits.output_bytes + 4096) * 6 * max(1, len(stdins))  # JSON may need six for one
        deadline = started + budget.timeout_seconds + _GRACE_SECONDS
        for frame in _after_ready(job, converse(budget.watch(zygote, job), b"".join(outgoing), deadline, max_bytes)):
            # The program itself cannot write here: frames come from the job's first process, which never runs it.
            if _is_failure(frame):
                failure = f"{frame[1]}: {frame[2]}"
            elif type(frame) is list and frame[0] == "ran" and len(runs) < len(stdins):
                _, _, end, exit_code, out, err = frame
                runs.append(execution(*_judge_run(end, exit_code, err), out, err, exit_code if end == "exit" else None))
                last = time.monotonic()
    if failure:
        return [execution("crash", failure, "", failure, 1)] * len(stdins)
    if len(runs) < len(stdins):
        ended = runs[-1] if runs and runs[-1].status == "timeout" else None
        case = _end_of(job)
        rest = execution("timeout", "not run after a timeout") if ended else execution(case.status, case.detail)
        runs += [rest] * (len(stdins) - len(runs))
    return runs


def _judge_run(end: str, exit_code: int, stderr: str) -> tuple[str, str]:
    if end == "timeout":
        return "timeout", "still running at the deadline"
    if end == "output":
        return "output", "wrote more than it may"
    if exit_code == 0:
        return "ok", ""
    last = stderr.rstrip().rsplit("\n", 1)[-1][-300:]
    if last.startswith("MemoryError"):
        return "memory", last
    return "crash", f"ended with {_exit_text(exit_code)}" + (f": {last}" if last else "")


def _exit_text(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def grade_asserts(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "assert", "fn_name", "tests": [source, ...], "setup"?: source}

    Statements that are a call and a literal are run as calls; the others run in a tester.
    """
    sources: list[str] = list(test["tests"])
    calls = [asserts.as_call(source, test["fn_name"]) for source in sources]
    plain = [i for i, call in enumerate(calls) if call is not None]
    rest = [i for i, call in enumerate(calls) if call is None]
    cases: dict[int, Case] = {}
    unsafe = False
    deadline = time.monotonic() + budget.timeout_seconds
    if plain:
        known = [call for call in calls if call is not None]
        zygote = zygote_for(packages_for(code))
        cases.update(zip(plain, _run_calls(zygote, code, test["fn_name"], known, None, False, budget), strict=True))
    if rest:
        material = {
            "setup": test.get("setup", ""),
            "fn_name": test["fn_name"],
            "tests": [sources[i] for i in rest],
            "numbers": rest,
        }
        left = Budget(budget.limits, max(0.001, deadline - time.monotonic()), budget.memory_mb)
        told = _run_tester(zygote_for, (), code, "solution", "assert", material, left)
        unsafe = told.unsafe
        cases.update({i: told.outcomes.get(i, told.missing) for i in rest})
    return Findings([cases[i] for i in range(len(sources))], unsafe)


def grade_check(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "check", "fn_name", "test": source that defines check(candidate), "prelude"?: helpers of the task}"""
    material = {"prelude": test.get("prelude", ""), "test": test["test"], "fn_name": test["fn_name"]}
    told = _run_tester(zygote_for, (), code, "solution", "check", material, budget)
    return Findings([told.outcomes.get(0, told.missing)], told.unsafe)


def grade_pytest(zygote_for: ZygoteFor, code: str, test: Mapping[str, Any], budget: Budget) -> Findings:
    """{"type": "pytest", "solution": file, "files": {name: source}}: all collected tests, none skipped."""
    try:
        required = asserts.test_names(test["files"])
    except (SyntaxError, ValueError) as error:
        raise BadTests(f"a test file is not Python: {error}") from None
    if not required:
        raise BadTests("no test function was found in the test files")
    module = os.path.basename(test["solution"]).removesuffix(".py")
    material = {"module": module, "files": test["files"]}
    told = _run_tester(zygote_for, ("pytest",), code, module, "pytest", material, budget)
    cases = list(told.outcomes.values())
    for name in required:
        if not any(_belongs(identity, name) for identity in told.outcomes):
            cases.append(
                told.missing if told.missing.status != "correct" else Case(False, "wrong", f"{name} was not run")
            )
    return Findings(cases, told.unsafe)


def _belongs(identity: object, name: str) -> bool:
    return str(identity).split("[")[0].removeprefix("tests/") == name


@dataclass(frozen=True)
class _Told:
    """What a tester reported, and what to say of a test that it did not report."""

    outcomes: dict[Any, Case]
    missing: Case
    unsafe: bool


def _run_tester(
    zygote_for: ZygoteFor,
    packages: tuple[str, ...],
    code: str,
    module: str,
    kind: str,
    material: Mapping[str, Any],
    budget: Budget,
) -> _Told:
    """The tests in one job and the program in another one, joined by a socket."""
    program_zygote = zygote_for(packages_for(code))
    tests_zygote = zygote_for((TESTER, *sorted({*packages, *packages_for(str(material))})))
    deadline = time.monotonic() + budget.timeout_seconds
    outcomes: dict[Any, Case] = {}
    done: tuple[str, str] | None = None
    program_end, tester_end = socket.socketpair()
    request = {"load": [code, module], **material}
    with program_end, tester_end, _Started(program_zygote, "candidate", budget, program_end) as program:
        program_end.close()
        with _Started(tests_zygote, "tester", budget, None, tester_end.fileno()) as tester:
            tester_end.close()
            others = (budget.watch(program_zygote, program),)
            talk = converse(
                budget.watch(tests_zygote, tester), pack(["tests", kind, request]), deadline, _MAX_REPORT_BYTES, others
            )
            for frame in _after_ready(tester, talk):
                if type(frame) is list and frame[0] == "outcome":
                    _, identity, passed, detail = frame
                    outcomes[identity] = Case(passed is True, "correct" if passed is True else "wrong", detail)
                elif type(frame) is list and frame[0] == "done":
                    done = (frame[1], frame[2])
    if program.killed in ("timeout", "memory", "processes") or tester.killed in ("timeout", "memory", "processes"):
        missing = _end_of(program if program.killed in ("memory", "processes") else tester)
    elif done is None:
        raise SandboxError(f"the tests' process ended early, with wait status {tester.status}")
    else:
        missing = Case(False, "crash" if "ended" in done[1] else "wrong", done[1] or "not run")
    return _Told(outcomes, missing, bool(done and done[0]))


class _Started:
    """A job for the length of a block. Left early, the job is killed; in any case it has ended afterwards."""

    def __init__(
        self, zygote: Zygote, role: str, budget: Budget, channel: socket.socket | None = None, *others: int
    ) -> None:
        self._zygote = zygote
        self._bounds = budget.bounds()
        self._job = zygote.start(role, self._bounds, channel, *others)

    def __enter__(self) -> Job:
        return self._job

    def __exit__(self, *_: object) -> None:
        try:
            if self._job.status is None:
                self._job.kill("over")
                if self._zygote.healthy:
                    self._zygote.wait(self._job)
            if self._zygote.scratch and self._zygote.healthy:
                self._zygote.healthy = clean(self._zygote, self._bounds)
        finally:
            self._job.close()


def _after_ready(job: Job, frames: Iterator[object]) -> Iterator[Any]:
    """The frames after the first one, which the job writes before it has seen anything untrusted."""
    first = next(frames, None)
    if first == ["ready"]:
        yield from frames
        return
    for _ in frames:
        pass
    if job.killed != "timeout":
        raise SandboxError(
            f"a job could not be confined: {first if first is not None else f'wait status {job.status}'}"
        )


def _end_of(job: Job) -> Case:
    """Why a job gave no (further) answer."""
    if job.killed in _STATUS_OF_KILL:
        detail = {
            "timeout": "still running at the deadline",
            "memory": "its processes used more memory than allowed",
            "processes": "it started more processes than allowed",
            "disk": "it wrote more files than allowed",
            "output": "its answers are longer than allowed",
            "protocol": "the program wrote into the judge's channel",
        }[job.killed]
        return Case(False, _STATUS_OF_KILL[job.killed], detail)
    exit_code = os.waitstatus_to_exitcode(job.status) if job.status is not None else 0
    return Case(False, "crash", f"the program's process ended before its answer, with {_exit_text(exit_code)}")


def as_text(data: str | bytes) -> str:
    """Bytes as the text that stands for them, one to one."""
    return data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
