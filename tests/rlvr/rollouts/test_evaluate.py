from collections.abc import Sequence

import pytest

from rlvr.engines.scripted import ScriptedEngine
from rlvr.models.chat import Chat
from rlvr.rollouts.evaluate import evaluate, majority_score, mean_estimate, proportion
from rlvr.rollouts.play import Player
from rlvr.types import Group, Rollout, Sampling
from tasks import Problem
from tasks.arithmetic import Arithmetic
from verifiers import Verdict


def test_the_wilson_interval_of_8_in_10_is_the_textbooks() -> None:
    found = proportion([True] * 8 + [False] * 2)
    assert found.mean == 0.8
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)


def test_the_wilson_interval_stays_honest_at_the_ends() -> None:
    assert proportion([True] * 20).low == pytest.approx(0.8389, abs=1e-4)
    assert proportion([True] * 20).high == 1.0
    assert proportion([False] * 20).low == 0.0


def test_the_interval_of_a_mean_is_over_problems() -> None:
    # Variance (0.25 + 0.25) / 4 = 0.125, so 4 * 0.25 / 0.125 = 8 effective draws of p = 0.5:
    # half = 1.96 sqrt(0.25 / 8 + 1.96^2 / 256) / (1 + 1.96^2 / 8) = 0.2848.
    found = mean_estimate([0.0, 0.5, 1.0, 0.5], samples=8)
    assert found.mean == 0.5
    assert found.low == pytest.approx(0.2152, abs=1e-4)
    assert found.high == pytest.approx(0.7848, abs=1e-4)


def test_scores_that_are_all_or_nothing_have_the_interval_of_a_proportion() -> None:
    assert mean_estimate([1.0] * 8 + [0.0] * 2, samples=4) == proportion([True] * 8 + [False] * 2)


@pytest.mark.parametrize("samples", [1, 8])
def test_a_mean_of_nothing_or_of_everything_is_not_certain(samples: int) -> None:
    # z^2 / (n + z^2) with n = 512: what 512 problems can say, however often each was tried.
    none, all_of_them = mean_estimate([0.0] * 512, samples), mean_estimate([1.0] * 512, samples)
    assert (none.low, none.high) == (0.0, pytest.approx(0.00745, abs=1e-5))
    assert (all_of_them.low, all_of_them.high) == (pytest.approx(0.99255, abs=1e-5), 1.0)


def test_problems_that_are_all_equally_hard_count_by_their_samples() -> None:
    assert mean_estimate([0.5] * 10, samples=4) == proportion([True, False] * 20)


def answered(*pairs: tuple[str | None, float]) -> Group:
    return Group(
        Arithmetic().problem(0),
        tuple(
            Rollout([1], [2], [True], [0.0], "stop", 0, verdict=Verdict(score, "wrong", extracted=answer), reward=score)
            for answer, score in pairs
        ),
    )


def test_the_majority_is_of_answers_and_silence_does_not_vote() -> None:
    assert majority_score(answered(("7", 0.0), ("5", 1.0), ("5", 1.0), (None, 0.0), (None, 0.0), (None, 0.0))) == 1.0
    assert majority_score(answered(("7", 0.0), ("7", 0.0), ("5", 1.0))) == 0.0
    assert majority_score(answered((None, 0.0))) == 0.0


def test_an_evaluation_tells_greedy_mean_any_and_majority_apart(chat: Chat) -> None:
    task = Arithmetic()
    problems = task.held_out(40)
    answer_of = {chat.prompt_text(chat.prompt_ids(problem.prompt)): problem.answer for problem in problems}

    def script(prompt: str, seed: int, number: int) -> str:
        # The first two of four completions are right, the others give two different wrong answers.
        right = answer_of[prompt]
        return f"#### {right if number < 2 else int(right) + number}"

    from rlvr.config import VerifyConfig
    from rlvr.rollouts.grader import make_grader

    player = Player(ScriptedEngine(script, chat), chat)
    found = evaluate(problems, 4, Sampling(40), player, make_grader(VerifyConfig(workers=1)), seed=0)
    means = {name: estimate.mean for name, estimate in found.estimates.items()}
    assert means == {"greedy": 1.0, "avg@4": 0.5, "pass@4": 1.0, "maj@4": 1.0}
    assert found.truncated == 0
    figures = found.metrics()
    assert figures["eval/avg@4"] == 0.5
    assert {problem.cohort for problem in problems} == {"2 steps", "3 steps"}
    assert figures["eval/avg@4/cohort/2 steps"] == figures["eval/avg@4/cohort/3 steps"] == 0.5
    assert figures["eval/greedy/cohort/3 steps"] == 1.0


def test_lengths_are_of_correct_and_of_incorrect_completions(chat: Chat) -> None:
    problems = Arithmetic().held_out(2)

    def script(prompt: str, seed: int, number: int) -> str:
        return "even more words 2" if number % 2 else "1"

    def grade(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(float(r.text == "1"), "correct" if r.text == "1" else "wrong") for r in rollouts]

    player = Player(ScriptedEngine(script, chat), chat)
    figures = evaluate(problems, 2, Sampling(40), player, grade, seed=0).metrics()
    assert figures["eval/length_correct"] == len(chat.completion_ids("1"))
    assert figures["eval/length_incorrect"] == len(chat.completion_ids("even more words 2"))
