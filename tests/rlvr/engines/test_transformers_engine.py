import math
from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from rlvr.batching import token_batch
from rlvr.engines.base import Request, complete
from rlvr.engines.transformers_engine import TransformersEngine, draw, draw_uniforms, truncate
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.types import Completion, Sampling
from tasks.arithmetic import Arithmetic


@pytest.fixture
def prompts(chat: Chat) -> list[list[int]]:
    return [chat.prompt_ids(Arithmetic().problem(number).prompt) for number in range(6)]


def generate(policy: Policy, chat: Chat, prompts: list[list[int]], n: int, sampling: Sampling, **more: int):
    engine = TransformersEngine(policy.model, chat.end_ids, **more)
    return complete(engine, [Request(index, prompt, n, sampling, index) for index, prompt in enumerate(prompts)])


def flat(groups: list[list[Completion]]) -> list[Completion]:
    return [completion for group in groups for completion in group]


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_logprobs_are_the_learners_at_the_sampling_temperature(
    policy: Policy, chat: Chat, prompts: list[list[int]], temperature: float
) -> None:
    policy.temperature = temperature
    rollouts = flat(generate(policy, chat, prompts, 3, Sampling(20, temperature)))
    read = [prompt for prompt in prompts for _ in range(3)]
    batch = token_batch(read, [r.ids for r in rollouts], [[True] * len(r.ids) for r in rollouts], range(len(rollouts)))
    ours = policy.scores(batch).logprobs.detach()[batch.completion_mask]
    theirs = torch.tensor([value for rollout in rollouts for value in rollout.logprobs])
    assert_close(theirs, ours, atol=1e-5, rtol=0)


def test_greedy_decoding_is_what_transformers_generates(policy: Policy, chat: Chat, prompts: list[list[int]]) -> None:
    for prompt, (rollout,) in zip(prompts, generate(policy, chat, prompts, 1, Sampling(12, 0.0)), strict=True):
        theirs = policy.model.generate(
            torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=list(chat.end_ids)
        )[0, len(prompt) :]
        assert list(rollout.ids) == theirs.tolist()


def test_a_completion_depends_on_its_seed_and_not_on_its_neighbours(
    policy: Policy, chat: Chat, prompts: list[list[int]]
) -> None:
    sampling = Sampling(20)
    together = generate(policy, chat, prompts, 4, sampling)
    one_by_one = generate(policy, chat, prompts, 4, sampling, cache_tokens=1)
    for a, b in zip(flat(together), flat(one_by_one), strict=True):
        assert a.ids == b.ids
    assert len({tuple(rollout.ids) for rollout in together[0]}) > 1


def test_a_completion_ends_with_the_end_token_or_at_max_tokens(
    policy: Policy, chat: Chat, prompts: list[list[int]]
) -> None:
    rollouts = flat(generate(policy, chat, prompts, 32, Sampling(60)))  # a random model ends now and then
    ended = [rollout for rollout in rollouts if rollout.finish == "stop"]
    assert ended
    assert len(ended) < len(rollouts)
    for rollout in rollouts:
        ends = [token for token in rollout.ids if token in chat.end_ids]
        if rollout.finish == "stop":
            assert rollout.ids[-1] in chat.end_ids
            assert len(ends) == 1
        else:
            assert len(rollout.ids) == 60
            assert not ends
        assert len(rollout.logprobs) == len(rollout.ids)


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
