"""Jobs of tier A use one directory in turn: whatever one does to it, the next finds it empty, its own and whole."""

from collections.abc import Iterator

import pytest

from sandbox import Limits, Sandbox

LEAVINGS = {
    "nothing": "",
    "a file": "open('left', 'w').write('x')",
    "a file that it deletes": "open('left', 'w').write('x'); os.unlink('left')",
    "a module that others import": "open('random.py', 'w').write('seed = print'); open('json.py', 'w').write('')",
    "directories": "os.makedirs('a/b/c')",
    "a directory that it deletes": "os.mkdir('a'); os.rmdir('a')",
    "a link": "os.symlink('/etc', 'etc')",
    "a pipe": "os.mkfifo('pipe')",
    "a hidden file": "open('.stdin', 'w').write('x')",
    "a file of no length": "open('left', 'w')",
    "a full disk": "open('left', 'wb').write(bytes(1 << 20))",
    "no inodes": "[open(str(i), 'w').close() for i in range(40)]",
    "a closed directory": "os.chmod('.', 0)",
    "a directory that all may write to": "os.chmod('.', 0o7777)",
    "an attribute": "os.setxattr('.', 'user.left', b'x')",
    "an access list": "os.setxattr('.', 'system.posix_acl_default', bytes.fromhex('0200000001000700ffffffff04000700ffffffff20000700ffffffff'))",
    "old times": "os.utime('.', (1, 1))",
    "a deleted file, sent to the parent": "import array, socket; f = open('left', 'wb'); f.write(bytes(4096)); f.flush(); os.unlink('left');"
    " socket.socket(fileno=3).sendmsg([b'\\0\\0\\0\\0'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [f.fileno()]))])",
    "a file that a child holds": "open('left', 'w'); os.fork() or __import__('time').sleep(9)",
}
FIND = """
import os, stat
def f():
    with open("mine", "wb") as file: written = file.write(bytes(600_000))
    os.unlink("mine")
    names = ["n%d" % i for i in range(30)]
    for name in names: os.mkdir(name)
    found = sorted(set(os.listdir(".")) - set(names))
    for name in names: os.rmdir(name)
    attributes = os.listxattr(".")
    return found, attributes, stat.S_IMODE(os.stat(".").st_mode), written
"""
EXPECTED = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": ([], [], 0o700, 600_000)}]}


@pytest.fixture(scope="module")
def box(sandbox: Sandbox) -> Iterator[Sandbox]:
    if sandbox.tier != "A":
        pytest.skip("a tmpfs needs tier A")
    with Sandbox(limits=Limits(disk_mb=1, inodes=64), tier="A") as box:
        yield box


@pytest.mark.parametrize("leaving", LEAVINGS)
@pytest.mark.parametrize("whole", [False, True], ids=["function", "program"])
def test_the_next_job_finds_an_empty_directory(box: Sandbox, leaving: str, whole: bool) -> None:
    """The program that looks leaves nothing itself."""
    code = f"import os\ntry:\n    {LEAVINGS[leaving] or 'pass'}\nexcept OSError: pass\n"
    if whole:
        assert box.run(code).status == "ok"
    else:
        test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": 1}]}
        box.grade(code + "def f(): return 1\n", test)
    for _ in range(2):
        grade = box.grade(FIND, EXPECTED)
        assert grade.status == "correct", grade.detail


def test_a_directory_is_used_again_where_nothing_was_left(box: Sandbox) -> None:
    code = "import os\ndef f(): return os.stat('.').st_dev"
    seen = []
    for _ in range(4):
        test = {"type": "function", "fn_name": "f", "cases": [{"args": [], "expected": -1}]}
        seen.append(box.grade(code, test).detail)
    assert len(set(seen)) == 1, seen
