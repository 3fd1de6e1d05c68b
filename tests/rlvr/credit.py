"""Groups on their way through credit assignment, as a trainer takes them."""

from collections.abc import Sequence

from torch import Tensor

from rlvr.algorithms.credit import Credit, assign_credit
from rlvr.algorithms.objective import Objective
from rlvr.rollouts.history import History
from rlvr.rollouts.rows import Rows
from rlvr.rollouts.selection import Pool
from rlvr.types import Batch, Group


def credit_of(
    groups: Sequence[Group],
    objective: Objective,
    history: History | None = None,
    max_tokens: int = 10,
    penalty: Tensor | None = None,
) -> tuple[Rows, Batch, Credit]:
    rows = Rows.of(groups)
    batch = rows.batch()
    outcomes = rows.outcomes(history or History(), decoupled=objective.combine == "decoupled")
    return rows, batch, assign_credit(outcomes, batch.completion_mask, objective, max_tokens, penalty)


def credited(groups: Sequence[Group], objective: Objective, *more: object, **options: object) -> list[Group]:
    """The groups with shaping and advantages."""
    rows, _, credit = credit_of(groups, objective, *more, **options)
    return rows.credited(credit)


def pool_of(groups: Sequence[Group], objective: Objective, version: int = 0) -> Pool:
    """A step's pool with these groups in its batch."""
    return Pool(len(groups), objective, version, fresh=tuple(groups), kept=tuple(groups))
