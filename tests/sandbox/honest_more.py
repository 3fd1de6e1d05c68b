"""More programs that do nothing wrong. See honest.py."""

PROGRAMS: dict[str, tuple[str, str | bytes, str]] = {
    "the source by inspect": (
        "import inspect\ndef f(x):\n    return x + 1\nprint(inspect.getsource(f).strip())",
        "",
        "def f(x):\n    return x + 1\n",
    ),
    "a Python of its own": (
        "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout.strip())",
        "",
        "42\n",
    ),
    "secrets and identifiers": (
        "import secrets, uuid\nprint(len(secrets.token_hex(8)), len(str(uuid.uuid4())))",
        "",
        "16 36\n",
    ),
    "a shelf": (
        "import shelve\nwith shelve.open('s') as s: s['a'] = [1]\nwith shelve.open('s') as s: print(s['a'])",
        "",
        "[1]\n",
    ),
    "sqlite in a file": (
        "import sqlite3\nc = sqlite3.connect('x.db'); c.execute('create table t (a)'); c.execute('insert into t values (5)'); c.commit(); c.close()\nprint(sqlite3.connect('x.db').execute('select a from t').fetchall())",
        "",
        "[(5,)]\n",
    ),
    "an event loop with a subprocess": (
        "import asyncio\nasync def main():\n    p = await asyncio.create_subprocess_exec('echo', 'hi', stdout=asyncio.subprocess.PIPE)\n    print((await p.communicate())[0].decode().strip())\nasyncio.run(main())",
        "",
        "hi\n",
    ),
    "locks and events": (
        "import threading\ne = threading.Event(); l = threading.RLock(); c = threading.Condition(); b = threading.Barrier(3); out = []\ndef w(i):\n    b.wait()\n    with l: out.append(i)\n    if len(out) == 3: e.set()\n[threading.Thread(target=w, args=(i,)).start() for i in range(3)]\ne.wait(5); print(sorted(out))",
        "",
        "[0, 1, 2]\n",
    ),
    "a queue between threads": (
        "import queue, threading\nq = queue.PriorityQueue()\nt = threading.Thread(target=lambda: [q.put(i) for i in (3, 1, 2)]); t.start(); t.join()\nprint([q.get() for _ in range(3)])",
        "",
        "[1, 2, 3]\n",
    ),
    "pattern matching": (
        "def f(x):\n    match x:\n        case [a, *rest]: return a, rest\n        case {'k': v}: return v\n        case _: return None\nprint(f([1, 2]), f({'k': 3}), f(0))",
        "",
        "(1, [2]) 3 None\n",
    ),
    "context variables and weak references": (
        "import contextvars, weakref\nv = contextvars.ContextVar('v', default=1)\nclass A: pass\na = A(); r = weakref.ref(a); v.set(2)\nprint(v.get(), r() is a)",
        "",
        "2 True\n",
    ),
    "xml, html, configparser": (
        "import configparser, html, xml.etree.ElementTree as E\nc = configparser.ConfigParser(); c.read_string('[a]\\nb=1')\nprint(E.fromstring('<a><b>1</b></a>').find('b').text, html.escape('<'), c['a']['b'])",
        "",
        "1 &lt; 1\n",
    ),
    "dates, calendars, time": (
        "import calendar, datetime, time\nprint(datetime.date(2024, 2, 29) + datetime.timedelta(1), calendar.isleap(2024), time.strftime('%Y', time.gmtime(0)))",
        "",
        "2024-03-01 True 1970\n",
    ),
    "tracebacks on purpose": (
        "import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: print(traceback.format_exc().splitlines()[-1])",
        "",
        "ZeroDivisionError: division by zero\n",
    ),
    "exec, eval, compile": (
        "n = {}\nexec('x = 3', n)\nprint(eval('x + 1', n), compile('1', '', 'eval').co_name)",
        "",
        "4 <module>\n",
    ),
    "metaclasses and slots": (
        "class M(type):\n    def __new__(m, n, b, d): return super().__new__(m, n, b, d | {'tag': 7})\nclass A(metaclass=M):\n    __slots__ = ('x',)\na = A(); a.x = 1\nprint(A.tag, a.x)",
        "",
        "7 1\n",
    ),
    "the exit code of a child": (
        "import os\np = os.fork()\nif p == 0: os._exit(3)\nprint(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]))",
        "",
        "3\n",
    ),
    "pipes and dup": (
        "import os\nr, w = os.pipe(); os.write(w, b'x'); os.close(w); d = os.dup(r); print(os.read(d, 5))",
        "",
        "b'x'\n",
    ),
    "printing to standard error": ("import sys\nprint('e', file=sys.stderr)\nprint('o')", "", "o\n"),
    "is it a terminal": (
        "import sys\nprint(sys.stdin.isatty(), sys.stdout.isatty(), sys.stdout.encoding)",
        "",
        "False False utf-8\n",
    ),
    "reading numbers until the end": (
        "import sys\nprint(sum(int(x) for line in sys.stdin for x in line.split()))",
        "1 2\n\n3\n",
        "6\n",
    ),
    "input after read of the buffer": (
        "import sys\na = sys.stdin.buffer.readline().decode().strip()\nprint(a, input())",
        "x\ny\n",
        "x y\n",
    ),
    "tabs, form feeds and continued lines": ("if True:\n\tx = 1 + \\\n\t\t2\n\x0c\nprint(x)", "", "3\n"),
    "only carriage returns": ("x = 1\rprint(x)\r", "", "1\n"),
    "a future import and a docstring": (
        '"""Doc."""\nfrom __future__ import annotations\nprint(__doc__, __name__)',
        "",
        "Doc. __main__\n",
    ),
    "a clock that runs": (
        "import time\na = time.perf_counter(); time.sleep(0.02); print(time.perf_counter() - a >= 0.02)",
        "",
        "True\n",
    ),
    "many small objects": ("x = [[i] for i in range(300000)]\nprint(len(x))", "", "300000\n"),
    "sixty open files": (
        "fs = [open(f'f{i}', 'w') for i in range(60)]\n[f.close() for f in fs]\nprint(len(fs))",
        "",
        "60\n",
    ),
    "five hundred files": (
        "import os\nfor i in range(500): open(f'f{i}', 'w').close()\nprint(len(os.listdir('.')))",
        "",
        "500\n",
    ),
    "a file of ten megabytes": (
        "open('f', 'wb').write(b'x' * 10_000_000)\nimport os\nprint(os.path.getsize('f'))",
        "",
        "10000000\n",
    ),
    "gc and tracemalloc": (
        "import gc, tracemalloc\ntracemalloc.start(); x = [0] * 1000; print(gc.isenabled(), tracemalloc.get_traced_memory()[0] > 0)",
        "",
        "True True\n",
    ),
}

