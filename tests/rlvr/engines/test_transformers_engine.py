from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from rlvr.batching import token_batch
from rlvr.engines.base import Request, complete
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.types import Completion, Sampling
from tasks.arithmetic import Arithmetic


@pytest.fixture
def prompts(chat: Chat) -> list[list[int]]:
    return [chat.prompt_ids(Arithmetic().problem(number).prompt) for number in range(6)]


def generate(policy: Policy, chat: Chat, prompts: list[list[int]], n: int, sampling: Sampling, **more: Any):
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


PENALIZED = Sampling(12, 0.0, min_tokens=5, repetition_penalty=1.3)


@pytest.mark.parametrize(
    "sampling",
    [
        PENALIZED,
        replace(PENALIZED, repetition_penalty=0.8),
        replace(PENALIZED, repetition_penalty=1.0, stop_token_ids=(3,)),
        replace(PENALIZED, min_tokens=0),
        replace(PENALIZED, stop=("3",)),
        replace(PENALIZED, stop_token_ids=tuple(range(60, 90))),
    ],
)
def test_greedy_decoding_under_each_key_is_what_transformers_generates(
    policy: Policy, chat: Chat, prompts: list[list[int]], sampling: Sampling
) -> None:
    ours = flat(generate(policy, chat, prompts, 1, sampling, tokenizer=chat.tokenizer))
    for prompt, rollout in zip(prompts, ours, strict=True):
        theirs = policy.model.generate(
            torch.tensor([prompt]),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=[*chat.end_ids, *sampling.stop_token_ids],
            min_new_tokens=sampling.min_tokens,
            repetition_penalty=sampling.repetition_penalty,
            stop_strings=list(sampling.stop) or None,
            tokenizer=chat.tokenizer,
        )[0, len(prompt) :]
        assert list(rollout.ids) == theirs.tolist()
    plain = flat(generate(policy, chat, prompts, 1, Sampling(12, 0.0)))
    assert [rollout.ids for rollout in ours] != [rollout.ids for rollout in plain]


def test_no_completion_ends_before_min_tokens_and_its_logprobs_are_of_what_may_be_sampled(
    policy: Policy, chat: Chat, prompts: list[list[int]]
) -> None:
    ends = Sampling(30, min_tokens=9, stop_token_ids=tuple(range(60, 160)))  # a third of the vocabulary
    rollouts = flat(generate(policy, chat, prompts, 16, ends))
    lengths = [len(rollout.ids) for rollout in rollouts]
    assert min(lengths) == 10
    assert all(rollout.finish == "stop" for rollout in rollouts if len(rollout.ids) < 30)
    first = torch.tensor([rollout.logprobs[0] for rollout in rollouts])
    with torch.no_grad():
        logits = torch.stack([policy.model(torch.tensor([prompt])).logits[0, -1] for prompt in prompts])
    logits[:, [*chat.end_ids, *ends.stop_token_ids]] = -torch.inf
    expected = logits.log_softmax(-1).repeat_interleave(16, 0)
    assert_close(first, expected[torch.arange(len(rollouts)), torch.tensor([r.ids[0] for r in rollouts])])


def test_a_completion_ends_with_the_token_that_completes_a_stop_string(
    policy: Policy, chat: Chat, prompts: list[list[int]]
) -> None:
    stop = ("1", "<|user|>")
    rollouts = flat(generate(policy, chat, prompts, 32, Sampling(60, stop=stop), tokenizer=chat.tokenizer))
    texts = [chat.tokenizer.decode(rollout.ids) for rollout in rollouts]
    stopped = [text for text in texts if any(s in text for s in stop)]
    assert {s for s in stop if any(s in text for text in stopped)} == set(stop)
    for rollout, text in zip(rollouts, texts, strict=True):
        before = chat.tokenizer.decode(rollout.ids[:-1])
        assert not any(s in before for s in stop)
        ended = any(s in text for s in stop) or rollout.ids[-1] in chat.end_ids
        assert rollout.finish == ("stop" if ended else "length")
        assert ended or len(rollout.ids) == 60
        assert len(rollout.logprobs) == len(rollout.ids)


def test_stop_strings_leave_the_draws_as_they_are(policy: Policy, chat: Chat, prompts: list[list[int]]) -> None:
    whole = flat(generate(policy, chat, prompts, 8, Sampling(40)))
    cut = flat(generate(policy, chat, prompts, 8, Sampling(40, stop=("1", "a")), tokenizer=chat.tokenizer))
    assert any(len(a.ids) < len(b.ids) for a, b in zip(cut, whole, strict=True))
    for a, b in zip(cut, whole, strict=True):
        assert list(a.ids) == list(b.ids)[: len(a.ids)]


def test_stop_strings_need_a_tokenizer(policy: Policy, chat: Chat, prompts: list[list[int]]) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.stop: this engine has no tokenizer"):
        generate(policy, chat, prompts, 1, Sampling(4, stop=("a",)))


def test_a_tokenizer_may_have_end_tokens_that_the_model_has_not(
    policy: Policy, chat: Chat, prompts: list[list[int]]
) -> None:
    engine = TransformersEngine(policy.model, [*chat.end_ids, 10_000])
    (group,) = complete(engine, [Request(0, prompts[0], 2, Sampling(8, min_tokens=8), 0)])
    assert [completion.finish for completion in group] == ["length", "length"]
