import pytest
import torch
from torch.testing import assert_close

from rlvr.algorithms.trust_region import conjugate_gradient, line_search, longest_step

MATRIX = torch.tensor([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]])


def test_conjugate_gradients_solve_three_equations_in_three_iterations() -> None:
    # 4 - 2 = 2, 1 - 6 + 3 = -2, -2 + 6 = 4
    target = torch.tensor([2.0, -2, 4])
    assert_close(conjugate_gradient(lambda v: MATRIX @ v, target, 3), torch.tensor([1.0, -2, 3]), atol=1e-5, rtol=1e-5)


def test_the_first_iteration_is_the_best_step_along_the_gradient() -> None:
    # g.g / (g M g) = 1 / 4 along the first axis
    found = conjugate_gradient(lambda v: MATRIX @ v, torch.tensor([1.0, 0, 0]), 1)
    assert_close(found, torch.tensor([0.25, 0, 0]))


def test_it_stops_where_it_has_arrived_and_nothing_asked_is_nothing_done() -> None:
    calls = []

    def product(vector: torch.Tensor) -> torch.Tensor:
        calls.append(vector)
        return 2 * vector

    assert_close(conjugate_gradient(product, torch.tensor([2.0, 4]), 10), torch.tensor([1.0, 2]))
    assert len(calls) == 1
    assert_close(conjugate_gradient(product, torch.zeros(2), 10), torch.zeros(2))
    assert len(calls) == 1


def test_the_longest_step_reaches_the_bound() -> None:
    direction = torch.tensor([1.0, -2, 3])
    curvature = float(direction @ MATRIX @ direction)  # 2 + 4 + 12
    assert curvature == 18
    step = longest_step(direction, curvature, 0.09)
    assert_close(step, 0.1 * direction)  # sqrt(0.18 / 18)
    assert float(step @ MATRIX @ step) / 2 == pytest.approx(0.09)
    assert_close(longest_step(direction, 0.0, 0.09), torch.zeros(3))


def test_a_step_is_halved_until_it_gains_within_the_bound() -> None:
    # gain x - x^2, KL x^2: of 1, 1/2, 1/4 the second gains 1/4 at a KL of 1/4
    found = line_search(lambda x: (x - x * x, x * x), bound=0.25, halvings=5)
    assert found is not None
    assert (found.share, found.gain, found.kl) == (0.5, 0.25, 0.25)
    tighter = line_search(lambda x: (x - x * x, x * x), bound=0.1, halvings=5)
    assert tighter is not None
    assert tighter.share == 0.25


@pytest.mark.parametrize(
    "measure",
    [
        lambda x: (-x, 0.0),  # loses
        lambda x: (0.0, 0.0),  # gains nothing
        lambda x: (x, 1.0),  # always too far
        lambda x: (float("nan"), 0.0),
        lambda x: (x, float("nan")),
    ],
)
def test_a_step_that_never_gains_within_the_bound_is_not_taken(measure) -> None:  # type: ignore[no-untyped-def]
    assert line_search(measure, bound=0.5, halvings=3) is None
