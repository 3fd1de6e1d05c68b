import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from rlvr.algorithms.weights import AGGREGATES, token_weights

MASK = tensor([[0, 1, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0]], dtype=torch.bool)
GROUPS = tensor([0, 0, 1])


@pytest.mark.parametrize(
    ("aggregate", "row_weights"),
    [
        ("token", [1 / 6, 1 / 6, 1 / 6]),
        ("sequence", [1 / 9, 1 / 3, 1 / 6]),
        ("sequence_sum", [1 / 3, 1 / 3, 1 / 3]),
        ("prompt", [1 / 8, 1 / 8, 1 / 4]),  # group 0 has 4 tokens, group 1 has 2
        ("constant", [1 / 30, 1 / 30, 1 / 30]),  # 3 rows x 10 tokens
    ],
)
def test_weights_by_hand(aggregate: str, row_weights: list[float]) -> None:
    expected = tensor(row_weights).unsqueeze(-1) * MASK
    assert_close(token_weights(MASK, GROUPS, aggregate, max_tokens=10), expected)


@pytest.mark.parametrize("aggregate", sorted(AGGREGATES))
def test_padding_and_the_order_of_rows_change_nothing(aggregate: str) -> None:
    weights = token_weights(MASK, GROUPS, aggregate, max_tokens=10)
    padded = torch.cat([MASK, torch.zeros(3, 5, dtype=torch.bool)], dim=1)
    assert_close(token_weights(padded, GROUPS, aggregate, max_tokens=10)[:, :4], weights)
    order = tensor([2, 0, 1])
    assert_close(token_weights(MASK[order], GROUPS[order], aggregate, max_tokens=10), weights[order])


@pytest.mark.parametrize("aggregate", ["token", "sequence", "prompt"])
def test_averages_sum_to_one(aggregate: str) -> None:
    assert_close(token_weights(MASK, GROUPS, aggregate, max_tokens=10).sum(), tensor(1.0))


def test_rows_and_groups_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="got 3, expected 2"):
        token_weights(MASK, GROUPS[:2], "token", max_tokens=10)
