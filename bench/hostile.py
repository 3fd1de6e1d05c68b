"""Hostile completions through the `math` verifier, one by one: rewards, times, and the memory of the worker.

    python -m bench.hostile

Besides the hostile cases of the tests: identities that hold at every point and are more than sympy can prove in time,
so that a worker is busy until it is killed. Then 64 of each kind among 960 plain completions, in one batch with two
workers: how much longer it takes than the 960 alone, and whether their verdicts are the same. Memory is the high-water
mark of resident memory (VmHWM), read every 2 ms from all processes that the verifier has started.
"""

import os
import threading
import time
from collections import Counter
from pathlib import Path

from tests.verifiers.math.hostile import hostile
from tests.verifiers.math.test_hostile import kernel
from verifiers import MathVerifier, verify_batch


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
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children + [below for child in children for below in descendants(child)]


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


def delay_of_batch(kind: str, attackers: list[tuple[str, str]]) -> None:
    """Say how long 64 attackers hold up a batch of 1,024, three times over."""
    clean = [(rf"so it is \boxed{{{n}}}", str(n - n % 3)) for n in range(960)]
    many = (attackers * 64)[:64]
    for _ in range(3):
        started = time.perf_counter()
        alone = [verdict.score for verdict in verify_batch(clean, workers=2)]
        halfway = time.perf_counter()
        mixed = [verdict.score for verdict in verify_batch(clean[:500] + many + clean[500:], workers=2)]
        delay = time.perf_counter() - halfway - (halfway - started)
        same = mixed[:500] + mixed[564:] == alone
        print(f"64 {kind} in 1,024: {delay:.2f} s longer, the other verdicts {'unchanged' if same else 'CHANGED'}")


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
    for kind, pairs in (("hostile", hostile()), ("hard to prove", hard())):
        delay_of_batch(kind, pairs)
    print(f"{len(peaks)} processes, the largest used {max(peaks.values()) / 1024:.0f} MB")


if __name__ == "__main__":
    main()
