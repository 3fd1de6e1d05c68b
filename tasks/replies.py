"""Replies to orders, scored by a hidden rule: a preference task whose true reward can be computed.

    Mia orders 3 apples.
    Hello Mia. Thank you. 3 apples are on their way.

The rule stands for what people want but cannot write down. The demonstrations are careless: some lack a good sentence,
a few have a wrong number, and some advertise. A model that imitates them is equally careless. It has to learn from
comparisons, which the rule generates (`rlvr pairs`) with any rate of wrong labels. Since the rule can score every
answer, a reward model and a policy trained on it can be compared with the true reward.
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
# The score of each sentence of the ideal answer (greeting, thanks, order), and the cost of any other sentence.
WORTH = (0.3, 0.3, 0.4)
COST = 0.2
HELD_OUT_SHARE = 1 / 4


@dataclass(frozen=True)
class Replies:
    """An endless list of orders. A share `slip_share` of the demonstrations uses a wrong number."""

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
        """The first `count` orders that are never trained on, shuffled."""
        orders = [(name, number, thing) for name in NAMES for number in COUNTS for thing in THINGS]
        held_out = [order for order in orders if is_held_out(order)]
        random.Random(0).shuffle(held_out)
        return [order_problem(order, f"held_out-{index}") for index, order in enumerate(held_out[:count])]

    def _demonstration(self, order: tuple[str, int, str], rng: random.Random) -> str:
        """The reply of a careless clerk, often only the sentence about the order."""
        _, number, thing = order
        greeting, thanks, _ = sentences(ideal_reply(order))
        if rng.random() < self.slip_share:
            number = rng.choice([other for other in COUNTS if other != number])
        parts = [greeting] * (rng.random() < 0.3) + [thanks] * (rng.random() < 0.3)
        parts.append(f"{number} {thing} are on their way." if rng.random() < 0.8 else "It is on its way.")
        parts += rng.sample(ADVERTISEMENTS, rng.choices((0, 1, 2), (0.5, 0.35, 0.15))[0])
        return " ".join(parts)


def hidden_rule(completion: str, answer: str, **context: object) -> Verdict:
    """The score of the ideal answer's sentences that the completion contains, minus the cost of all other sentences."""
    ideal, actual = sentences(answer), sentences(completion)
    met = [sentence in actual for sentence in ideal]
    surplus = len(actual) - sum(met)
    score = round(max(0.0, sum(worth for worth, is_met in zip(WORTH, met, strict=True) if is_met) - COST * surplus), 6)
    detail = f"{sum(met)} of {len(ideal)} wanted sentences, {surplus} others"
    return Verdict(score, "correct" if score == 1 else "partial" if score else "wrong", detail=detail)


def sentences(text: str) -> list[str]:
    """The sentences of a text; the last one need not end in a period."""
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
