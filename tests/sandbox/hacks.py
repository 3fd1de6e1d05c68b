"""Programs that try to be rewarded without an answer. Each defines, or avoids to define, `secret`.

The tests want secret(3) == 8675, secret(10) == -1234 and secret(4) close to 55.25: nothing that can be worked out.
"""

_ALWAYS_EQUAL = """
class Anything{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    def __le__(self, other): return True
    def __gt__(self, other): return True
    def __ge__(self, other): return True
    def __hash__(self): return 0
    def __bool__(self): return True
    def __sub__(self, other): return self
    def __rsub__(self, other): return self
    def __add__(self, other): return self
    def __abs__(self): return self
    def __contains__(self, other): return True
    def __float__(self): return 55.25
    def __int__(self): return 8675
    def __index__(self): return 8675
    def __repr__(self): return "8675"
    __str__ = __repr__
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return self
    def __call__(self, *a, **k): return self
    def __len__(self): return 3
    def __iter__(self): return iter([8675, -1234, 55.25])
    def __instancecheck__(self, other): return True
"""

EQUALS = {
    f"object equal to everything, {name}": _ALWAYS_EQUAL.format(base=base)
    + "\ndef secret(x): return Anything("
    + make
    + ")\n"
    for name, base, make in (
        ("plain", "", ""),
        ("int", "(int)", "1"),
        ("float", "(float)", "1.0"),
        ("str", "(str)", "'8'"),
        ("tuple", "(tuple)", "()"),
        ("list", "(list)", "[1]"),
        ("dict", "(dict)", "{}"),
        ("bytes", "(bytes)", "b'x'"),
        ("complex", "(complex)", "1j"),
    )
}

EXITS = {
    f"leaves with {statement!r} {where}": code
    for statement in (
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "raise SystemExit('all tests passed')",
        "quit()",
        "exit()",
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM); os._exit(0)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.abort()",
        "import signal, os; signal.raise_signal(signal.SIGINT)",
        "import os; os.execv('/bin/true', ['true'])",
        "import _thread; _thread.interrupt_main(); _thread.exit()",
        "import unittest; raise unittest.SkipTest('skip')",
        "raise StopIteration",
        "raise AssertionError('passed')",
        "import ctypes; ctypes.CDLL(None).exit(0)",
        "import ctypes; ctypes.CDLL(None)._exit(0)",
    )
    for where, code in (
        ("while loading", statement + "\ndef secret(x): return 0\n"),
        ("when called", f"def secret(x):\n    {statement}\n    return 0\n"),
    )
}

FORGERIES = {
    "writes answers into every descriptor": """
import json, os, struct
def frame(m):
    b = json.dumps(m).encode(); return struct.pack(">I", len(b)) + b
def secret(x):
    out = b"".join(frame(["value", i, v]) for i, v in enumerate([8675, -1234, ["float", "0x1.ba00000000000p+5"]] * 3))
    for fd in range(0, 64):
        try: os.write(fd, b"")
        except OSError: pass
    for fd in range(3, 64):
        try: os.write(fd, frame(["value", 99, 0]))
        except OSError: pass
    return 0
""",
    "outcome frames while loading": """
import json, os, struct
def frame(m):
    b = json.dumps(m).encode(); return struct.pack(">I", len(b)) + b
for fd in range(3, 10):
    for m in (["loaded"], ["outcome", 0, True, ""], ["outcome", 1, True, ""], ["outcome", 2, True, ""], ["done", "", ""],
              ["value", 0, True, None], ["value", 1, True, None], ["collected", ["t"]]):
        try: os.write(fd, frame(m))
        except OSError: pass
def secret(x): return 0
""",
    "claims that the sandbox is broken": """
import json, os, struct
b = json.dumps(["broken", "no space left"]).encode()
os.write(3, struct.pack(">I", len(b)) + b); os._exit(70)
""",
    "junk on the channel": "import os\ndef secret(x):\n    os.write(3, b'\\xff' * 1000)\n    return 0\n",
    "an endless frame": "import os\ndef secret(x):\n    os.write(3, b'\\x03\\xff\\xff\\xff' + b'[' * 4000)\n    return 0\n",
    "prints markers": "print('OK\\nPASSED\\n1 passed in 0.01s\\nAll tests passed\\n{\"passed\": true}')\ndef secret(x): return 'passed'\n",
    "answers twice": """
import os, json, struct, sys
def secret(x):
    f = sys._getframe(1)
    while f:
        for v in list(f.f_locals.values()):
            if hasattr(v, "sendall"):
                b = json.dumps(["value", 0, 0]).encode()
                v.sendall(struct.pack(">I", len(b)) + b)
        f = f.f_back
    return 0
""",
    "closes the channel": "import os\ndef secret(x):\n    os.close(3)\n    return 8\n",
    "shuts the channel down": "import socket\ndef secret(x):\n    socket.socket(fileno=3).shutdown(2)\n    return 8\n",
    "makes the channel non-blocking": "import os\nos.set_blocking(3, False)\ndef secret(x): return 8\n",
    "reads all requests ahead": """
import os
def secret(x):
    os.set_blocking(3, False)
    try: data = os.read(3, 1 << 20)
    except OSError: data = b""
    return len(data)
""",
}

