"""Programs graded by running them against tests, in the sandbox.

The answer is the tests as JSON: one test of `Sandbox.grade`, a list of them, or {"tests": [...], "preamble": source}
whose preamble is run before the completion's code (imports and helpers that the question showed).
"""

import json
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox import BadTests, Grade, Limits, Sandbox, SandboxUnavailable
from verifiers.verdict import Pair, Status, Verdict

_FENCE = re.compile(
    r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([^\s`]*+)[^\n]*+\n(.*?)(?:^[ \t]*+\1[ \t]*+$|\Z)", re.MULTILINE | re.DOTALL
)
_PYTHON = ("python", "py", "python3", "python2", "pycon3", "{.python}", "{python}")
_UNNAMED = ("", "code", "text")


def extract_code(completion: str) -> str | None:
    """The last fenced block that is Python, else the last one that names no language; None where there is neither.

    A block in another language is no answer, however many there are. A fence that is never closed reaches to the end.
    """
    blocks = [(match.group(2).lower(), match.group(3)) for match in _FENCE.finditer(completion)]
    for names in (_PYTHON, _UNNAMED):
        code = [text for language, text in blocks if language in names and text.strip()]
        if code:
            return code[-1]
    return None


@dataclass(frozen=True)
class CodeVerifier:
    """A completion's program against its tests.

    `partial_credit` scores the fraction of passed tests; otherwise only all of them count. `require_fence` refuses a
    completion without a fenced block; without it such a completion is taken for code as a whole. Bounds are for one
    completion: all of its tests together. A sandbox that failed, and tests that are broken or would need to trust the
    program, give `score=None`; a program that fails, loops, crashes or takes too much gives 0.0 and the reason.
    """

    partial_credit: bool = False
    require_fence: bool = True
    timeout_seconds: float = 5.0
    memory_mb: int = 512

    def __call__(self, completion: str, answer: str, **context: object) -> Verdict:
        return self._check(completion, answer, 1, self.timeout_seconds)

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        """The verdicts in the order of `pairs`, `workers` at a time, each under the longer of the two time limits.

        Pairs that are equal are run once: in a group of a policy that is sure of itself most completions are.
        """
        seconds = max(timeout_seconds, self.timeout_seconds)
        asked = [(completion, answer) for completion, answer, *_ in pairs]
        different = list(dict.fromkeys(asked))
        with ThreadPoolExecutor(workers, thread_name_prefix="code-verifier") as threads:
            checked = threads.map(lambda pair: self._check(pair[0], pair[1], workers, seconds), different)
            verdicts = dict(zip(different, checked, strict=True))
        return [verdicts[pair] for pair in asked]

    def _check(self, completion: str, answer: str, workers: int, timeout_seconds: float) -> Verdict:
        started = time.perf_counter()
        code = extract_code(completion)
        if code is None and not self.require_fence:
            code = completion
        if code is None or not code.strip():
            languages = sorted({match.group(2) for match in _FENCE.finditer(completion)})
            detail = f"only blocks in {', '.join(languages)}" if languages else "no fenced block of Python"
            return Verdict(0.0, "no_answer", None, detail, time.perf_counter() - started)
        try:
            tests, preamble = read_tests(answer)
        except BadTests as error:
            return Verdict(None, "bad_gold", code, str(error), time.perf_counter() - started)
        try:
            sandbox = shared_sandbox(workers)
            grade = sandbox.grade(f"{preamble}\n{code}" if preamble else code, tests, timeout_seconds, self.memory_mb)
        except BadTests as error:
            return Verdict(None, "bad_gold", code, str(error), time.perf_counter() - started)
        except SandboxUnavailable as error:
            return Verdict(None, "error", code, str(error), time.perf_counter() - started)
        return self._verdict(grade, code, time.perf_counter() - started)

    def _verdict(self, grade: Grade, code: str, seconds: float) -> Verdict:
        parts = {"tests": grade.fraction}
        if grade.status == "error":
            return Verdict(None, "error", code, grade.detail, seconds)
        if grade.status == "correct":
            return Verdict(1.0, "correct", code, f"{grade.passed} of {grade.total} tests", seconds, parts)
        score = grade.fraction if self.partial_credit else 0.0
        status: Status = "timeout" if grade.status == "timeout" else "partial" if score > 0 else "wrong"
        detail = f"{grade.passed} of {grade.total} tests; {grade.status}: {grade.detail}"
        return Verdict(score, status, code, detail[:500], seconds, parts)


def read_tests(answer: str) -> tuple[list[dict[str, Any]], str]:
    """The tests and the preamble in an answer; raises BadTests with one sentence."""
    try:
        read = json.loads(answer)
    except ValueError as error:
        raise BadTests(f"the answer of a code problem must be its tests as JSON: {error}") from None
    preamble = ""
    if isinstance(read, dict) and "tests" in read and "type" not in read:
        read, preamble = read["tests"], read.get("preamble", "")
    tests = [read] if isinstance(read, dict) else read
    if not isinstance(tests, list) or not tests or not isinstance(preamble, str):
        raise BadTests("the answer of a code problem must be a test, or a list of tests, as JSON objects")
    return tests, preamble


_sandboxes: dict[int, Sandbox] = {}
_making = threading.Lock()


def shared_sandbox(workers: int) -> Sandbox:
    """One sandbox of this size for the whole process, whichever threads ask; its helpers end with the process."""
    with _making:
        if workers not in _sandboxes:
            _sandboxes[workers] = Sandbox(workers, Limits())
        return _sandboxes[workers]
