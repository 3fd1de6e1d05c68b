"""Orders to be answered, and a hidden rule of what makes a good answer: preferences whose truth can be computed.

    Mia orders 3 apples.
    Hello Mia. Thank you. 3 apples are on their way.

The rule stands in for what people want and cannot write down. Demonstrations are careless: each good sentence is
missing from some, numbers are wrong in a few, and some advertise. A model that imitates them is as careless; what is
better has to be learned from comparisons, which the rule makes (`rlvr pairs`), with as many mistakes as one likes. As
the rule can be asked of any answer at any time, a reward model and whatever was trained against it can be told from
the truth.
"""

import random
import re
from dataclasses import dataclass

from tasks.arithmetic import NAMES, THINGS
from tasks.problem import Problem
from tasks.splits import is_in_share
from verifiers.verdict import Verdict

COUNTS = range(2, 40)
ADVERTISEMENTS = ("Buy more soon.", "Tell your friends.", "We are the best.")
# What each sentence of the ideal answer is worth (greeting, thanks, what was ordered), and what any other one costs.
WORTH = (0.3, 0.3, 0.4)
COST = 0.2
HELD_OUT_SHARE = 1 / 4


@dataclass(frozen=True)
class Replies:
    """An endless list of orders. `slip_share` of the demonstrations that name a number name a wrong one."""

    slip_share: float = 0.1
    seed: int = 0

    def problem(self, index: int) -> Problem:
        """The training problem at `index` (0, 1, 2, ...), never a held-out one."""
        rng = random.Random(f"train {self.seed} {index}")
        while True:
            order = (rng.choice(NAMES), rng.choice(COUNTS), rng.choice(THINGS))
            if not is_held_out(order):
                return order_problem(order, f"train-{index}", self._demonstration(order, rng))

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` orders that are never trained on, in an order of their own."""
        orders = [(name, number, thing) for name in NAMES for number in COUNTS for thing in THINGS]
        held_out = [order for order in orders if is_held_out(order)]
        random.Random(0).shuffle(held_out)
        return [order_problem(order, f"held_out-{index}") for index, order in enumerate(held_out[:count])]

    def _demonstration(self, order: tuple[str, int, str], rng: random.Random) -> str:
        """What a careless clerk writes: most likely, only what was ordered."""
        _, number, thing = order
        greeting, thanks, _ = sentences(ideal_reply(order))
        if rng.random() < self.slip_share:
            number = rng.choice([other for other in COUNTS if other != number])
        reply = [greeting] * (rng.random() < 0.3) + [thanks] * (rng.random() < 0.3)
        reply.append(f"{number} {thing} are on their way." if rng.random() < 0.8 else "It is on its way.")
        reply += rng.sample(ADVERTISEMENTS, rng.choices((0, 1, 2), (0.5, 0.35, 0.15))[0])
        return " ".join(reply)


def hidden_rule(completion: str, answer: str, **context: object) -> Verdict:
    """What each sentence of the ideal answer is worth where it is spoken, less what any other or repeated one costs."""
    wanted, spoken = sentences(answer), sentences(completion)
    met = [sentence in spoken for sentence in wanted]
    surplus = len(spoken) - sum(met)
    score = round(max(0.0, sum(worth for worth, is_met in zip(WORTH, met, strict=True) if is_met) - COST * surplus), 6)
    detail = f"{sum(met)} of {len(wanted)} sentences that are wanted, {surplus} others"
    return Verdict(score, "correct" if score == 1 else "partial" if score else "wrong", detail=detail)


def sentences(text: str) -> list[str]:
    """The sentences of a text; what does not end in a period is one too."""
    return re.findall(r"[^.\s][^.]*\.?", text)


def ideal_reply(order: tuple[str, int, str]) -> str:
    name, number, thing = order
    return f"Hello {name}. Thank you. {number} {thing} are on their way."


def order_problem(order: tuple[str, int, str], id: str, solution: str | None = None) -> Problem:
    name, number, thing = order
    return Problem(
        id=id,
        prompt=({"role": "user", "content": f"{name} orders {number} {thing}."},),
        answer=ideal_reply(order),
        verifier="tasks.replies:hidden_rule",
        source="replies",
        solution=solution,
    )


def is_held_out(order: tuple[str, int, str]) -> bool:
    return is_in_share(" ".join(map(str, order)), HELD_OUT_SHARE)
