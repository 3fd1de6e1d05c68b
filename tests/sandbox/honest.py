"""Programs that do nothing wrong: (program, standard input, expected standard output)."""

PROGRAMS: dict[str, tuple[str, str | bytes, str]] = {
    "input in a loop": (
        "n = int(input())\nfor _ in range(n): print(sum(map(int, input().split())))",
        "2\n1 2\n3 4\n",
        "3\n7\n",
    ),
    "sys.stdin.read": ("import sys\nprint(sum(map(int, sys.stdin.read().split())))", "1 2\n3\n", "6\n"),
    "sys.stdin.readline": ("import sys\ninput = sys.stdin.readline\nprint(int(input()) * 2)", "21\n", "42\n"),
    "sys.stdin.buffer.read": ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))", "1 2 3", "6\n"),
    "sys.stdin.buffer.readline": (
        "import sys\nr = sys.stdin.buffer.readline\nprint(int(r()) + int(r()))",
        "1\n2\n",
        "3\n",
    ),
    "iterating over stdin": ("import sys\nprint(sum(len(l.strip()) for l in sys.stdin))", "ab\ncd\n", "4\n"),
    "open(0)": ("print(open(0).read().split())", "a b", "['a', 'b']\n"),
    "os.read of the whole size": (
        "import io, os\nb = io.BytesIO(os.read(0, os.fstat(0).st_size))\nprint(int(b.readline()) + int(b.readline()))",
        "20\n22\n",
        "42\n",
    ),
    "a fast reader class": (
        "import sys, os\nfrom io import BytesIO, IOBase\nclass F(IOBase):\n    def __init__(s, f):\n        s._fd = f.fileno(); s.buffer = BytesIO()\n"
        "    def readline(s):\n        b = os.read(s._fd, max(os.fstat(s._fd).st_size, 8192)); s.buffer.write(b); s.buffer.seek(0); return s.buffer.readline()\n"
        "print(F(sys.stdin).readline().decode().strip())",
        "fast\n",
        "fast\n",
    ),
    "mmap of stdin": ("import mmap\nm = mmap.mmap(0, 0, access=mmap.ACCESS_READ)\nprint(m[:3])", "abc", "b'abc'\n"),
    "seeking stdin": (
        "import sys\na = sys.stdin.read(); sys.stdin.seek(0); print(a == sys.stdin.read())",
        "abc",
        "True\n",
    ),
    "fileinput": ("import fileinput\nprint([l.strip() for l in fileinput.input()])", "a\nb\n", "['a', 'b']\n"),
    "sys.stdin replaced": ("import sys, io\nsys.stdin = io.StringIO('5')\nprint(int(input()))", "", "5\n"),
    "EOFError": ("try:\n    while True: print(input())\nexcept EOFError: print('end')", "a\nb", "a\nb\nend\n"),
    "large input": ("import sys\nprint(len(sys.stdin.read()))", "x" * 3_000_000, "3000000\n"),
    "large output": ("print('x' * 2_000_000)", "", "x" * 2_000_000 + "\n"),
    "many lines": (
        "import sys\nsys.stdout.write('\\n'.join(map(str, range(100000))) + '\\n')",
        "",
        "\n".join(map(str, range(100000))) + "\n",
    ),
    "stdout.buffer": ("import sys\nsys.stdout.buffer.write('ü\\n'.encode())", "", "ü\n"),
    "unbuffered writes": ("import os\nos.write(1, b'raw\\n')", "", "raw\n"),
    "print with flush and sep": ("print(1, 2, sep='-', end='!\\n', flush=True)", "", "1-2!\n"),
    "no newline at the end": ("print('x', end='')", "", "x"),
    "a byte order mark": ("\ufeffprint('bom')", "", "bom\n"),
    "CRLF": ("x = 1\r\nif x:\r\n    print('crlf')\r\n", "", "crlf\n"),
    "CRLF input": ("print([input(), input()])", "a\r\nb\r\n", "['a', 'b']\n"),
    "a declared encoding": ("# -*- coding: utf-8 -*-\nprint('é')", "", "é\n"),
    "unicode": ("s = input()\nprint(s[::-1], len(s))", "héllo 🎉", "🎉 olléh 7\n"),
    "input that is not UTF-8": ("import sys\nprint(sys.stdin.buffer.read())", b"\xff\xfe", "b'\\xff\\xfe'\n"),
    "deep recursion": (
        "import sys\nsys.setrecursionlimit(200000)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(50000))",
        "",
        "50000\n",
    ),
    "recursion in a thread with a large stack": (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(64 << 20)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)\n"
        "def main(): print(f(100000))\nt = threading.Thread(target=main); t.start(); t.join()",
        "",
        "100000\n",
    ),
    "threads": (
        "import threading\nr = []\nts = [threading.Thread(target=lambda i=i: r.append(i)) for i in range(20)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\nprint(sorted(r) == list(range(20)))",
        "",
        "True\n",
    ),
    "a thread that outlives main": (
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()\nprint('main')",
        "",
        "main\nlate\n",
    ),
    "a thread pool": (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(8) as p: print(list(p.map(lambda x: x * x, range(5))))",
        "",
        "[0, 1, 4, 9, 16]\n",
    ),
    "a process pool": (
        "from concurrent.futures import ProcessPoolExecutor\ndef f(x): return x * x\nif __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(2) as p: print(list(p.map(f, range(5))))",
        "",
        "[0, 1, 4, 9, 16]\n",
    ),
    "multiprocessing": (
        "import multiprocessing as m\ndef f(q): q.put(42)\nif __name__ == '__main__':\n    q = m.Queue(); p = m.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join()",
        "",
        "42\n",
    ),
    "asyncio": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0.01); return x\nasync def main(): print(await asyncio.gather(f(1), f(2)))\nasyncio.run(main())",
        "",
        "[1, 2]\n",
    ),
    "asyncio with a queue and a time-out": (
        "import asyncio\nasync def main():\n    q = asyncio.Queue()\n    asyncio.get_running_loop().call_later(0.01, q.put_nowait, 7)\n"
        "    print(await asyncio.wait_for(q.get(), 2))\n    try: await asyncio.wait_for(asyncio.sleep(5), 0.01)\n    except asyncio.TimeoutError: print('late')\nasyncio.run(main())",
        "",
        "7\nlate\n",
    ),
    "asyncio to a thread": ("import asyncio\nprint(asyncio.run(asyncio.to_thread(lambda: 5)))", "", "5\n"),
    "a child by fork": (
        "import os\np = os.fork()\nif p == 0:\n    print('child', flush=True); os._exit(0)\nos.waitpid(p, 0); print('parent')",
        "",
        "child\nparent\n",
    ),
    "a subprocess": (
        "import subprocess\nprint(subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout.strip())",
        "",
        "hi\n",
    ),
    "an alarm": (
        "import signal\ndef h(*a): raise TimeoutError\nsignal.signal(signal.SIGALRM, h); signal.setitimer(signal.ITIMER_REAL, 0.05)\ntry:\n    while True: sum(range(100))\nexcept TimeoutError: print('alarm')",
        "",
        "alarm\n",
    ),
    "temporary files": (
        "import tempfile, os\nwith tempfile.NamedTemporaryFile('w+') as f: f.write('x'); f.flush(); print(open(f.name).read())\nwith tempfile.TemporaryDirectory() as d: print(os.path.isdir(d))",
        "",
        "x\nTrue\n",
    ),
    "files and directories": (
        "import pathlib, shutil\np = pathlib.Path('a/b'); p.mkdir(parents=True); (p / 'f').write_text('x'); print(sorted(str(q) for q in pathlib.Path('.').rglob('f'))); shutil.rmtree('a')",
        "",
        "['a/b/f']\n",
    ),
    "importing an own module": ("open('mine.py', 'w').write('X = 5')\nimport mine\nprint(mine.X)", "", "5\n"),
    "sqlite in memory": (
        "import sqlite3\nc = sqlite3.connect(':memory:'); print(c.execute('select 1 + 1').fetchone())",
        "",
        "(2,)\n",
    ),
    "dataclasses": (
        "from dataclasses import dataclass, field, asdict\n@dataclass(order=True)\nclass P:\n    x: int\n    y: list = field(default_factory=list)\nprint(asdict(P(1)), P(1) < P(2))",
        "",
        "{'x': 1, 'y': []} True\n",
    ),
    "enum and typing": (
        "from enum import Enum, auto\nfrom typing import NamedTuple, Optional\nclass C(Enum):\n    A = auto()\nclass N(NamedTuple):\n    x: Optional[int] = 3\nprint(C.A.value, N())",
        "",
        "1 N(x=3)\n",
    ),
    "abc and protocols": (
        "import abc\nfrom typing import Protocol, runtime_checkable\n@runtime_checkable\nclass P(Protocol):\n    def f(self) -> int: ...\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\nclass B(A):\n    def f(self): return 1\nprint(isinstance(B(), P))",
        "",
        "True\n",
    ),
    "pickle": (
        "import pickle\nclass A:\n    def __init__(s): s.x = 3\nprint(pickle.loads(pickle.dumps(A())).x)",
        "",
        "3\n",
    ),
    "decimal and fractions": (
        "from decimal import Decimal, getcontext\nfrom fractions import Fraction\ngetcontext().prec = 30\nprint(Decimal(1) / 3, Fraction(1, 3) + 1)",
        "",
        "0.333333333333333333333333333333 4/3\n",
    ),
    "large integers": ("import sys\nsys.set_int_max_str_digits(0)\nprint(len(str(3 ** 20000)))", "", "9543\n"),
    "heapq, bisect, lru_cache": (
        "import heapq, bisect\nfrom functools import lru_cache\n@lru_cache(None)\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)\nh = [3, 1, 2]; heapq.heapify(h)\nprint(heapq.heappop(h), bisect.bisect([1, 2], 1), f(100))",
        "",
        "1 1 354224848179261915075\n",
    ),
    "random with a seed": (
        "import random\nrandom.seed(1)\nprint(random.randint(1, 100), random.choice('abc') in 'abc')",
        "",
        "18 True\n",
    ),
    "dates and zones": (
        "import datetime, zoneinfo\nd = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris'))\nprint(d.utcoffset())",
        "",
        "2:00:00\n",
    ),
    "json, csv, re, string": (
        "import json, csv, io, re, string\nprint(json.dumps({'a': [1]}), next(csv.reader(io.StringIO('a,b'))), re.sub('a+', 'b', 'caat'), string.ascii_lowercase[:3])",
        "",
        "{\"a\": [1]} ['a', 'b'] cbt abc\n",
    ),
    "unittest": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 1)\nr = unittest.main(exit=False, argv=['x']).result\nprint(r.wasSuccessful())",
        "",
        "True\n",
    ),
    "mock": (
        "from unittest.mock import MagicMock\nm = MagicMock(return_value=3)\nprint(m(1), m.call_count)",
        "",
        "3 1\n",
    ),
    "logging and argparse": (
        "import logging, argparse, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s'); logging.warning('w')\np = argparse.ArgumentParser(); p.add_argument('--n', default=3)\nprint(p.parse_args([]).n)",
        "",
        "w\n3\n",
    ),
    "compression and hashes": (
        "import zlib, gzip, bz2, lzma, hashlib, base64\nprint(zlib.decompress(zlib.compress(b'x')), gzip.decompress(gzip.compress(b'x')), hashlib.sha256(b'x').hexdigest()[:6], base64.b64encode(b'x'))",
        "",
        "b'x' b'x' 2d7116 b'eA=='\n",
    ),
    "exit hooks": ("import atexit\natexit.register(print, 'bye')\nprint('hi')", "", "hi\nbye\n"),
    "sys.exit(0) at the end": (
        "import sys\ndef main():\n    print('done'); sys.exit(0)\nif __name__ == '__main__': main()",
        "",
        "done\n",
    ),
    "exit()": ("print('a')\nexit()", "", "a\n"),
    "warnings": ("import warnings\nwarnings.warn('x')\nprint('ok')", "", "ok\n"),
    "generators and context managers": (
        "import contextlib\n@contextlib.contextmanager\ndef c():\n    yield 5\nwith c() as x: print(x)",
        "",
        "5\n",
    ),
    "inspect and the source": ("import inspect\ndef f(a, b=2): pass\nprint(inspect.signature(f))", "", "(a, b=2)\n"),
    "the environment": (
        "import os, getpass, platform\nprint(os.path.expanduser('~') == os.getcwd(), getpass.getuser() != '', platform.system(), os.cpu_count() >= 1)",
        "",
        "True True Linux True\n",
    ),
    "a memory view and array": (
        "import array\na = array.array('i', [1, 2]); print(memoryview(a)[1], bytearray(b'ab'))",
        "",
        "2 bytearray(b'ab')\n",
    ),
    "100 MB of memory": ("x = bytearray(100 << 20)\nprint(len(x))", "", "104857600\n"),
    "ctypes": ("import ctypes\nprint(ctypes.CDLL(None).abs(-3))", "", "3\n"),
    "select and socketpair": (
        "import select, socket\na, b = socket.socketpair(); a.send(b'x'); print(select.select([b], [], [], 1)[0] == [b])",
        "",
        "True\n",
    ),
    "numpy": (
        "import numpy as np\nprint(np.linalg.solve(np.eye(2), np.array([1.0, 2.0])).tolist(), np.random.default_rng(0).integers(5) >= 0)",
        "",
        "[1.0, 2.0] True\n",
    ),
    "a sieve": (
        "n = 200000\ns = bytearray([1]) * (n + 1)\nfor i in range(2, 448):\n    if s[i]: s[i*i::i] = bytes(len(s[i*i::i]))\nprint(sum(s) - 2)",
        "",
        "17984\n",
    ),
}

