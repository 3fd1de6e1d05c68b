"""Who plays the turns of a conversation that are not the policy's.

Only the protocol and its default, a conversation of one turn. Left out: tools, and a table of environments by name.
"""

from typing import Protocol

from tasks.problem import Messages, Problem


class Environment(Protocol):
    """The other side of one rollout: it opens the conversation, and answers each turn of the policy or ends it.

    A `Message` is a dict `{"role": ..., "content": ...}`, as chat templates read it; `Messages` is a tuple of them,
    oldest first. The caller calls `start` once and then `step` after each turn of the policy, and appends what they
    return and what the policy wrote to the conversation.

    State belongs to the instance. There is one instance per rollout, and it is discarded when the rollout ends, so
    nothing may be carried from one rollout to the next.

    An environment must be deterministic: the same problem and the same turns of the policy give the same messages.
    Randomness is seeded from the problem's id, never from the clock or from a global generator.

    An exception that leaves `start` or `step` counts as a failed grader, not as a wrong answer: the rollout gets no
    reward, is counted, and is not trained on.
    """

    def start(self, problem: Problem) -> Messages:
        """The messages that the policy reads before its first turn: at least one, the last not from the assistant."""
        ...

    def step(self, messages: Messages) -> Messages | None:
        """The messages to add after the policy's turn, at least one; `None` if the conversation is over.

        `messages` is the whole conversation so far: those that `start` returned, every turn of the policy, and every
        message that was added since. The last one is the policy's, with the role `assistant`.
        """
        ...


class SingleTurn:
    """The default: the policy reads the problem's prompt and answers once."""

    def start(self, problem: Problem) -> Messages:
        return problem.prompt

    def step(self, messages: Messages) -> None:
        return None
