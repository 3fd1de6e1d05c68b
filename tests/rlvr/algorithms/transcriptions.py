"""The papers' formulas, written down row by row and token by token: what the presets are compared with.

Nothing here comes from the project. A formula gets a `Case` and two copies of the same log-probabilities: `now`, which
is differentiated, and `frozen`, which stands where a paper writes a stop-gradient or decides which tokens count. Each
returns the loss, to be minimized.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """Completions of several problems. `old` and `ref` are log-probabilities `[row][token]` of completion tokens."""

    rewards: list[float]
    problems: list[int]
    old: list[list[float]]
    ref: list[list[float]]
    parts: list[list[float]]
    cohort_lag: list[float]
    moving_average: float
    max_tokens: int

    @property
    def rows(self) -> range:
        return range(len(self.rewards))

    def siblings(self, i: int) -> list[int]:
        return [j for j in self.rows if self.problems[j] == self.problems[i]]

    def length(self, i: int) -> int:
        return len(self.old[i])

    def tokens(self) -> int:
        return sum(self.length(i) for i in self.rows)


Rows = list[list[Tensor]]
Formula = Callable[[Case, Rows, Rows], Tensor]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def std(values: list[float]) -> float:
    return (sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1)) ** 0.5


def standardized(value: float, values: list[float]) -> float:
    """(value - mean) / std, and 0 where all are equal, as every paper means it."""
    return 0.0 if len(set(values)) == 1 else (value - mean(values)) / std(values)


def group_advantage(case: Case, i: int) -> float:
    return standardized(case.rewards[i], [case.rewards[j] for j in case.siblings(i)])


def clipped(ratio: Tensor, advantage: float, low: float, high: float) -> Tensor:
    return torch.minimum(ratio * advantage, torch.clamp(ratio, 1 - low, 1 + high) * advantage)


def grpo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        for t in range(case.length(i)):
            ratio = (now[i][t] - case.old[i][t]).exp()
            gap = case.ref[i][t] - now[i][t]
            kl = gap.exp() - gap - 1
            total += (clipped(ratio, group_advantage(case, i), 0.2, 0.2) - 0.04 * kl) / case.length(i)
    return -total / len(case.rows)


def dr_grpo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = case.rewards[i] - mean([case.rewards[j] for j in case.siblings(i)])
        for t in range(case.length(i)):
            total += clipped((now[i][t] - case.old[i][t]).exp(), advantage, 0.2, 0.2)
    return -total / (len(case.rows) * case.max_tokens)


def dapo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        for t in range(case.length(i)):
            total += clipped((now[i][t] - case.old[i][t]).exp(), group_advantage(case, i), 0.2, 0.28)
    return -total / case.tokens()


def sequence_ratio(case: Case, now: Rows, i: int) -> Tensor:
    """(pi(o) / pi_old(o)) ^ (1 / |o|)"""
    log_ratio = torch.zeros((), dtype=torch.float64)
    for t in range(case.length(i)):
        log_ratio = log_ratio + now[i][t] - case.old[i][t]
    return (log_ratio / case.length(i)).exp()


def gspo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        total += clipped(sequence_ratio(case, now, i), group_advantage(case, i), 3e-4, 4e-4)
    return -total / len(case.rows)


def luspo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        total += case.length(i) * clipped(sequence_ratio(case, now, i), group_advantage(case, i), 2e-3, 2.5e-3)
    return -total / len(case.rows)


def cispo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        for t in range(case.length(i)):
            weight = min(exp(float(frozen[i][t]) - case.old[i][t]), 5.0)
            total += weight * group_advantage(case, i) * now[i][t]
    return -total / case.tokens()


def importance_weighted(case: Case, now: Rows, advantages: list[float]) -> Tensor:
    """A times pi / pi_old, token by token: the gradient is A grad log pi(o) at pi = pi_old."""
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        for t in range(case.length(i)):
            total += advantages[i] * (now[i][t] - case.old[i][t]).exp()
    return -total / len(case.rows)


def rloo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    returns = []
    for i in case.rows:
        divergence = sum(case.old[i][t] - case.ref[i][t] for t in range(case.length(i)))
        returns.append(case.rewards[i] - 0.03 * divergence)
    advantages = []
    for i in case.rows:
        others = [returns[j] for j in case.siblings(i) if j != i]
        advantages.append(returns[i] - sum(others) / len(others))
    return importance_weighted(case, now, advantages)


def reinforce(case: Case, now: Rows, frozen: Rows) -> Tensor:
    return importance_weighted(case, now, [reward - case.moving_average for reward in case.rewards])


def reinforce_pp(case: Case, now: Rows, frozen: Rows) -> Tensor:
    advantages: list[list[float]] = []
    for i in case.rows:
        advantages.append([])
        for t in range(case.length(i)):
            penalty = sum(case.old[i][k] - case.ref[i][k] for k in range(t, case.length(i)))
            advantages[i].append(case.rewards[i] - 0.01 * penalty)
    everything = [value for row in advantages for value in row]
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        for t in range(case.length(i)):
            advantage = (advantages[i][t] - mean(everything)) / std(everything)
            total += clipped((now[i][t] - case.old[i][t]).exp(), advantage, 0.2, 0.2) / case.length(i)
    return -total / len(case.rows)


def reinforce_pp_baseline(case: Case, now: Rows, frozen: Rows) -> Tensor:
    centred = [case.rewards[i] - mean([case.rewards[j] for j in case.siblings(i)]) for i in case.rows]
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = (centred[i] - mean(centred)) / std(centred)
        for t in range(case.length(i)):
            surrogate = clipped((now[i][t] - case.old[i][t]).exp(), advantage, 0.2, 0.2)
            total += (surrogate - 0.01 * (now[i][t] - case.ref[i][t]) ** 2 / 2) / case.length(i)
    return -total / len(case.rows)


def max_rl(case: Case, now: Rows, frozen: Rows) -> Tensor:
    advantages = []
    for i in case.rows:
        group = mean([case.rewards[j] for j in case.siblings(i)])
        advantages.append((case.rewards[i] - group) / group if group > 0 else 0.0)
    return importance_weighted(case, now, advantages)


def gdpo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    sums = []
    for i in case.rows:
        apart = 0.0
        for k in range(len(case.parts[i])):
            apart += standardized(case.parts[i][k], [case.parts[j][k] for j in case.siblings(i)])
        sums.append(apart)
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = (sums[i] - mean(sums)) / std(sums)
        for t in range(case.length(i)):
            total += clipped((now[i][t] - case.old[i][t]).exp(), advantage, 0.2, 0.2) / case.length(i)
    return -total / len(case.rows)


def sapo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = group_advantage(case, i)
        tau = 1.0 if advantage > 0 else 1.05
        for t in range(case.length(i)):
            ratio = (now[i][t] - case.old[i][t]).exp()
            total += 4 / tau / (1 + (-tau * (ratio - 1)).exp()) * advantage / case.length(i)
    return -total / len(case.rows)


def gmpo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = group_advantage(case, i)
        product = torch.ones((), dtype=torch.float64)
        for t in range(case.length(i)):
            ratio = (now[i][t] - case.old[i][t]).exp()
            product = product * (ratio.clamp(max=exp(0.4)) if advantage > 0 else ratio.clamp(min=exp(-0.4)))
        total += advantage * product ** (1 / case.length(i))
    return -total / len(case.rows)


def opo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    advantages = []
    for i in case.rows:
        length = sum(case.length(j) for j in case.siblings(i))
        advantages.append(case.rewards[i] - sum(case.length(j) * case.rewards[j] for j in case.siblings(i)) / length)
    return importance_weighted(case, now, advantages)


def dppo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = group_advantage(case, i)
        for t in range(case.length(i)):
            was, is_now = exp(case.old[i][t]), exp(float(frozen[i][t]))
            too_far = abs(is_now - was) > 0.15
            if too_far and ((advantage > 0 and is_now > was) or (advantage < 0 and is_now < was)):
                continue
            total += (now[i][t] - case.old[i][t]).exp() * advantage
    return -total / case.tokens()


def grpo_plus(case: Case, now: Rows, frozen: Rows) -> Tensor:
    variance = {}
    for i in case.rows:
        variance[case.problems[i]] = std([case.rewards[j] for j in case.siblings(i)]) ** 2
    mixed = [value for value in variance.values() if value > 0]
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = variance[case.problems[i]] / mean(mixed) * group_advantage(case, i)
        for t in range(case.length(i)):
            total += clipped((now[i][t] - case.old[i][t]).exp(), advantage, 0.2, 0.28) / case.length(i)
    return -total / len(case.rows)


def fair_grpo(case: Case, now: Rows, frozen: Rows) -> Tensor:
    weights = [exp(2 * lag) for lag in case.cohort_lag]
    total = torch.zeros((), dtype=torch.float64)
    for i in case.rows:
        advantage = weights[i] / mean(weights) * group_advantage(case, i)
        for t in range(case.length(i)):
            ratio = (now[i][t] - case.old[i][t]).exp()
            gap = case.ref[i][t] - now[i][t]
            total += (clipped(ratio, advantage, 0.2, 0.2) - 0.04 * (gap.exp() - gap - 1)) / case.length(i)
    return -total / len(case.rows)


FORMULAS: dict[str, Formula] = {
    formula.__name__: formula
    for formula in (
        grpo, dr_grpo, dapo, gspo, cispo, rloo, reinforce, reinforce_pp, reinforce_pp_baseline, max_rl, gdpo, sapo,
        gmpo, opo, luspo, dppo, grpo_plus, fair_grpo,
    )
}  # fmt: skip
