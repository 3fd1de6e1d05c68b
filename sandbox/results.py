"""The results that the sandbox returns."""

from dataclasses import dataclass
from typing import Literal

Tier = Literal["A", "B", "C"]

# correct: every case passed. wrong: at least one did not, or the program raised or left early. timeout, memory, output:
# a limit was hit. crash: the process died or ended with a non-zero exit code. error: the sandbox or the tests failed,
# and nothing is known about the program.
Status = Literal["correct", "wrong", "timeout", "memory", "output", "crash", "error"]


@dataclass(frozen=True)
class Execution:
    """One run of a program. Output is text; bytes that are not UTF-8 appear as surrogate escapes."""

    status: Literal["ok", "timeout", "memory", "output", "crash", "error"]
    stdout: str
    stderr: str
    exit_code: int | None  # negative: the number of the signal that killed it; None: the sandbox killed it
    tier: Tier
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class Case:
    """The result of one test case; `detail` is one sentence on why it did not pass."""

    passed: bool
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Grade:
    """The result of a program and its tests.

    `unsafe` means that a test would have had to trust the program: it was not run, counts as not passed, and `status`
    is error. `seconds` is wall-clock time.
    """

    passed: int
    total: int
    status: Status
    cases: tuple[Case, ...]
    tier: Tier
    unsafe: bool
    seconds: float
    detail: str = ""

    @property
    def fraction(self) -> float:
        """The share of passed cases, in [0, 1]."""
        return self.passed / self.total if self.total else 0.0
