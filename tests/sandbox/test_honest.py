"""Programs that do nothing wrong run as they would outside, and right answers are paid in full."""

import honest
import honest_more
import pytest

from sandbox import Sandbox

PROGRAMS = honest.PROGRAMS | honest_more.PROGRAMS
FUNCTIONS = honest.FUNCTIONS | honest_more.FUNCTIONS


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_honest_program_writes_what_it_would_write_outside(sandbox: Sandbox, name: str) -> None:
    if name == "numpy":
        pytest.importorskip("numpy")
    if name in honest.NEED_SEMAPHORES and sandbox.tier == "B":
        pytest.skip("named semaphores live in /dev/shm, which tier B cannot make private")
    program, stdin, stdout = PROGRAMS[name]
    execution = sandbox.run(program, stdin, timeout_seconds=10)
    assert (execution.status, execution.stdout) == ("ok", stdout), (execution.status, execution.stderr[-500:])
    assert execution.exit_code == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_honest_function_passes_all_of_its_cases(sandbox: Sandbox, name: str) -> None:
    if "numpy" in name:
        pytest.importorskip("numpy")
    program, fn_name, cases = FUNCTIONS[name]
    if name.startswith("recursion"):
        cases = [((900,), _fibonacci(900))]
    test = {"type": "function", "fn_name": fn_name, "cases": [{"args": args, "expected": want} for args, want in cases]}
    grade = sandbox.grade(program, test)
    assert (grade.status, grade.passed, grade.total) == ("correct", len(cases), len(cases)), grade


def _fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
