"""The protocol for the turns that are not the policy's, and its default of one turn."""

from collections.abc import Sequence

from tasks import Environment, Message, Messages, Problem, SingleTurn

PROBLEM = Problem("p-1", ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}), "2")


class SecondTry:
    """Asks once more after a wrong answer, and once only."""

    def __init__(self) -> None:
        self.answer = ""
        self.tries = 0

    def start(self, problem: Problem) -> Messages:
        self.answer = problem.answer
        return problem.prompt

    def step(self, messages: Messages) -> Messages | None:
        self.tries += 1
        if messages[-1]["content"] == self.answer or self.tries == 2:
            return None
        return ({"role": "user", "content": "Look again."},)


def conversation(environment: Environment, turns: Sequence[str]) -> Messages:
    """What a policy that says `turns` and the environment write together."""
    messages = environment.start(PROBLEM)
    for turn in turns:
        reply: Message = {"role": "assistant", "content": turn}
        messages += (reply,)
        added = environment.step(messages)
        if added is None:
            break
        messages += added
    return messages


def test_a_single_turn_starts_with_the_prompt_and_ends_after_the_first_answer() -> None:
    assert SingleTurn().start(PROBLEM) == PROBLEM.prompt
    assert conversation(SingleTurn(), ["3", "2"]) == (*PROBLEM.prompt, {"role": "assistant", "content": "3"})


def test_an_environment_adds_messages_until_the_conversation_is_over() -> None:
    messages = conversation(SecondTry(), ["3", "2", "never said"])
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert messages[2:] == (
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "Look again."},
        {"role": "assistant", "content": "2"},
    )


def test_two_rollouts_of_one_problem_share_no_state() -> None:
    assert conversation(SecondTry(), ["3", "3"]) == conversation(SecondTry(), ["3", "3"])
    assert len(conversation(SecondTry(), ["2"])) == 3
