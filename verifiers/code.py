"""The `code` verifier: it runs a completion's program against tests, in the sandbox.

The answer holds the tests, as JSON text or as what it stands for: one test of `Sandbox.grade`, a list of them, or
{"tests": [...], "preamble": source} with a preamble that runs before the completion's code (imports and helpers that
the question showed).
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
from verifiers.thought import NEVER_ENDS, said
from verifiers.values import Json, as_text
from verifiers.verdict import Pair, Status, Verdict

_FENCE = re.compile(
    r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([^\s`]*+)[^\n]*+\n(.*?)(?:^[ \t]*+\1[ \t]*+$|\Z)", re.MULTILINE | re.DOTALL
)
_PYTHON = ("python", "py", "python3", "python2", "pycon3", "{.python}", "{python}")
_UNNAMED = ("", "code", "text")


def extract_code(completion: str) -> str | None:
    """The last fenced block in Python, else the last one that names no language; None if there is neither.

    A block in another language is never an answer. A fence that is not closed reaches to the end.
    """
    blocks = [(match.group(2).lower(), match.group(3)) for match in _FENCE.finditer(completion)]
    for names in (_PYTHON, _UNNAMED):
        code = [text for language, text in blocks if language in names and text.strip()]
        if code:
            return code[-1]
    return None


@dataclass(frozen=True)
class CodeVerifier:
    """Runs a completion's program against the tests of its problem.

    With `partial_credit` the score is the share of tests that pass; without it, 1 if all pass and else 0. With
    `require_fence` a completion without a fenced block has no answer; without it, such a completion is run as a whole.
    Limits apply to one completion, all of its tests together. A failure of the sandbox, and tests that are broken or
    would have to trust the program, give `score=None`; a program that fails, loops, crashes or exceeds a limit gives
    0.0 and the reason.
    """

    partial_credit: bool = False
    require_fence: bool = True
    timeout_seconds: float = 5.0
    memory_mb: int = 512

    def __post_init__(self) -> None:
        if self.timeout_seconds <= 0 or self.memory_mb <= 0:
            raise ValueError(
                f"expected timeout_seconds > 0 and memory_mb > 0: got {self.timeout_seconds} and {self.memory_mb}"
            )

    def __call__(self, completion: str, answer: Json, **context: object) -> Verdict:
        return self._check(completion, as_text(answer), 1, self.timeout_seconds)

    def verify_batch(self, pairs: Sequence[Pair], *, workers: int, timeout_seconds: float) -> list[Verdict]:
        """The verdicts in the order of `pairs`; checks `workers` at a time, each under the longer of the two limits.

        Equal pairs are run once: a policy that is sure of itself writes mostly equal completions in a group.
        """
        seconds = max(timeout_seconds, self.timeout_seconds)
        programs = [(completion, as_text(answer)) for completion, answer, *_ in pairs]
        different = list(dict.fromkeys(programs))
        with ThreadPoolExecutor(workers, thread_name_prefix="code-verifier") as threads:
            checked = threads.map(lambda pair: self._check(pair[0], pair[1], workers, seconds), different)
            verdicts = dict(zip(different, checked, strict=True))
        return [verdicts[program] for program in programs]

    def _check(self, completion: str, answer: str, workers: int, timeout_seconds: float) -> Verdict:
        started = time.perf_counter()
        text = said(completion)
        if text is None:
            return Verdict(0.0, "no_answer", None, NEVER_ENDS, time.perf_counter() - started, {"tests": 0.0})
        code = extract_code(text)
        if code is None and not self.require_fence:
            code = text
        if code is None or not code.strip():
            languages = sorted({match.group(2) for match in _FENCE.finditer(text)})
            detail = f"only blocks in {', '.join(languages)}" if languages else "no fenced block of Python"
            return Verdict(0.0, "no_answer", None, detail, time.perf_counter() - started, {"tests": 0.0})
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
    """The tests and the preamble in an answer. Raises `BadTests`."""
    try:
        content = json.loads(answer)
    except ValueError as error:
        raise BadTests(f"the answer of a code problem must be its tests as JSON: {error}") from None
    preamble = ""
    if isinstance(content, dict) and "tests" in content and "type" not in content:
        content, preamble = content["tests"], content.get("preamble", "")
    tests = [content] if isinstance(content, dict) else content
    if not isinstance(tests, list) or not tests or not isinstance(preamble, str):
        raise BadTests("the answer of a code problem must be a test, or a list of tests, as JSON objects")
    return tests, preamble


_sandboxes: dict[int, Sandbox] = {}
_making = threading.Lock()


def shared_sandbox(workers: int) -> Sandbox:
    """The one sandbox of this size in this process, for all threads; its helpers end with the process."""
    with _making:
        if workers not in _sandboxes:
            _sandboxes[workers] = Sandbox(workers, Limits())
        return _sandboxes[workers]