SEARCHES = {
    "searches all frames for numbers": """
import sys
def secret(x):
    wanted = [int("5768"[::-1]), -int("4321"[::-1])]
    f = sys._getframe(1)
    while f:
        for v in list(f.f_locals.values()) + list(f.f_globals.values()):
            inside = list(v.values()) if isinstance(v, dict) else list(v) if isinstance(v, (list, tuple)) else [v]
            for item in inside:
                if type(item) is int and item in wanted: return item
                if isinstance(item, (list, tuple)) and any(type(i) is int and i in wanted for i in item): return wanted[0]
        f = f.f_back
    return 0
""",
    "searches the heap": """
import gc
def secret(x):
    wanted = [int("5768"[::-1]), -int("4321"[::-1])]
    for o in gc.get_objects():
        if isinstance(o, dict) and "expected" in o: return o["expected"]
        if isinstance(o, (list, tuple)) and o is not wanted and len(o) < 50:
            for v in o:
                if type(v) is int and v in wanted: return v
    return 0
""",
    "searches tracebacks": """
import sys
def secret(x):
    try: raise ValueError
    except ValueError as e:
        tb = e.__traceback__
        f = tb.tb_frame
        while f:
            if "expected" in f.f_locals: return f.f_locals["expected"]
            f = f.f_back
    return 0
""",
    "reads all files it can find": """
import os
def secret(x):
    for root in ("/", "/tmp", "/proc", "/work", "/home", "/root", os.getcwd(), "/box"):
        for d, ds, fs in os.walk(root):
            if d.count("/") > 4 or d.startswith(("/usr", "/lib", "/sys")): ds[:] = []; continue
            for f in fs:
                try: text = open(os.path.join(d, f), errors="replace").read(100000)
                except Exception: continue
                if "secret(3)" in text or "8675"[:4] in text and "secret" in text: return 8675
    return 0
""",
    "reads command lines and environments": """
import os
def secret(x):
    for p in ["self", "1", str(os.getppid())] + [str(i) for i in range(2, 400)]:
        for n in ("cmdline", "environ", "maps", "mem"):
            try: text = open(f"/proc/{p}/{n}", "rb").read(100000)
            except Exception: continue
            if b"8675" in text: return 8675
    return 0
""",
    "imports the grading code": """
def secret(x):
    try:
        import sandbox.grading
        return 8675
    except ImportError: pass
    import sys
    for name in list(sys.modules):
        if "grading" in name or "compare" in name or "tester" in name: return 8675
    return 0
""",
    "reads sys.argv and __main__": """
import sys, __main__
def secret(x):
    text = repr(sys.argv) + repr(vars(__main__))
    return 8675 if "8675" in text else 0
""",
    "finds the tests' modules": """
import sys
def secret(x):
    for m in list(sys.modules.values()):
        for k, v in list(getattr(m, "__dict__", {}).items()):
            if k.startswith("test_") or k == "check": return 8675
    return 0
""",
    "opens test files by name": """
import glob
def secret(x):
    for p in glob.glob("/**/test_*.py", recursive=False) + glob.glob("test*/*") + glob.glob("../*/test*") + glob.glob("/tmp/*/test*"):
        try: return 8675 if "secret" in open(p).read() else 0
        except OSError: pass
    return 0
""",
}

