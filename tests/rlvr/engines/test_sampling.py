import math
from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from rlvr.engines.sampling import LogitRules, draw, draw_uniforms, penalize, tokens_seen, truncate
from rlvr.types import Sampling


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0]).log().expand(20_000, 5)
    tokens, logprobs = draw(logits, draw_uniforms(0, 20_000, 1)[:, 0], Sampling(1))
    shares = Counter(tokens.tolist())
    for token, probability in enumerate([0.5, 0.3, 0.15, 0.05]):
        assert shares[token] / 20_000 == pytest.approx(probability, abs=0.01)
    assert shares[4] == 0  # what has no probability is never drawn
    assert_close(logprobs, logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1))


def test_the_extremes_of_the_uniform_numbers_draw_possible_tokens() -> None:
    logits = torch.tensor([[-math.inf, 1.0, 2.0, -math.inf]]).expand(2, 4)
    tokens, _ = draw(logits, torch.tensor([0.0, 1.0 - 2**-24]), Sampling(1))
    assert tokens.tolist() == [1, 2]


def test_top_k_and_top_p_keep_the_likeliest_tokens() -> None:
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    assert truncate(logits, Sampling(1, top_k=2)).isfinite().tolist() == [[False, True, False, True]]
    assert truncate(logits, Sampling(1, top_p=0.65)).isfinite().tolist() == [[False, True, False, True]]
    assert truncate(logits, Sampling(1, top_p=0.75)).isfinite().tolist() == [[False, True, True, True]]
    assert truncate(logits, Sampling(1, top_p=0.01)).isfinite().tolist() == [[False, True, False, False]]


def test_logprobs_of_a_truncated_distribution_are_renormalized() -> None:
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    tokens, logprobs = draw(logits, torch.tensor([0.99]), Sampling(1, top_k=2))
    assert tokens.tolist() == [3]
    assert_close(logprobs, torch.tensor([3 / 7]).log())


def test_min_p_keeps_tokens_by_their_share_of_the_likeliest() -> None:
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    assert truncate(logits, Sampling(1, min_p=0.74)).isfinite().tolist() == [[False, True, False, True]]
    assert truncate(logits, Sampling(1, min_p=0.49)).isfinite().tolist() == [[False, True, True, True]]
    assert truncate(logits, Sampling(1, min_p=1.0)).isfinite().tolist() == [[False, True, False, False]]
    assert truncate(logits, Sampling(1, min_p=0.2)).isfinite().all()


def test_min_p_comes_before_top_p_which_counts_what_is_left() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()  # without the last: 4/9, 3/9, 2/9
    assert truncate(logits, Sampling(1, top_p=0.72)).isfinite().tolist() == [[True, True, True, False]]
    assert truncate(logits, Sampling(1, top_p=0.72, min_p=0.4)).isfinite().tolist() == [[True, True, False, False]]


def test_a_penalty_moves_seen_tokens_down_on_either_side_of_zero() -> None:
    logits = torch.tensor([[2.0, -2.0, 2.0, -2.0, -math.inf]])
    seen = torch.tensor([[True, True, False, False, True]])
    assert penalize(logits, seen, 2.0).tolist() == [[1.0, -4.0, 2.0, -2.0, -math.inf]]
    assert penalize(logits, seen, 0.5).tolist() == [[4.0, -1.0, 2.0, -2.0, -math.inf]]


def test_padding_is_not_seen() -> None:
    ids, mask = torch.tensor([[0, 3, 3], [1, 0, 2]]), torch.tensor([[False, True, True], [True, True, True]])
    assert tokens_seen(ids, mask, 5).int().tolist() == [[0, 0, 0, 1, 0], [1, 1, 1, 0, 0]]


def test_rules_forbid_ends_up_to_min_tokens_and_penalize_what_was_added() -> None:
    rules = LogitRules(
        Sampling(9, min_tokens=2, repetition_penalty=2.0), torch.tensor([1, 77]), torch.zeros(2, 3, dtype=torch.bool)
    )
    logits, second = torch.tensor([[4.0, 4.0, -4.0]]), torch.tensor([1])
    assert rules.apply(logits, 1, second).tolist() == [[4.0, -math.inf, -4.0]]
    rules.add(second, torch.tensor([0]))
    assert rules.apply(logits, 2, second).tolist() == [[2.0, 4.0, -4.0]]
    assert rules.apply(logits, 2, torch.tensor([0])).tolist() == [[4.0, 4.0, -4.0]]


LOGITS = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()


@pytest.mark.parametrize(
    ("sampling", "seen", "expected"),
    [
        (Sampling(1), [], [0.4, 0.3, 0.2, 0.1]),
        (Sampling(1, temperature=0.5), [], [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        (Sampling(1, min_p=0.5), [], [4 / 9, 3 / 9, 2 / 9, 0]),
        (Sampling(1, temperature=0.5, min_p=0.5), [], [16 / 25, 9 / 25, 0, 0]),  # min_p after the temperature
        (Sampling(1, top_k=2), [], [4 / 7, 3 / 7, 0, 0]),
        (Sampling(1, top_p=0.8, top_k=3), [], [4 / 9, 3 / 9, 2 / 9, 0]),
        (Sampling(1, min_tokens=1), [], [0, 3 / 6, 2 / 6, 1 / 6]),
        (Sampling(1, repetition_penalty=2.0), [0], [0.16 / 0.76, 0.3 / 0.76, 0.2 / 0.76, 0.1 / 0.76]),
        (Sampling(1, min_tokens=1, repetition_penalty=2.0, min_p=0.47), [1], [0, 0, 2 / 3, 1 / 3]),
    ],
)
def test_tokens_are_drawn_from_the_stated_distribution_and_logprobs_are_its_own(
    sampling: Sampling, seen: list[int], expected: list[float]
) -> None:
    n = 20_000
    mask = torch.zeros(n, 4, dtype=torch.bool)
    mask[:, seen] = True
    rules = LogitRules(sampling, end_ids=torch.tensor([0]), seen=mask)
    logits = rules.apply(LOGITS.expand(n, 4), 0, torch.arange(n))
    tokens, logprobs = draw(logits, draw_uniforms(1, n, 1)[:, 0], sampling)
    shares = torch.bincount(tokens, minlength=4) / n
    assert_close(shares, torch.tensor(expected), atol=0.012, rtol=0)
    assert all(shares[token] == 0 for token, share in enumerate(expected) if share == 0)
    assert_close(logprobs, torch.tensor(expected)[tokens].log())
