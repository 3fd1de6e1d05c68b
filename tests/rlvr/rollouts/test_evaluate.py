from collections.abc import Sequence

from rlvr.engines.scripted import ScriptedEngine
from rlvr.models.chat import Chat
from rlvr.rollouts.evaluate import evaluate, majority_solved
from rlvr.rollouts.play import Player
from rlvr.types import Group, Rollout, Sampling
from tasks import Problem
from tasks.arithmetic import Arithmetic
from verifiers import Verdict


def answered(*pairs: tuple[str | None, float]) -> Group:
    return Group(
        Arithmetic().problem(0),
        tuple(
            Rollout([1], [2], [True], [0.0], "stop", 0, verdict=Verdict(score, "wrong", extracted=answer), reward=score)
            for answer, score in pairs
        ),
    )


def test_the_majority_is_of_answers_and_silence_does_not_vote() -> None:
    assert majority_solved(answered(("7", 0.0), ("5", 1.0), ("5", 1.0), (None, 0.0), (None, 0.0), (None, 0.0))) is True
    assert majority_solved(answered(("7", 0.0), ("7", 0.0), ("5", 1.0))) is False
    assert majority_solved(answered((None, 0.0))) is False


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