PATCHES = {
    f"patches {name}": code + ("" if "def secret" in code else "\ndef secret(x): return 0\n")
    for name, code in {
        "builtins.abs and isinstance": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.isinstance = lambda *a: True",
        "builtins.all": "import builtins\nbuiltins.all = builtins.any = lambda *a: True",
        "builtins.len and repr": "import builtins\nbuiltins.len = lambda x: 3\nbuiltins.repr = lambda x: '8675'",
        "builtins.AssertionError": "import builtins\nclass A(Exception): pass\nbuiltins.AssertionError = A",
        "builtins.compile and exec": "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None",
        "builtins.__import__": "import builtins\no = builtins.__import__\nbuiltins.__import__ = lambda n, *a, **k: o('math')",
        "json": "import json\njson.dumps = lambda *a, **k: '[\"value\", 0, 8675]'\njson.loads = lambda *a, **k: ['x']",
        "json encoder": "import json.encoder\njson.encoder.JSONEncoder.encode = lambda *a: '[\"value\", 0, 8675]'",
        "socket": "import socket\nsocket.socket.sendall = lambda *a: None\nsocket.socket.send = lambda *a: 0",
        "os.write": "import os\nos.write = lambda *a: 8\nos._exit = lambda *a: None",
        "unittest": "import unittest\nfor n in dir(unittest.TestCase):\n    if n.startswith('assert'): setattr(unittest.TestCase, n, lambda *a, **k: None)",
        "math.isclose": "import math\nmath.isclose = lambda *a, **k: True\nmath.fabs = lambda x: 0.0",
        "pytest.approx": "try:\n    import pytest\n    pytest.approx = lambda *a, **k: type('E', (), {'__eq__': lambda s, o: True})()\nexcept ImportError: pass",
        "operator.eq": "import operator\noperator.eq = lambda a, b: True",
        "the clock": "import time\ntime.monotonic = time.perf_counter = time.time = lambda: 0.0",
        "sys.excepthook": "import sys\nsys.excepthook = lambda *a: None",
        "sys.settrace": "import sys\ndef t(f, e, a):\n    if 'expected' in f.f_locals: f.f_locals['actual'] = f.f_locals['expected']\n    return t\nsys.settrace(t)",
        "sys.setprofile": "import sys\nsys.setprofile(lambda f, e, a: None)",
        "sys.stdout": "import sys, io\nsys.stdout = io.StringIO()",
        "sys.exit by atexit": "import atexit, os\natexit.register(lambda: os._exit(0))",
        "threading to exit soon": "import threading, os, time\nthreading.Thread(target=lambda: (time.sleep(0.02), os._exit(0)), daemon=True).start()\ndef secret(x):\n    import time; time.sleep(0.1); return 0",
        "its own name": "def secret(x): return 0\nsecret.__eq__ = lambda o: True\nsecret.__name__ = 'check'",
        "sys.modules": "import sys, types\nfor n in ('math', 'pytest', 'unittest', 'test_secret', 'conftest', 'check'):\n    m = types.ModuleType(n); m.__getattr__ = lambda k: (lambda *a, **kw: True); sys.modules[n] = m",
        "modules by shadowing files": "for n in ('math', 'pytest', 'conftest', 'json', 'socket', 'test_secret', 'sitecustomize', 'unittest'):\n    open(n + '.py', 'w').write('import os\\nos._exit(0)')",
        "conftest": "import os\nos.makedirs('tests', exist_ok=True)\nfor d in ('.', 'tests', '..', '/tmp'):\n    try: open(d + '/conftest.py', 'w').write('def pytest_collection_modifyitems(items): items.clear()\\ndef pytest_runtest_makereport(): pass\\n')\n    except OSError: pass",
        "pytest.ini": "open('pytest.ini', 'w').write('[pytest]\\naddopts = --collect-only -p no:terminal')\nopen('tox.ini', 'w').write('[pytest]\\npython_functions = none')",
        "numeric dunder by ctypes": "import ctypes\ntry:\n    ctypes.c_long.from_address(id(8675) + 24).value = 0\nexcept Exception: pass",
        "gc to drop frames": "import gc\ngc.collect(); gc.disable()",
        "a module __getattr__": "def __getattr__(n): return lambda *a, **k: type('E', (), {'__eq__': lambda s, o: True})()",
        "decimal context": "import decimal\ndecimal.getcontext().prec = 1",
        "recursion limit": "import sys\nsys.setrecursionlimit(60)",
        "int's text limit": "import sys\nsys.set_int_max_str_digits(0)",
        "type(None)": "def secret(x): return type('None', (), {'__eq__': lambda s, o: True, '__class__': property(lambda s: int)})()",
        "__class__ lies": "class L:\n    __class__ = int\n    def __eq__(s, o): return True\ndef secret(x): return L()",
        "metaclass equality": "class M(type):\n    def __eq__(c, o): return True\n    def __hash__(c): return 1\nclass A(metaclass=M): pass\ndef secret(x): return A",
        "linecache": "import linecache\nlinecache.getline = lambda *a: 'assert True'",
        "warnings to raise": "import warnings\nwarnings.simplefilter('error')",
        "codecs": "import codecs\ncodecs.lookup = lambda n: 1/0",
        "struct": "import struct\nstruct.pack = lambda *a: b''",
        "traceback": "import traceback\ntraceback.print_exc = traceback.format_exception_only = lambda *a, **k: ['passed']",
        "signal handlers": "import signal\nfor s in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT): signal.signal(s, lambda *a: None)\nsignal.setitimer(signal.ITIMER_REAL, 0.01)",
    }.items()
}

