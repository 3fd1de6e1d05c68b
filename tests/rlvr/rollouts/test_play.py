"""Conversations of one turn and of several, from the request to the graded group."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rlvr.engines.scripted import ScriptedEngine
from rlvr.errors import DataError, WeightSyncError
from rlvr.models.chat import Chat
from rlvr.rollouts.play import check_versions
from rlvr.seeds import derive
from rlvr.types import Completion, Rollout, Sampling
from tasks import Messages, Problem
from tests.rlvr.players import Numbers, digit, even_is_right, player_of
from verifiers import Verdict

PROBLEM = Numbers().problem(0)
AGAIN: Messages = ({"role": "user", "content": "again"},)


class AsksAgain:
    """Says "again" after the first turn, and ends the conversation after the second."""

    def __init__(self) -> None:
        self.turns = 0

    def start(self, problem: Problem) -> Messages:
        return ({"role": "system", "content": "Be brief."}, *problem.prompt)

    def step(self, messages: Messages) -> Messages | None:
        self.turns += 1
        return AGAIN if self.turns == 1 else None


class FailsOnOnes(AsksAgain):
    """Breaks where the policy says 1, and ends the conversation otherwise."""

    def step(self, messages: Messages) -> Messages | None:
        if messages[-1]["content"] == "1":
            raise RuntimeError("the table is gone")
        return None


class CannotStart(AsksAgain):
    def start(self, problem: Problem) -> Messages:
        raise ValueError("no board for this opening")


class SureEngine(ScriptedEngine):
    """Gives each of its tokens the log-probability -0.5, and has newer weights after each request."""

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        finished = super().ready(timeout_seconds)
        self.version += 1
        return [
            (number, [replace(completion, logprobs=[-0.5] * len(completion.ids)) for completion in completions])
            for number, completions in finished
        ]


class LastFirst(ScriptedEngine):
    """Finishes the requests in the opposite order."""

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        self.waiting.reverse()
        finished = super().ready(timeout_seconds)
        self.waiting.reverse()
        return finished


def two_then_four(prompt: str, seed: int, number: int) -> str:
    return "4" if "again" in prompt else "2"


def rollout_of(engine: ScriptedEngine, chat: Chat, max_tokens: int = 40) -> Rollout:
    """The only rollout of a conversation in which the environment speaks once."""
    player = player_of(chat, engine=engine, environment=AsksAgain)
    (group,) = player.collect([PROBLEM], 1, Sampling(max_tokens), [7], even_is_right)
    (rollout,) = group.rollouts
    return rollout


def test_the_environments_tokens_are_read_and_neither_chosen_nor_counted(chat: Chat) -> None:
    rollout = rollout_of(SureEngine(two_then_four, chat), chat)
    prompt = AsksAgain().start(PROBLEM)
    first, second = chat.completion_ids("2"), chat.completion_ids("4")
    reply = chat.reply_ids((*prompt, {"role": "assistant", "content": "2"}), AGAIN)
    assert list(rollout.prompt_ids) == chat.prompt_ids(prompt)
    assert list(rollout.completion_ids) == [*first, *reply, *second]
    assert list(rollout.completion_mask) == [True] * 2 + [False] * len(reply) + [True] * 2
    assert list(rollout.rollout_logprobs) == [-0.5] * 2 + [0.0] * len(reply) + [-0.5] * 2
    assert rollout.sampled_tokens == 4


def test_a_turn_that_a_stop_string_ended_is_closed_before_the_environment_speaks(chat: Chat) -> None:
    player = player_of(chat, lambda prompt, seed, number: "2</a> and so on", environment=AsksAgain)
    (group,) = player.collect([PROBLEM], 1, Sampling(60, stop=("</a>",)), [7], even_is_right)
    (rollout,) = group.rollouts
    written = chat.tokenizer.encode("2</a>", add_special_tokens=False)
    prompt, end = AsksAgain().start(PROBLEM), chat.end_ids[0]
    reply = chat.reply_ids((*prompt, {"role": "assistant", "content": "2</a>"}), AGAIN)
    assert (rollout.text, rollout.finish) == ("2</a>", "stop")
    assert list(rollout.completion_ids) == [*written, end, *reply, *written]
    assert list(rollout.completion_mask) == [
        *[True] * len(written), *[False] * (1 + len(reply)), *[True] * len(written)
    ]  # fmt: skip


def test_a_conversation_has_its_last_turns_text_and_its_oldest_turns_version(chat: Chat) -> None:
    rollout = rollout_of(SureEngine(two_then_four, chat), chat)  # the second turn is of version 1
    assert (rollout.text, rollout.finish, rollout.reward) == ("4", "stop", 1.0)
    assert rollout.policy_version == 0


def test_each_later_turn_has_a_seed_of_its_own(chat: Chat) -> None:
    seeds: list[int] = []
    player = player_of(chat, lambda prompt, seed, number: seeds.append(seed) or "2", environment=AsksAgain)
    player.collect([PROBLEM], 2, Sampling(40), [7], even_is_right)
    assert seeds == [7, 7, derive(7, "turn", 1, 0), derive(7, "turn", 1, 1)]


def test_max_tokens_bounds_the_whole_conversation(chat: Chat) -> None:
    def rambles_later(prompt: str, seed: int, number: int) -> str:
        return "1 2 3 4 5 6 7 8 9" if "again" in prompt else "2"

    reply = chat.reply_ids((*AsksAgain().start(PROBLEM), {"role": "assistant", "content": "2"}), AGAIN)
    rollout = rollout_of(ScriptedEngine(rambles_later, chat), chat, max_tokens=2 + len(reply) + 3)
    assert rollout.finish == "length"
    assert len(rollout.completion_ids) == 2 + len(reply) + 3
    assert rollout.sampled_tokens == 5


def test_a_reply_that_leaves_no_token_for_an_answer_ends_the_conversation_without_it(chat: Chat) -> None:
    reply = chat.reply_ids((*AsksAgain().start(PROBLEM), {"role": "assistant", "content": "2"}), AGAIN)
    rollout = rollout_of(ScriptedEngine(two_then_four, chat), chat, max_tokens=2 + len(reply))
    assert rollout.finish == "length"
    assert list(rollout.completion_ids) == chat.completion_ids("2")
    assert (rollout.text, rollout.reward) == ("2", 1.0)


def test_an_environment_that_fails_gives_no_reward_and_its_siblings_are_graded(chat: Chat) -> None:
    judged: list[str] = []

    def grade(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
        judged.extend(rollout.text for rollout in rollouts)
        return even_is_right(problem, rollouts)

    player = player_of(chat, lambda prompt, seed, number: str(number), environment=FailsOnOnes)
    (group,) = player.collect([PROBLEM], 4, Sampling(40), [0], grade)
    assert [rollout.reward for rollout in group.rollouts] == [1.0, None, 1.0, 0.0]
    verdict = group.rollouts[1].verdict
    assert verdict is not None
    assert (verdict.score, verdict.status) == (None, "error")
    assert verdict.detail == "the environment failed: RuntimeError: the table is gone"
    assert judged == ["0", "2", "3"]


def test_an_environment_that_cannot_start_is_an_error_that_names_the_problem(chat: Chat) -> None:
    player = player_of(chat, environment=CannotStart)
    expected = r"problem 'number-0' of '': its environment cannot start: ValueError: no board for this opening"
    with pytest.raises(DataError, match=expected):
        player.submit(PROBLEM, 0, 2, Sampling(4), 0, even_is_right)
    assert player.generator.open() == 0


def test_groups_are_taken_by_ticket_whichever_was_finished_first(chat: Chat) -> None:
    task, seeds = Numbers(), [11, 12, 13, 14]
    problems = [task.problem(number) for number in range(4)]
    expected = player_of(chat).collect(problems, 2, Sampling(40), seeds, even_is_right)
    player = player_of(chat, engine=LastFirst(digit, chat))
    tickets = [
        player.submit(problem, number, 2, Sampling(40), seeds[number], even_is_right)
        for number, problem in enumerate(problems)
    ]
    assert player.take([tickets[2], tickets[0]]) == [expected[2], expected[0]]
    assert player.take([tickets[1], tickets[3]]) == [expected[1], expected[3]]
    assert [group.draw for group in expected] == [0, 1, 2, 3]
    assert len({rollout.text for group in expected for rollout in group.rollouts}) > 1


def test_after_draining_no_request_is_open_and_the_groups_can_still_be_taken(chat: Chat) -> None:
    player = player_of(chat, two_then_four, environment=AsksAgain)
    ticket = player.submit(PROBLEM, 5, 2, Sampling(40), 0, even_is_right)
    player.drain()
    assert player.generator.open() == 0
    (group,) = player.take([ticket])
    assert (group.draw, group.rewards) == (5, [1.0, 1.0])


def test_what_the_grader_raises_is_raised_where_the_group_is_taken(chat: Chat) -> None:
    def grade(problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
        raise OSError("the verifier's processes cannot be started")

    with pytest.raises(OSError, match="cannot be started"):
        player_of(chat).collect([PROBLEM], 1, Sampling(40), [0], grade)


@pytest.mark.parametrize(
    ("oldest", "newest", "expected"),
    [(3, 3, "of version 2, expected 3: a weight sync did not arrive"), (0, 1, "of version 2, expected 0 to 1: ")],
)
def test_a_rollout_of_weights_outside_of_the_range_is_refused(
    chat: Chat, oldest: int, newest: int, expected: str
) -> None:
    player = player_of(chat)
    player.generator.version = 2
    groups = player.collect([PROBLEM], 2, Sampling(40), [0], even_is_right)
    check_versions(groups, 2, 2)
    check_versions(groups, 0, 2)
    check_versions(groups, 2, 5)
    with pytest.raises(WeightSyncError, match=expected):
        check_versions(groups, oldest, newest)


class Malformed:
    """Replies with what is no message."""

    reply: object = "again"

    def start(self, problem: Problem) -> Messages:
        return problem.prompt

    def step(self, messages: Messages) -> object:
        return self.reply


@pytest.mark.parametrize("reply", ["again", (), ({"role": "user"},), ("again",), 3])
def test_a_reply_that_is_no_message_is_the_environments_failure(chat: Chat, reply: object) -> None:
    made = type("Made", (Malformed,), {"reply": reply})
    player = player_of(chat, lambda prompt, seed, number: "2", environment=made)
    (group,) = player.collect([PROBLEM], 1, Sampling(40), [0], even_is_right)
    verdict = group.rollouts[0].verdict
    assert verdict is not None
    assert (verdict.score, verdict.status) == (None, "error")
    assert "expected messages such as" in verdict.detail


def test_a_grader_with_too_few_or_too_many_verdicts_is_an_error(chat: Chat) -> None:
    for extra in (-1, 1):

        def grade(problem: Problem, rollouts: Sequence[Rollout], extra: int = extra) -> list[Verdict]:
            return [Verdict(1.0, "correct")] * (len(rollouts) + extra)

        with pytest.raises(ValueError, match=r"zip\(\)"):
            player_of(chat).collect([PROBLEM], 2, Sampling(40), [0], grade)


def test_an_environment_that_starts_otherwise_each_time_is_refused(chat: Chat) -> None:
    starts = iter("ab")

    class Moody(Malformed):
        def start(self, problem: Problem) -> Messages:
            return ({"role": "user", "content": next(starts)},)

    with pytest.raises(DataError, match="starts with other messages each time"):
        player_of(chat, environment=Moody).collect([PROBLEM], 2, Sampling(40), [0], even_is_right)
