"""What a grade says: counts, reasons, bounds, and whose fault a failure is."""

import contextlib
import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import HELD_UP_SECONDS

from sandbox import BadTests, Limits, Sandbox, SandboxUnavailable

TWO = {"type": "function", "fn_name": "f", "cases": [{"args": [1], "expected": 2}, {"args": [2], "expected": 3}]}


def _pytest(source: str, **more: str) -> dict[str, Any]:
    return {"type": "pytest", "solution": "solution.py", "files": {"test_it.py": source, **more}}


def test_a_candidate_holds_no_descriptor_but_its_channel(sandbox: Sandbox) -> None:
    code = "import os\ndef f():\n    found = []\n    for n in range(300):\n        try: os.fstat(n); found.append(n)\n        except OSError: pass\n    return found"
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": [0, 1, 2, 3]}]}
    assert sandbox.grade(code, test).status == "correct"


def test_a_candidate_leads_a_process_group_of_its_own(sandbox: Sandbox) -> None:
    code = "import os\ndef f(): return os.getpid() == os.getpgid(0)"
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": True}]}
    assert sandbox.grade(code, test).status == "correct"


def test_the_channel_does_not_tell_the_interfaces_of_the_machine(sandbox: Sandbox) -> None:
    code = "import fcntl\ndef f():\n    try: return [fcntl.ioctl(3, n, bytes(64)) for n in (0x8912, 0x8927, 0x894c)]\n    except OSError as e: return e.errno"
    test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": errno.ENOTTY}]}
    if sandbox.tier == "C":
        pytest.skip("tier C refuses no system call")
    assert sandbox.grade(code, test).status == "correct"


def test_a_loop_in_one_case_keeps_what_passed_before_and_skips_the_rest(sandbox: Sandbox) -> None:
    code = "def f(x):\n    while x == 2: pass\n    return x + 1"
    cases = [{"args": [n], "expected": n + 1} for n in (1, 2, 3, 4)]
    grade = sandbox.grade(code, {"type": "function", "fn_name": "f", "cases": cases}, timeout_seconds=2.0)
    assert (grade.passed, grade.total, grade.status) == (1, 4, "timeout")
    assert grade.seconds < 2.0 + HELD_UP_SECONDS


def test_a_program_that_forges_for_ever_is_stopped_at_its_first_lie(sandbox: Sandbox) -> None:
    code = "import os\ndef f(x):\n    while True: os.write(3, b'\\0\\0\\0\\1' + b'7')"
    grade = sandbox.grade(code, TWO)
    assert (grade.passed, grade.status) == (0, "wrong")
    assert grade.seconds < HELD_UP_SECONDS


def test_looping_programs_cost_one_deadline_however_many_inputs_there_are(sandbox: Sandbox) -> None:
    grade = sandbox.grade("while True: pass", {"type": "stdio", "cases": [{"stdin": "", "stdout": "a"}] * 50}, 0.7)
    assert (grade.passed, grade.total, grade.status) == (0, 50, "timeout")
    assert grade.seconds < 0.7 + HELD_UP_SECONDS  # 50 deadlines are 35 seconds


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("import os; os._exit(3)", "crash"),
        ("import os; os._exit(0)", "crash"),
        ("import ctypes; ctypes.string_at(0)", "crash"),
        ("return [x] * 10**9", "memory"),
        ("return 'x' * (20 << 20)", "output"),
        ("raise ValueError(x)", "wrong"),
        ("return 10 ** 5000", "wrong"),
        ("return object()", "wrong"),
    ],
)
def test_the_reason_is_told(sandbox: Sandbox, body: str, status: str) -> None:
    grade = sandbox.grade(f"def f(x):\n    {body}\n", TWO)
    assert (grade.passed, grade.total, grade.status) == (0, 2, status)
    assert grade.detail


def test_several_tests_are_counted_together(sandbox: Sandbox) -> None:
    code = "def f(x): return x + 1\nif __name__ == '__main__': print(f(int(input())))"
    stdio = {"type": "stdio", "cases": [{"stdin": "1", "stdout": "2"}, {"stdin": "1", "stdout": "3"}]}
    grade = sandbox.grade(
        code, [TWO, stdio, {"type": "assert", "fn_name": "f", "tests": ["assert f(0) == 1", "assert f(0)"]}]
    )
    assert (grade.passed, grade.total, grade.status, grade.tier) == (5, 6, "wrong", sandbox.tier)
    assert [case.passed for case in grade.cases] == [True, True, True, False, True, True]