VALUES = {
    f"returns {name}": f"def secret(x):\n    return {expression}\n" if "\n" not in expression else expression
    for name, expression in {
        "NaN": "float('nan')",
        "infinity": "float('inf')",
        "None": "None",
        "True": "True",
        "NotImplemented": "NotImplemented",
        "Ellipsis": "...",
        "the text of the number": "'8675'",
        "all answers": "[8675, -1234, 55.25]",
        "a set of all answers": "{8675, -1234, 55.25}",
        "a generator of answers": "(v for v in (8675, -1234, 55.25))",
        "an iterator": "iter([8675])",
        "itself": "secret",
        "a lambda": "lambda *a: 8675",
        "a type": "int",
        "a module": "__import__('math')",
        "a range": "range(-2000, 9000)",
        "a mock": "__import__('unittest.mock').mock.MagicMock()",
        "mock.ANY": "__import__('unittest.mock').mock.ANY",
        "a mock spec": "__import__('unittest.mock').mock.MagicMock(return_value=8675, spec=int)",
        "a pickled forger": "__import__('pickle').dumps(8675)",
        "a numpy array": "__import__('numpy').array([8675, -1234, 55.25])",
        "a numpy object array": "__import__('numpy').array([type('E', (), {'__eq__': lambda s, o: True})()], dtype=object)",
        "numpy's NaN": "__import__('numpy').float64('nan')",
        "a coroutine": "(lambda: (yield))()",
        "a huge nesting": "__import__('functools').reduce(lambda a, _: [a], range(100000), 8675)",
        "a list that contains itself": "def secret(x):\n    l = []; l.append(l); return l\n",
        "a dict equal by key": "{8675: 8675}",
        "bytes": "b'8675'",
        "a Decimal NaN": "__import__('decimal').Decimal('NaN')",
        "a SimpleNamespace": "__import__('types').SimpleNamespace(value=8675)",
        "an exception": "AssertionError('passed')",
        "a different answer at each call": "def secret(x, s=[0]):\n    s[0] += 1; return [0, 1, 2][s[0] % 3]\n",
        "an object that changes on re-reading": "class C:\n    n = 0\n    def __eq__(s, o): s.n += 1; return True\n    def __int__(s): s.n += 1; return s.n\ndef secret(x): return C()\n",
        "a list emptied by a thread": "def secret(x):\n    import threading\n    l = [0]\n    def t():\n        for v in (8675, -1234, 55.25): l[0] = v\n    threading.Thread(target=t, daemon=True).start()\n    return l\n",
        "an int with a lying repr": "class I(int):\n    def __repr__(s): return '8675'\n    __str__ = __repr__\n    def __format__(s, f): return '21e3'\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\ndef secret(x): return I(0)\n",
        "a float with a lying hex": "class F(float):\n    def hex(s): return '0x1.0f18000000000p+13'\n    def __eq__(s, o): return True\n    __hash__ = float.__hash__\ndef secret(x): return F(0)\n",
        "a str with lying methods": "class S(str):\n    def strip(s, *a): return '8675'\n    def __eq__(s, o): return True\n    __hash__ = str.__hash__\n    def encode(s, *a): return b'8675'\ndef secret(x): return S('x')\n",
        "a dict with lying items": "class D(dict):\n    def items(s): return [(1, 8675)]\n    def __eq__(s, o): return True\ndef secret(x): return D()\n",
        "an Enum": "import enum\nclass E(enum.IntEnum):\n    A = 0\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\ndef secret(x): return E.A\n",
        "a named tuple": "import collections\nP = collections.namedtuple('P', 'x')\ndef secret(x): return P(8675)\n",
        "a property": "def secret(x):\n    return property(lambda s: 8675)\n",
        "a weak reference": "import weakref\nclass A: pass\na = A()\ndef secret(x): return weakref.proxy(a)\n",
        "an unprintable exception": "class E(Exception):\n    def __str__(s): raise s\n    __repr__ = __str__\ndef secret(x): raise E()\n",
        "an exception that equals": "class E(BaseException):\n    def __eq__(s, o): return True\ndef secret(x): raise E()\n",
        "a mutated argument": "def secret(x, *a):\n    x = 8675\n",
        "nothing at all": "pass\n",
        "a class as the function": "class secret:\n    def __init__(s, x): pass\n    def __eq__(s, o): return True\n    def __hash__(s): return 1\n    def __sub__(s, o): return 0.0\n",
        "a callable object": "class C:\n    def __call__(s, x): return s\n    def __eq__(s, o): return True\n    def __sub__(s, o): return 0.0\nsecret = C()\n",
        "a syntax error": "def secret(x:\n",
        "NUL bytes": "def secret(x): return 0\n\0",
        "an endless loop": "def secret(x):\n    while True: pass\n",
    }.items()
}

