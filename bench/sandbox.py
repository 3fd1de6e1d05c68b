"""How many trivial programs a second: this sandbox beside two ways without one, in one run.

python bench/sandbox.py [--jobs 500] [--workers 1 2]

sandbox         `Sandbox.grade` of one function with one case: fully contained, compared, cleaned up
fork-server     a Python process that forks, execs the code and writes the answer into a pipe: no containment at all;
                one of them, or as many at once as the sandbox has workers
human-eval      the way of OpenAI's harness: a process and a manager for each program, an alarm inside it, names of
                dangerous functions set to None (a guard that its authors call no sandbox)
bare fork       os.fork, os._exit, os.waitpid: the floor for anything that gives each program a process
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sandbox import Sandbox
from sandbox.layout import PRELOAD

CODE = "def f(x):\n    return x + 1\n"
TEST = {"type": "function", "fn_name": "f", "cases": [{"args": [41], "expected": 42}]}


def measure(run: Callable[[], bool], jobs: int) -> tuple[float, float]:
    """(median in milliseconds, programs a second), one at a time."""
    repeat(run, 10)
    seconds = repeat(run, jobs)
    return statistics.median(seconds) * 1000, jobs / sum(seconds)


def measure_together(runs: list[Callable[[], bool]], jobs: int) -> tuple[float, float]:
    """The same with a thread for each of `runs`, `jobs` times each."""
    with ThreadPoolExecutor(len(runs)) as threads:
        list(threads.map(repeat, runs, [10] * len(runs)))
        started = time.perf_counter()
        seconds = [second for part in threads.map(repeat, runs, [jobs] * len(runs)) for second in part]
        return statistics.median(seconds) * 1000, len(seconds) / (time.perf_counter() - started)


def repeat(run: Callable[[], bool], times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        assert run()
        seconds.append(time.perf_counter() - started)
    return seconds


def sandbox_rate(workers: int, jobs: int) -> tuple[float, float]:
    with Sandbox(workers) as sandbox:
        return measure_together([lambda: sandbox.grade(CODE, TEST).passed == 1] * workers, jobs)


FORK_SERVER = f"""
import json, os, sys, {", ".join(PRELOAD)}
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        namespace = {{}}
        exec(request["code"], namespace)
        os.write(1, (json.dumps(namespace["f"](*request["args"])) + "\\n").encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.write(1, b"end\\n")
"""


def fork_server_rate(servers: int, jobs: int) -> tuple[float, float]:
    with contextlib.ExitStack() as stack:
        return measure_together([fork_server(stack) for _ in range(servers)], jobs)


def fork_server(stack: contextlib.ExitStack) -> Callable[[], bool]:
    server = subprocess.Popen(
        [sys.executable, "-I", "-c", FORK_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    stack.enter_context(server)
    requests, answers = stack.enter_context(server.stdin), stack.enter_context(server.stdout)

    def run() -> bool:
        requests.write(json.dumps({"code": CODE, "args": [41]}) + "\n")
        requests.flush()
        answer = answers.readline()
        return answers.readline() == "end\n" and json.loads(answer) == 42

    return run


def guarded(program: str, result: "list[str]") -> None:
    """In a child process: run a program together with its test, the way described at human-eval above."""

    def late(*_: object) -> None:
        raise TimeoutError

    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        rmdir, chdir = os.rmdir, os.chdir
        for name in (
            "kill",
            "system",
            "putenv",
            "remove",
            "removedirs",
            "fchdir",
            "setuid",
            "fork",
            "forkpty",
            "killpg",
        ):
            setattr(os, name, None)
        try:
            signal.signal(signal.SIGALRM, late)
            signal.setitimer(signal.ITIMER_REAL, 3.0)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(program, {})
            result.append("passed")
        except BaseException as error:
            result.append(f"failed: {error}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        os.rmdir, os.chdir = rmdir, chdir
        os.chdir("/")


def human_eval_rate(jobs: int) -> tuple[float, float]:
    context = multiprocessing.get_context("fork")
    program = CODE + "\ndef check(candidate):\n    assert candidate(41) == 42\n\ncheck(f)\n"

    def run() -> bool:
        with context.Manager() as manager:
            result = manager.list()
            process = context.Process(target=guarded, args=(program, result))
            process.start()
            process.join(timeout=4.0)
            if process.is_alive():
                process.kill()
            return list(result) == ["passed"]

    return measure(run, jobs)


def fork_rate(jobs: int) -> tuple[float, float]:
    def run() -> bool:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        return os.waitpid(pid, 0)[1] == 0

    return measure(run, jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with Sandbox() as sandbox:
        tier = sandbox.tier
    print(f"{'':28}{'median ms':>10}{'a second':>10}")
    rows = [(f"sandbox, tier {tier}, {n} workers", lambda n=n: sandbox_rate(n, options.jobs)) for n in options.workers]
    rows += [(f"fork-server, {n} at once", lambda n=n: fork_server_rate(n, options.jobs)) for n in options.workers]
    rows.append(("human-eval's method", lambda: human_eval_rate(max(20, options.jobs // 10))))
    rows.append(("bare fork", lambda: fork_rate(options.jobs)))
    for name, rate in rows:
        median, a_second = rate()
        print(f"{name:28}{median:10.2f}{a_second:10.0f}", flush=True)


if __name__ == "__main__":
    main()
