"""Plays conversations: the generator answers prompts, and the environment replies, until the conversation is over.

Completions become rollouts here, and are verified at once while the generator goes on. With the default environment of
a single turn, a conversation is one completion. Left out: tools and environments in other processes.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from rlvr.engines.base import Generator, Request
from rlvr.errors import DataError, RlvrError, WeightSyncError
from rlvr.models.chat import Chat
from rlvr.rollouts.grader import Grader
from rlvr.seeds import derive
from rlvr.types import Completion, Finish, Group, Rollout, Sampling
from tasks import Environment, Message, Problem, SingleTurn
from verifiers import Verdict

# Threads that pass finished groups to the verifier's processes; they only wait.
GRADER_THREADS = 4


@dataclass
class Conversation:
    """One rollout in progress: its messages, and the tokens after the prompt with their log-probabilities."""

    environment: Environment
    messages: tuple[Message, ...]
    ids: list[int] = field(default_factory=list)
    mask: list[bool] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    versions: tuple[int, ...] = ()
    finish: Finish = "stop"
    text: str = ""
    turns: int = 0
    is_over: bool = False
    error: str | None = None

    def add_turn(self, completion: Completion, text: str) -> None:
        """Add a turn of the policy."""
        self.ids += completion.ids
        self.mask += [True] * len(completion.ids)
        self.logprobs += completion.logprobs
        self.versions = tuple(sorted({*self.versions, *completion.versions}))
        self.finish, self.text = completion.finish, text
        self.messages = (*self.messages, {"role": "assistant", "content": text})
        self.turns += 1

    def add_reply(self, messages: Sequence[Message], ids: Sequence[int]) -> None:
        """Add a reply of the environment: tokens that the policy reads but did not choose."""
        self.messages = (*self.messages, *messages)
        self.ids += ids
        self.mask += [False] * len(ids)
        self.logprobs += [0.0] * len(ids)

    def rollout(self, prompt_ids: Sequence[int]) -> Rollout:
        verdict = None if self.error is None else Verdict(None, "error", detail=self.error)
        version = min(self.versions)
        return Rollout(prompt_ids, self.ids, self.mask, self.logprobs, self.finish, version, self.text, verdict)


@dataclass
class Play:
    """The parallel conversations about one problem, and their verdicts once all of them are over."""

    problem: Problem
    draw: int
    sampling: Sampling
    seed: int
    grader: Grader
    prompt_ids: Sequence[int]
    conversations: list[Conversation]
    rollouts: list[Rollout] = field(default_factory=list)
    verdicts: "Future[list[Verdict]] | None" = None

    def group(self) -> Group:
        """The graded group; waits for its verdicts. A reward is the score of its verdict, `None` if the grader
        failed."""
        assert self.verdicts is not None
        graded = zip(self.rollouts, self.verdicts.result(), strict=True)
        return Group(self.problem, tuple(replace(r, verdict=v, reward=v.score) for r, v in graded), self.draw)


class Player:
    """Plays any number of problems at once on one generator. Nothing else submits requests or takes completions.

    `environment` makes the environment of each rollout. `submit` returns a ticket, for which `take` returns the group.
    """

    def __init__(self, generator: Generator, chat: Chat, environment: Callable[[], Environment] = SingleTurn) -> None:
        self.generator = generator
        self.chat = chat
        self.environment = environment
        self.tickets = 0
        self.requests = 0
        self.plays: dict[int, Play] = {}
        self.waiting: dict[int, tuple[int, list[int]]] = {}  # open requests: ticket and conversations
        self.threads = ThreadPoolExecutor(GRADER_THREADS, thread_name_prefix="rlvr-grader")

    def submit(self, problem: Problem, draw: int, n: int, sampling: Sampling, seed: int, grader: Grader) -> int:
        """Begin `n` conversations about a problem. The samples depend only on `seed` and the weights.

        Raises `DataError` if the prompt leaves no room for `sampling.max_tokens` in the model's context.
        """
        conversations = [begun(self.environment(), problem) for _ in range(n)]
        if any(conversation.messages != conversations[0].messages for conversation in conversations):
            raise DataError(
                f"problem {problem.id!r} of {problem.source!r}: its environment starts with other messages each time; "
                "expected the same for the same problem, since the rollouts of a group share their prompt"
            )
        prompt_ids = self.chat.problem_ids(replace(problem, prompt=conversations[0].messages), sampling.max_tokens)
        ticket, self.tickets = self.tickets, self.tickets + 1
        self.plays[ticket] = Play(problem, draw, sampling, seed, grader, prompt_ids, conversations)
        self._request(ticket, list(range(n)), prompt_ids, sampling, seed)
        return ticket

    def take(self, tickets: Sequence[int]) -> list[Group]:
        """The groups of some tickets, in the same order; waits for them."""
        while any(self.plays[ticket].verdicts is None for ticket in tickets):
            self._advance()
        return [self.plays.pop(ticket).group() for ticket in tickets]

    def collect(
        self,
        problems: Sequence[Problem],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int],
        grader: Grader,
        draws: Sequence[int] | None = None,
    ) -> list[Group]:
        """Play `n` conversations about each problem and have them verified."""
        numbered = zip(problems, seeds, draws or range(len(problems)), strict=True)
        return self.take([self.submit(problem, draw, n, sampling, seed, grader) for problem, seed, draw in numbered])

    def drain(self) -> None:
        """Wait until no request is open, so that weights can be loaded."""
        while self.waiting:
            self._advance()

    def close(self) -> None:
        """Drop open requests and close the generator."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.generator.close()

    def _request(
        self, ticket: int, conversations: list[int], prompt_ids: Sequence[int], sampling: Sampling, seed: int
    ) -> None:
        number, self.requests = self.requests, self.requests + 1
        self.waiting[number] = (ticket, conversations)
        self.generator.submit(Request(number, prompt_ids, len(conversations), sampling, seed))

    def _advance(self) -> None:
        """Wait for completions and continue their conversations."""
        finished = self.generator.ready()
        if not finished and not self.generator.open():
            raise WeightSyncError(
                f"the generator has lost {len(self.waiting)} requests: it has none open, and they did not come back. "
                "Start the same command again; it goes on from the last checkpoint"
            )
        for number, completions in finished:
            ticket, indices = self.waiting.pop(number)
            play = self.plays[ticket]
            for index, completion in zip(indices, completions, strict=True):
                self._turn(ticket, index, completion)
            if all(conversation.is_over for conversation in play.conversations):
                play.rollouts = [conversation.rollout(play.prompt_ids) for conversation in play.conversations]
                play.verdicts = self.threads.submit(verdicts_of, play.grader, play.problem, play.rollouts)

    def _turn(self, ticket: int, index: int, completion: Completion) -> None:
        """Add a turn of the policy; then the environment ends the conversation or replies."""
        play = self.plays[ticket]
        conversation = play.conversations[index]
        prompt_ids = [*play.prompt_ids, *conversation.ids]
        conversation.add_turn(completion, self.chat.text(completion.ids, prompt_ids))
        room = play.sampling.max_tokens - len(conversation.ids)
        if completion.finish == "length":
            conversation.is_over = True
            return
        try:
            reply = checked_reply(conversation.environment.step(conversation.messages))
            ids = [] if reply is None else self.chat.reply_ids(conversation.messages, reply)
        except DataError as error:
            raise DataError(f"problem {play.problem.id!r} of {play.problem.source!r}: {error}") from error
        except RlvrError:
            raise
        except Exception as error:  # whatever an environment of the user's does
            conversation.error = f"the environment failed: {type(error).__name__}: {error}"
            reply = None
        if reply is None:
            conversation.is_over = True
            return
        if room <= len(ids):  # no token is left for an answer
            conversation.finish, conversation.is_over = "length", True
            return
        conversation.add_reply(reply, ids)
        sampling = replace(play.sampling, max_tokens=room - len(ids))
        seed = derive(play.seed, "turn", conversation.turns, index)
        self._request(ticket, [index], [*play.prompt_ids, *conversation.ids], sampling, seed)


