"""Hostile completions through the `math` verifier, one by one: rewards, times, and the memory of the worker.

    python bench/hostile.py

Besides the hostile cases of the tests: identities that hold at every point and are more than sympy can prove in time,
so that a worker is busy until it is killed. Memory is the high-water mark of resident memory (VmHWM), read every 2 ms
from all processes that the verifier has started.
"""

import os
import threading
import time
from collections import Counter
from pathlib import Path

from tests.verifiers.math.hostile import hostile
from tests.verifiers.math.test_hostile import kernel
from verifiers import MathVerifier


def hard() -> list[tuple[str, str]]:
    """Pairs that agree numerically and keep sympy busy; none may be rewarded before it has proved them."""
    pairs = [kernel(n) for n in range(8, 28, 2)]
    for n in range(2, 12):
        roots = [rf"\sqrt[3]{{{n}{sign}\sqrt{{{n * n + 1}}}}}" for sign in "+-"]
        powers = rf"e^{{-\sqrt{{{n}}}x}}", rf"(e^{{-x}})^{{\sqrt{{{n}}}}}"
        pairs.append(("+".join((*roots, powers[0])), "+".join((*reversed(roots), powers[1]))))
        sines = "+".join(rf"\sin({k}x)" for k in range(1, 3 * n))
        pairs.append((sines, rf"\frac{{\sin({3 * n}x/2)\sin({3 * n - 1}x/2)}}{{\sin(x/2)}}"))
    return [(rf"\boxed{{{left}}}", right) for left, right in pairs]


def descendants(pid: int) -> list[int]:
    try:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found + [below for child in found for below in descendants(child)]


def watch(peaks: dict[int, int], stop: threading.Event) -> None:
    """Note the high-water mark in KB of every process below this one."""
    while not stop.wait(0.002):
        for pid in descendants(os.getpid()):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if "VmHWM" in status:
                peaks[pid] = max(peaks.get(pid, 0), int(status.split("VmHWM:")[1].split()[0]))


def main() -> None:
    verifier = MathVerifier()
    peaks: dict[int, int] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(peaks, stop))
    watcher.start()
    for name, pairs in (("hostile", hostile()), ("hard to prove", hard())):
        seconds, verdicts = [], []
        for completion, answer in pairs:
            started = time.perf_counter()
            verdicts.append(verifier(completion, answer))
            seconds.append(time.perf_counter() - started)
        ordered = sorted(seconds)
        statuses = dict(Counter(verdict.status for verdict in verdicts))
        print(f"{name}: {len(pairs)} pairs, {statuses}")
        print(f"  median {1e3 * ordered[len(ordered) // 2]:.3f} ms, slowest {1e3 * ordered[-1]:.0f} ms, "
              f"first {1e3 * seconds[0]:.0f} ms")  # fmt: skip
    stop.set()
    watcher.join()
    print(f"{len(peaks)} processes, the largest used {max(peaks.values()) / 1024:.0f} MB")


if __name__ == "__main__":
    main()