# name -> (program, function, [(arguments, expected)])
FUNCTIONS = {
    "a generator made a list": ("def f(n): return list(x * x for x in range(n))", "f", [((3,), [0, 1, 4])]),
    "closures and nonlocal": (
        "def f(n):\n    c = 0\n    def g():\n        nonlocal c; c += 1; return c\n    return [g() for _ in range(n)]",
        "f",
        [((3,), [1, 2, 3])],
    ),
    "state between calls": (
        "import itertools\nc = itertools.count()\ndef f(): return next(c)",
        "f",
        [((), 0), ((), 1)],
    ),
    "frozen dataclasses as keys": (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass K:\n    a: int\ndef f(x): return {K(x): 1}[K(x)]",
        "f",
        [((1,), 1)],
    ),
    "Decimal and Fraction": (
        "from decimal import Decimal\nfrom fractions import Fraction\ndef f(): return [Decimal('1.50'), Fraction(1, 3)]",
        "f",
        [((), [__import__("decimal").Decimal("1.5"), __import__("fractions").Fraction(1, 3)])],
    ),
    "a large set": ("def f(n): return set(range(n))", "f", [((50000,), set(range(50000)))]),
    "a large dict": (
        "def f(n): return {i: str(i) for i in range(n)}",
        "f",
        [((20000,), {i: str(i) for i in range(20000)})],
    ),
    "a deep list": (
        "def f(n):\n    x = []\n    for _ in range(n): x = [x]\n    return x",
        "f",
        [((50,), __import__("functools").reduce(lambda a, _: [a], range(50), []))],
    ),
    "StopIteration handled inside": (
        "def f(x):\n    it = iter(x); out = []\n    while True:\n        try: out.append(next(it))\n        except StopIteration: return out",
        "f",
        [(([1, 2],), [1, 2])],
    ),
    "a solution class with state": (
        "class Solution:\n    def __init__(self): self.memo = {}\n    def fib(self, n):\n        if n < 2: return n\n        if n not in self.memo: self.memo[n] = self.fib(n - 1) + self.fib(n - 2)\n        return self.memo[n]",
        "fib",
        [((50,), 12586269025)],
    ),
}