def test_skipped_expected_to_fail_and_hidden_tests_do_not_count_as_passed(sandbox: Sandbox) -> None:
    source = "import pytest\nfrom solution import f\n@pytest.mark.skip\ndef test_a(): assert f(1) == 2\n@pytest.mark.xfail\ndef test_b(): assert f(1) == 3\ndef test_c(): assert f(1) == 2\n"
    hiding = "def pytest_collection_modifyitems(items): items.clear()\n"
    grade = sandbox.grade("def f(x): return x + 1", _pytest(source, **{"conftest.py": hiding}))
    assert (grade.passed, grade.total) == (1, 3)


def test_a_suite_may_use_classes_exceptions_generators_and_printed_text(sandbox: Sandbox) -> None:
    code = "class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n    def pop(self):\n        if not self.items: raise Empty('empty')\n        return self.items.pop()\n    def __len__(self): return len(self.items)\nclass Empty(LookupError): pass\ndef count(n): yield from range(n)\ndef order(x): x.sort()\ndef greet(): print('hi')\n"
    source = "import pytest\nfrom solution import *\n@pytest.fixture\ndef stack(): return Stack()\ndef test_stack(stack):\n    stack.push([1]); assert len(stack) == 1 and stack.items == [[1]] and stack.pop() == [1]\n    with pytest.raises(Empty, match='empty'): stack.pop()\n    with pytest.raises(LookupError): stack.pop()\ndef test_generator(): assert list(count(3)) == [0, 1, 2]\ndef test_in_place():\n    x = [2, 1]; order(x); assert x == [1, 2]\ndef test_print(capsys):\n    greet(); assert capsys.readouterr().out == 'hi\\n'\n@pytest.mark.parametrize('n', [0, 1])\ndef test_count(n): assert len(list(count(n))) == n\ndef test_is(): assert isinstance(Stack(), Stack)\n"
    grade = sandbox.grade(code, _pytest(source))
    assert (grade.passed, grade.total, grade.status) == (7, 7, "correct"), grade


def test_a_test_that_must_trust_the_program_is_unsafe_and_pays_nothing(sandbox: Sandbox) -> None:
    code = "class P:\n    def __eq__(self, other): return True\n    __hash__ = None\n"
    before = sandbox.unsafe_grades
    grade = sandbox.grade(code, _pytest("from solution import P\ndef test_it(): assert P() == P()\n"))
    assert (grade.passed, grade.status, grade.unsafe) == (0, "error", True)
    assert sandbox.unsafe_grades == before + 1


@pytest.mark.parametrize(
    ("tests", "sentence"),
    [
        (3, "tests must be a test or a list of tests"),
        ({}, "type must be one of"),
        ({"type": "unittest"}, "type must be one of"),
        ({"type": "function", "fn_name": "f"}, "needs 'cases'"),
        ({"type": "function", "fn_name": "f", "cases": []}, "no case"),
        ({"type": "function", "fn_name": "f", "cases": [{"args": [1]}]}, "case 0 .* needs 'expected'"),
        (
            {"type": "function", "fn_name": "f", "cases": [{"args": [object()], "expected": 1}]},
            "cannot be sent by value",
        ),
        ({"type": "stdio", "cases": [{"stdin": "", "stdout": ""}], "compare": "fuzzy"}, "exact, lines or tokens"),
        ({"type": "stdio", "cases": [{"stdin": "\ud800", "stdout": ""}]}, "cannot be written as UTF-8"),
        ({"type": "stdio", "cases": [{"stdin": "x" * (65 << 20), "stdout": ""}]}, "is longer than 67108864"),
        ({**TWO, "tolerance": 1e-6}, "has no field 'tolerance': did you mean 'tol'"),
        ({**TWO, "fn_name": 3}, "'fn_name' of .* must be text: got int"),
        ({**TWO, "cases": [{"args": "ab", "expected": 1}]}, "'args' of case 0 .* must be a list.*: got str"),
        ({**TWO, "cases": [{"args": 1, "expected": 1}]}, "'args' of case 0 .* must be a list.*: got int"),
        ({**TWO, "cases": [{"args": [1], "kwargs": {"k": 1}, "expected": 1}]}, "case 0 .* has no field 'kwargs'"),
        ({"type": "stdio", "cases": [{"stdin": ["1"], "stdout": "1"}]}, "'stdin' of case 0 .* must be text: got list"),
        ({"type": "assert", "fn_name": "f", "tests": "assert f(1) == 1"}, "'tests' of .* must be a list: got str"),
        ({"type": "assert", "fn_name": "f", "tests": ["assert f(1) = 1"]}, "test 0 is not Python: SyntaxError"),
        ({"type": "assert", "fn_name": "f", "tests": ["assert f(1)"], "setup": "import"}, "'setup' is not Python"),
        ({"type": "check", "fn_name": "f", "test": "def check(candidate) pass"}, "'test' is not Python"),
        ({"type": "check", "fn_name": "f", "test": "def chk(candidate): pass"}, "must define check"),
        ({"type": "assert", "fn_name": "f", "tests": ["assert f(1)", "import math"]}, "test 1 asserts nothing"),
        ({"type": "check", "fn_name": "f", "test": "def check(candidate): pass"}, "asserts nothing"),
        (
            {"type": "check", "fn_name": "f", "test": "x = abs(1)\ndef check(c):\n  c", "prelude": "y = abs(1)"},
            "asserts nothing",
        ),
        ({"type": "pytest", "solution": "solution.py", "files": ["def test_it(): pass"]}, "must map file names"),
        (_pytest("def (:"), "not Python"),
        (_pytest("x = 1"), "no test function"),
    ],
)
def test_malformed_tests_are_refused_in_one_sentence(sandbox: Sandbox, tests: Any, sentence: str) -> None:
    with pytest.raises(BadTests, match=sentence):
        sandbox.grade("def f(x): return x", tests)


