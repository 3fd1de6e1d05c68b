"""Nothing that a completion holds makes the verifier reward it, raise, or take its time."""

import time

from tests.verifiers.math.hostile import hostile
from verifiers import MathVerifier, verify_batch

PAIRS = hostile()

# A bound against hanging that a loaded machine keeps too. How long a batch is held up on a quiet one (goal: 3 s) is
# measured by bench/hostile.py.
LOADED_SECONDS = 20.0


def test_no_hostile_completion_is_rewarded_and_each_is_settled_within_a_second() -> None:
    verifier = MathVerifier()
    rewarded, slow = [], []
    for completion, answer in PAIRS:
        started = time.process_time()  # of this process: another job on the machine is not the verifier's fault
        verdict = verifier(completion, answer)
        seconds = time.process_time() - started
        if verdict.score != 0.0:
            rewarded.append((completion[:60], answer, verdict))
        if seconds > 1.0:
            slow.append((completion[:60], len(completion), seconds))
    assert rewarded == []
    assert slow == []


def test_hostile_completions_hold_up_nobody_and_change_no_verdict() -> None:
    clean = [(rf"so it is \boxed{{{n}}}", str(n - n % 3)) for n in range(960)]
    started = time.perf_counter()
    expected = [verdict.score for verdict in verify_batch(clean, workers=2)]
    clean_seconds = time.perf_counter() - started
    attackers = PAIRS[:: len(PAIRS) // 64][:64]
    mixed = clean[:500] + attackers + clean[500:]
    started = time.perf_counter()
    verdicts = verify_batch(mixed, workers=2)
    assert time.perf_counter() - started - clean_seconds < LOADED_SECONDS
    assert [verdict.score for verdict in verdicts[:500] + verdicts[564:]] == expected
    assert {verdict.score for verdict in verdicts[500:564]} == {0.0}


def kernel(n: int) -> tuple[str, str]:
    """Two ways to write a Dirichlet kernel: equal at every point, and more than sympy can prove in half a second."""
    return rf"\frac{{\sin({2 * n + 1}x)}}{{\sin x}}", "1" + "".join(rf"+2\cos({2 * k}x)" for k in range(1, n + 1))


def test_answers_that_sympy_cannot_settle_cost_a_batch_its_budget_and_not_more() -> None:
    hard = [(rf"\boxed{{{left}}}", right) for left, right in map(kernel, range(6, 28))] * 3
    easy = [("#### 42", "42"), (r"\boxed{\sqrt{3-2\sqrt2}}", r"\sqrt2-1")]
    started = time.perf_counter()
    verdicts = verify_batch(hard[:64] + easy, workers=2)
    assert time.perf_counter() - started < LOADED_SECONDS
    assert [verdict.score for verdict in verdicts[-2:]] == [1.0, 1.0]
    assert "timeout" in {verdict.status for verdict in verdicts[:-2]}
    assert {verdict.score for verdict in verdicts if verdict.status == "timeout"} == {0.0}


def test_a_long_made_up_word_beside_a_number_is_read_at_once() -> None:
    # Words that can be cut into words in 2^n ways: a fuzzer's find that once took two minutes.
    started = time.process_time()
    verdict = MathVerifier()(
        r"\boxed{12\text{ square" + "uare" * 12 + " centimeters}k}", r"12\text{ square centimeters}"
    )
    assert verdict.score == 0.0
    assert time.process_time() - started < 1.0