def begun(environment: Environment, problem: Problem) -> Conversation:
    try:
        return Conversation(environment, environment.start(problem))
    except Exception as error:
        raise DataError(
            f"problem {problem.id!r} of {problem.source!r}: its environment cannot start: "
            f"{type(error).__name__}: {error}"
        ) from error


def checked_reply(reply: Sequence[Message] | None) -> Sequence[Message] | None:
    """What an environment's step returned. Raises `TypeError` where it is neither messages nor `None`."""
    if reply is None:
        return None
    are_messages = isinstance(reply, Sequence) and all(
        isinstance(message, dict) and {"role", "content"} <= message.keys() for message in reply
    )
    if isinstance(reply, str) or not are_messages or not reply:
        raise TypeError(
            f"step returned {reply!r}, expected messages such as ({{'role': 'user', 'content': ...}},), or None where "
            "the conversation is over"
        )
    return reply


def verdicts_of(grader: Grader, problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
    """The grader's verdicts; a rollout whose environment failed already has one."""
    open_rollouts = [rollout for rollout in rollouts if rollout.verdict is None]
    judged = iter([verdict for _, verdict in zip(open_rollouts, grader(problem, open_rollouts), strict=True)])
    return [next(judged) if rollout.verdict is None else rollout.verdict for rollout in rollouts]


def check_versions(groups: Sequence[Group], oldest: int, newest: int) -> None:
    """Raise `WeightSyncError` for a rollout sampled with weights outside of the versions `oldest` to `newest`."""
    for rollout in (rollout for group in groups for rollout in group.rollouts):
        if not oldest <= rollout.policy_version <= newest:
            expected = f"{newest}" if oldest == newest else f"{oldest} to {newest}"
            raise WeightSyncError(
                f"the generator sampled with weights of version {rollout.policy_version}, expected {expected}: a "
                "weight sync did not arrive. Start the same command again; the last checkpoint is from before"
            )