def test_a_test_may_carry_fields_of_its_own(sandbox: Sandbox) -> None:
    test = {**TWO, "id": 7, "name": "two", "cases": [{**case, "difficulty": "easy"} for case in TWO["cases"]]}
    assert sandbox.grade("def f(x):\n    return x", test).total == len(TWO["cases"])


def test_a_test_of_a_list_may_be_indented(sandbox: Sandbox) -> None:
    tests = ["  assert f(1) == 1", "  assert f(1) + 1 == 2"]  # the second one needs a tester
    assert sandbox.grade("def f(x): return x", {"type": "assert", "fn_name": "f", "tests": tests}).passed == 2


def test_bounds_must_make_sense(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="timeout_seconds must be more than 0: got 0"):
        sandbox.run("1", timeout_seconds=0)
    with pytest.raises(ValueError, match="memory_mb must be at least 1: got 0"):
        Limits(memory_mb=0)
    with pytest.raises(ValueError, match="workers must be at least 1: got 0"):
        Sandbox(workers=0)


def test_two_processes_are_enough_for_a_whole_program_and_one_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="processes must be at least 2"):
        Limits(processes=1)
    with Sandbox(limits=Limits(processes=2), tier=sandbox.tier, allow_unsafe=sandbox.tier == "C") as box:
        assert box.run("print(1)").stdout == "1\n"


def test_the_tier_that_contains_nothing_must_be_asked_for_twice() -> None:
    with pytest.raises(SandboxUnavailable, match="allow_unsafe was not given"):
        Sandbox(tier="C")
    with Sandbox(tier="C", allow_unsafe=True) as unsafe:
        grade = unsafe.grade("def f(x): return x + 1", TWO)
        assert (grade.passed, grade.tier) == (2, "C")
        assert unsafe.grade("class A:\n    def __eq__(s, o): return True\ndef f(x): return A()", TWO).passed == 0


def test_a_partly_written_output_comes_back_after_a_timeout(sandbox: Sandbox) -> None:
    execution = sandbox.run("print('begun', flush=True)\nwhile True: pass", timeout_seconds=3.0)
    assert (execution.status, execution.stdout, execution.exit_code) == ("timeout", "begun\n", None)


# Its job asks not to die with the zygote, and has a child.
_OWNER = """
import sys, threading, time
sys.path.insert(0, {path!r})
from sandbox import Sandbox
code = "import ctypes, os\\ndef f():\\n    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\\n    os.system('sleep 61 &')\\n    while True: pass"
test = {{"type": "function", "fn_name": "f", "cases": [{{"args": [], "expected": 0}}]}}
sandbox = Sandbox(tier={tier!r}, allow_unsafe=True)
threading.Thread(target=sandbox.grade, args=(code, test, 60), daemon=True).start()
time.sleep(60)
"""


def test_nothing_survives_the_process_that_was_killed(sandbox: Sandbox) -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER.format(path=os.getcwd(), tier=sandbox.tier)])
    deadline = time.monotonic() + 60
    helpers: dict[int, str] = {}
    while "sleep\n" not in helpers.values():
        assert time.monotonic() < deadline, helpers
        time.sleep(0.02)
        helpers = _descendants(owner.pid)
    owner.kill()
    owner.wait()
    while (left := [pid for pid in helpers if _runs(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(helpers) >= 3  # zygote, job, child
    assert not left


def _descendants(pid: int) -> dict[int, str]:
    found = {}
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                with contextlib.suppress(OSError):  # it ended meanwhile
                    found[child] = Path(f"/proc/{child}/comm").read_text()
                    waiting.append(child)
    return found


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1][:3]
    except OSError:
        return False
