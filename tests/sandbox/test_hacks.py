"""No program that lacks the answers passes a single test, of any kind, in any tier."""

import hacks
import hacks_machinery
import pytest

from sandbox import Sandbox

BOTH = {"hacks": hacks, "machinery": hacks_machinery}


@pytest.mark.parametrize(("book", "name"), [(book, name) for book, hacks in BOTH.items() for name in hacks.ALL])
@pytest.mark.parametrize("kind", hacks.KINDS)
def test_a_program_without_the_answer_earns_nothing(sandbox: Sandbox, kind: str, book: str, name: str) -> None:
    grade = sandbox.grade(BOTH[book].ALL[name], BOTH[book].KINDS[kind], timeout_seconds=1.0)
    assert grade.passed == 0, grade
    assert grade.total >= 1
    assert grade.status not in ("correct", "error") or grade.unsafe, grade
