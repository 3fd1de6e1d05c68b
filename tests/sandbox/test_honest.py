"""Programs that do nothing wrong run as they would outside, and right answers are paid in full."""

import honest
import honest_deeper
import honest_more
import pytest

from sandbox import Sandbox

PROGRAMS = honest.PROGRAMS | honest_more.PROGRAMS | honest_deeper.PROGRAMS
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


@pytest.mark.parametrize("name", honest_deeper.ENDS)
def test_a_program_ends_as_it_would_end_outside(sandbox: Sandbox, name: str) -> None:
    program, *end = honest_deeper.ENDS[name]
    execution = sandbox.run(program)
    assert [execution.exit_code, execution.stdout, execution.stderr] == end


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


@pytest.mark.parametrize("draw", ["random.random()", "numpy.random.rand()", "numpy.random.default_rng().random()"])
def test_each_run_draws_random_numbers_of_its_own(sandbox: Sandbox, draw: str) -> None:
    if "numpy" in draw:
        pytest.importorskip("numpy")
    program = f"import random\n{'import numpy' if 'numpy' in draw else ''}\nprint({draw})"
    drawn = {sandbox.run(program).stdout for _ in range(3)}
    assert len(drawn) == 3
    assert all(0 <= float(number) < 1 for number in drawn)


def test_the_standard_streams_are_a_file_and_two_pipes(sandbox: Sandbox) -> None:
    program = (
        "import sys\n"
        "print([stream.seekable() for stream in (sys.stdin, sys.stdout, sys.stderr)], sys.stdin.readline())\n"
        "sys.stdin.seek(0)\n"
        "print(sys.stdin.read(), sys.stdin is sys.__stdin__, sys.stdout.buffer.fileno(), sys.stderr.isatty())"
    )
    execution = sandbox.run(program, "one\ntwo")
    assert (execution.stdout, execution.stderr) == ("[True, False, False] one\n\none\ntwo True 1 False\n", "")


def _fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
