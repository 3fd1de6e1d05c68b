"""No program that lacks the answers passes a single test, of any kind."""

import hacks
import pytest

from sandbox import Sandbox


@pytest.mark.parametrize("name", hacks.ALL)
@pytest.mark.parametrize("kind", hacks.KINDS)
def test_a_program_without_the_answer_earns_nothing(sandbox: Sandbox, kind: str, name: str) -> None:
    grade = sandbox.grade(hacks.ALL[name], hacks.KINDS[kind], timeout_seconds=1.0 if "endless" in name else 5.0)
    assert grade.passed == 0, grade
    assert grade.total >= 1
    assert grade.status not in ("correct", "error") or grade.unsafe, grade