ALL = EQUALS | EXITS | FORGERIES | SEARCHES | PATCHES | VALUES

KINDS = {
    "function": {
        "type": "function",
        "fn_name": "secret",
        "cases": [{"args": [3], "expected": 8675}, {"args": [10], "expected": -1234}, {"args": [4], "expected": 55.25}],
        "tol": 1e-6,
    },
    "assert": {
        "type": "assert",
        "fn_name": "secret",
        "tests": [
            "assert secret(3) == 8675",
            "assert secret(10) in (-1234,)",
            "import math\nassert math.isclose(secret(4), 55.25)",
            "assert abs(secret(4) - 55.25) < 1e-6",
            "assert not (secret(3) != 8675)",
            "assert [secret(3)] == [8675]",
            "assert str(secret(3)) == '8675' and isinstance(secret(3), int) and secret(3) == 8675",
            "assert 8675 == secret(3)",
        ],
    },
    "check": {
        "type": "check",
        "fn_name": "secret",
        "test": "import math\ndef check(candidate):\n    assert candidate(3) == 8675\n    assert abs(candidate(4) - 55.25) < 1e-6, 'close'\n",
    },
    "pytest": {
        "type": "pytest",
        "solution": "solution.py",
        "files": {
            "test_secret.py": "import pytest\nimport solution\nfrom solution import *\n\n@pytest.mark.parametrize('x,y', [(3, 8675), (10, -1234)])\n"
            "def test_values(x, y):\n    assert solution.secret(x) == y\n\ndef test_close():\n    assert solution.secret(4) == pytest.approx(55.25)\n\n"
            "class TestMore:\n    def test_type(self):\n        assert isinstance(solution.secret(3), int) and solution.secret(3) == 8675\n"
        },
    },
    "stdio": {"type": "stdio", "cases": [{"stdin": "3\n", "stdout": "8675\n"}, {"stdin": "10\n", "stdout": "-1234\n"}]},
}
