"""What comes back from the sandbox."""

from dataclasses import dataclass
from typing import Literal

Tier = Literal["A", "B", "C"]

# correct: every case passed. wrong: at least one did not, or the program raised or left early. timeout, memory, output:
# a bound was hit. crash: the process died or ended with a non-zero code. error: the sandbox or the tests failed, and
# nothing can be said of the program.
Status = Literal["correct", "wrong", "timeout", "memory", "output", "crash", "error"]


@dataclass(frozen=True)
class Execution:
    """One run of a program. Output is text; bytes that are not UTF-8 come as surrogate escapes."""

    status: Literal["ok", "timeout", "memory", "output", "crash", "error"]
    stdout: str
    stderr: str
    exit_code: int | None  # minus the signal's number where one killed it; None where the sandbox did
    tier: Tier
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class Case:
    """The finding for one test case; `detail` is one sentence of why it did not pass."""

    passed: bool
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Grade:
    """The finding for a program and its tests.

    `unsafe` says that some test could not be run apart from the program it judges: it was not run, counts as not
    passed, and `status` is error. `seconds` is wall clock.
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