NEED_SEMAPHORES = ("a process pool", "multiprocessing")

# name -> (program, function, [(arguments, expected)])
FUNCTIONS = {
    "plain": ("def f(a, b): return a + b", "f", [((1, 2), 3), (("a", "b"), "ab"), (([1], [2]), [1, 2])]),
    "tuples and sets": (
        "def f(x): return (x, {x}, frozenset([x]), {'k': (x,)})",
        "f",
        [((1,), (1, {1}, frozenset([1]), {"k": (1,)}))],
    ),
    "None and bools": ("def f(x): return [None, x > 0, not x]", "f", [((1,), [None, True, False])]),
    "floats": ("def f(x): return [x / 3, float('inf'), -0.0]", "f", [((1,), [1 / 3, float("inf"), -0.0])]),
    "an expected NaN": ("def f(): return [float('nan')]", "f", [((), [float("nan")])]),
    "large integers": ("def f(n): return -(7 ** n)", "f", [((5000,), -(7**5000))]),
    "complex and bytes": (
        "def f(b): return (1 + 2j, b[::-1], bytearray(b))",
        "f",
        [((b"ab",), (1 + 2j, b"ba", bytearray(b"ab")))],
    ),
    "a Counter": (
        "from collections import Counter, OrderedDict, defaultdict\ndef f(s): return [Counter(s), OrderedDict(a=1), defaultdict(int, b=2)]",
        "f",
        [(("aab",), [{"a": 2, "b": 1}, {"a": 1}, {"b": 2}])],
    ),
    "a named tuple": (
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\ndef f(): return P(1)",
        "f",
        [((), (1,))],
    ),
    "dict keys of several types": (
        "def f(): return {1: 'a', (1, 2): 'b', None: 'c'}",
        "f",
        [((), {1: "a", (1, 2): "b", None: "c"})],
    ),
    "unicode and surrogates": ("def f(s): return s + '\\ud800é'", "f", [(("🎉",), "🎉\ud800é")]),
    "a method of Solution": (
        "class Solution:\n    def twoSum(self, a, t):\n        return [0, 1]",
        "twoSum",
        [(([1, 2], 3), [0, 1])],
    ),
    "a dotted method": ("class Solution:\n    def go(self, x): return x", "Solution.go", [((1,), 1)]),
    "prints on the side": ("print('loading')\ndef f(x):\n    print(x); return x", "f", [((1,), 1), ((2,), 2)]),
    "a main guard": ("def f(x): return x\nif __name__ == '__main__': raise SystemExit(f(1))", "f", [((1,), 1)]),
    "recursion and memory": (
        "import sys\nsys.setrecursionlimit(10000)\nfrom functools import cache\n@cache\ndef f(n): return n if n < 2 else f(n-1) + f(n-2)",
        "f",
        [((900,), None)],
    ),
    "mutating its arguments": ("def f(a):\n    a.append(1); return a", "f", [(([],), [1]), (([],), [1])]),
    "a lambda": ("f = lambda x: x * 2", "f", [((2,), 4)]),
    "a partial": ("import functools\nf = functools.partial(pow, 2)", "f", [((3,), 8)]),
    "asyncio inside": (
        "import asyncio\nasync def g(x): return x\ndef f(x): return asyncio.run(g(x))",
        "f",
        [((1,), 1), ((2,), 2)],
    ),
    "threads inside": (
        "from concurrent.futures import ThreadPoolExecutor\ndef f(x):\n    with ThreadPoolExecutor() as p: return list(p.map(abs, x))",
        "f",
        [(([-1, 2],), [1, 2])],
    ),
    "numpy scalars": (
        "import numpy as np\ndef f(x): return [np.int64(3), np.float64(0.5), np.bool_(True), np.array(x).sum()]",
        "f",
        [(([1, 2],), [3, 0.5, True, 3])],
    ),
    "a dataclass inside": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f(x): return P(x).x",
        "f",
        [((4,), 4)],
    ),
    "int for float": ("def f(x): return x", "f", [((2,), 2.0), ((2.0,), 2)]),
}
