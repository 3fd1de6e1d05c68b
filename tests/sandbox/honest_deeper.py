"""Programs that lean on what an interpreter does at its start, with its streams and at its end. See honest.py."""

_FAST_IO = """
import os, sys
from io import BytesIO, IOBase
class FastIO(IOBase):
    newlines = 0
    def __init__(self, file):
        self._fd = file.fileno(); self.buffer = BytesIO()
        self.writable = 'x' in file.mode or 'r' not in file.mode
        self.write = self.buffer.write if self.writable else None
    def readline(self):
        while self.newlines == 0:
            b = os.read(self._fd, max(os.fstat(self._fd).st_size, 8192))
            self.newlines = b.count(b'\\n') + (not b)
            p = self.buffer.tell(); self.buffer.seek(0, 2); self.buffer.write(b); self.buffer.seek(p)
        self.newlines -= 1
        return self.buffer.readline()
    def flush(self):
        if self.writable:
            os.write(self._fd, self.buffer.getvalue()); self.buffer.truncate(0); self.buffer.seek(0)
class Wrapper(IOBase):
    def __init__(self, file):
        self.buffer = FastIO(file); self.flush = self.buffer.flush; self.writable = self.buffer.writable
        self.write = lambda s: self.buffer.write(s.encode('ascii'))
        self.readline = lambda: self.buffer.readline().decode('ascii')
sys.stdin, sys.stdout = Wrapper(sys.stdin), Wrapper(sys.stdout)
print(int(sys.stdin.readline()) + 1)
"""

PROGRAMS: dict[str, tuple[str, str | bytes, str]] = {
    "the contest's fast streams": (_FAST_IO, "5\n", "6\n"),
    "names and modes of the streams": (
        "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr): print(s.name, s.mode, s.buffer.name, s.line_buffering, s.write_through)",
        "",
        "<stdin> r <stdin> False False\n<stdout> w <stdout> False False\n<stderr> w <stderr> True False\n",
    ),
    "errors are written line by line": (
        "import os, sys\nos.dup2(1, 2)\nprint('a', file=sys.stderr)\nos.write(1, b'b\\n')\nprint('c', file=sys.stderr)",
        "",
        "a\nb\nc\n",
    ),
    "a closed standard output": ("import sys\nprint('a')\nsys.stdout.close()", "", "a\n"),
    "no standard output any more": ("import sys\nprint('a')\nsys.stdout = None", "", "a\n"),
    "a replaced standard output": (
        "import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()\nprint('a')\nold.write(sys.stdout.getvalue())",
        "",
        "a\n",
    ),
    "a file that nobody closes": (
        "out = open(1, 'w')\ndef main(): out.write('a\\n')\nmain()",
        "",
        "a\n",
    ),
    "a method of a file that nobody closes": (
        "import os\nclass A:\n    def __init__(self): self.write = os.fdopen(1, 'w').write\na = A()\na.write('a\\n')",
        "",
        "a\n",
    ),
    "a last word": (
        "import os\nclass A:\n    n = 3\n    def __del__(self): print('del', A.n, os.getpid() > 0)\na = A()\nprint('end')",
        "",
        "end\ndel 3 True\n",
    ),
    "a generator that is left half-way": (
        "def g():\n    try: yield 1\n    finally: print('closed')\nx = g(); next(x)\nprint('end')",
        "",
        "end\nclosed\n",
    ),
    "__builtins__ of the main module": (
        "print(__builtins__.len('ab'), __annotations__, __cached__, __file__.startswith('/'))",
        "",
        "2 {} None True\n",
    ),
    "the deepest recursion that is allowed": (
        "def f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(998))",
        "",
        "998\n",
    ),
    "help": (
        "def f():\n    'what f does'\nhelp(f)",
        "",
        "Help on function f in module __main__:\n\nf()\n    what f does\n\n",
    ),
    "the main thread knows its number": (
        "import os, threading\nmain = threading.main_thread()\nprint(main.native_id == threading.get_native_id() == os.getpid())",
        "",
        "True\n",
    ),
    "hooks at a fork": (
        "import os\nos.register_at_fork(before=lambda: print('b', flush=True), after_in_child=lambda: print('c', flush=True))\nif os.fork() == 0: os._exit(0)\nos.wait()",
        "",
        "b\nc\n",
    ),
}

# What else a program is seen to do: (program, exit code, standard output, standard error)
ENDS = {
    "errors before a hard exit": ("import os, sys\nprint('e', file=sys.stderr)\nos._exit(3)", 3, "", "e\n"),
    "errors before a crash": (
        "import ctypes, sys\nprint('e', file=sys.stderr)\nctypes.string_at(0)",
        -11,
        "",
        "e\n",
    ),
    "a farewell to closed errors": ("import sys\nprint('a')\nsys.stderr.close()\nsys.exit('bye')", 1, "a\n", ""),
    "a farewell without errors": ("import sys\nprint('a')\nsys.stderr = None\nsys.exit('bye')", 1, "a\n", "bye\n"),
    "a farewell that has no text": (
        "import sys\nclass A:\n    def __str__(self): raise ValueError\nprint('a')\nsys.exit(A())",
        1,
        "a\n",
        "",
    ),
    "an output that cannot be written": ("import os\nprint('a')\nos.close(1)", 120, "", ""),
}
