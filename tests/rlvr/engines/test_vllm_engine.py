"""A real vLLM engine, on whatever device there is. One engine serves the whole file: it takes seconds to start."""

import logging
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from rlvr.config import ModelConfig, OptimizerConfig
from rlvr.engines.base import Generator, Request, WeightUpdate, complete
from rlvr.engines.sampling import LogitRules, truncate
from rlvr.engines.stop_strings import StopStrings, decoder_of
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.engines.vllm_engine import VLLMEngine
from rlvr.errors import DataError, WeightSyncError
from rlvr.learners.local import LocalLearner, add_noise
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.models.vocabulary import leave_out, unknown_tokens
from rlvr.types import Sampling
from rlvr.weight_sync import PROOF_TOKENS, Probe, prove_sync, push, send
from tasks.arithmetic import Arithmetic
from tests.conftest import TINY

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(sys.platform == "darwin", reason="there is no CPU build of vLLM for macOS"),
]
TOLERANCE = 1e-4


class Pair(NamedTuple):
    learner: LocalLearner
    engine: VLLMEngine
    prompts: list[list[int]]


@pytest.fixture(scope="module")
def pair(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = TINY.model_copy(update={"hidden_size": 128, "heads": 4, "kv_heads": 2, "intermediate_size": 128})
    policy = load_policy(ModelConfig(scratch=size), chat, device, temperature=0.8, seed=0)
    unknown = padded(policy, chat)
    policy.model.generation_config.update(do_sample=True, repetition_penalty=1.5, top_k=5)  # what vLLM would obey
    folder: Path = tmp_path_factory.mktemp("vllm")
    policy.save(folder, chat.tokenizer)
    engine = VLLMEngine(
        folder, [*chat.end_ids, 10_000], 0, "float32", chat.context, 0.2, enforce_eager=True, unknown_ids=unknown
    )
    prompts = [chat.prompt_ids(Arithmetic().problem(number).prompt) for number in range(4)]
    yield Pair(LocalLearner(policy, OptimizerConfig(lr=1e-2), steps=10), engine, prompts)
    engine.close()


def padded(policy: Policy, chat: Chat) -> list[int]:
    """Give the model rows that the tokenizer does not know, the likeliest of all, and leave them out."""
    known = len(chat.tokenizer)
    policy.model.resize_token_embeddings(known + 12, mean_resizing=False)
    with torch.no_grad():
        policy.model.get_input_embeddings().weight[known:] *= 20
    unknown = unknown_tokens(chat.tokenizer, known + 12)
    assert unknown == list(range(known, known + 12))
    leave_out(policy.model, unknown)
    return unknown


def probe(prompts: list[list[int]], tolerance: float = TOLERANCE) -> Probe:
    return Probe(prompts, temperature=0.8, tolerance=tolerance)


def gap(pair: Pair, prompts: list[list[int]] | None = None) -> float:
    return probe(prompts or pair.prompts).gap(pair.learner, pair.engine, PROOF_TOKENS)


def complete_all(engine: Generator, prompts: list[list[int]], n: int, sampling: Sampling, seeds: Sequence[int]):
    numbered = enumerate(zip(prompts, seeds, strict=True))
    return complete(engine, [Request(number, prompt, n, sampling, seed) for number, (prompt, seed) in numbered])


def test_logprobs_agree_with_the_learners_in_float32(pair: Pair) -> None:
    assert gap(pair) < TOLERANCE


def test_a_sync_alarms_nobody_and_errors_are_still_logged(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    send(pair.learner, pair.engine)
    logging.getLogger("vllm.worker").error("the GPU is on fire")
    assert [record.getMessage() for record in caplog.records] == ["the GPU is on fire"]


def test_after_an_optimizer_step_they_agree_again_only_once_the_weights_were_sent(pair: Pair) -> None:
    from rlvr.trainers.sft import LikelihoodLoss, equal_tokens, solution_batch

    chat = Chat(pair.engine.llm.get_tokenizer(), tuple(pair.engine.end_ids), 256)
    for _ in range(3):
        pair.learner.update(equal_tokens(solution_batch([Arithmetic().problem(9)], chat)), LikelihoodLoss())
    assert gap(pair) > 100 * TOLERANCE
    send(pair.learner, pair.engine)
    assert gap(pair) < TOLERANCE
    assert pair.engine.version == pair.learner.version == 3


def test_every_single_weight_arrives(pair: Pair) -> None:
    for name, parameter in pair.learner.policy.trainable().items():
        with torch.no_grad():
            add_noise([parameter], 0.5)
        changed = gap(pair)
        send(pair.learner, pair.engine)
        arrived = gap(pair)
        assert arrived < TOLERANCE < changed, name


def test_the_prefix_cache_forgets_the_keys_of_old_weights(pair: Pair) -> None:
    long_prompt = [(pair.prompts[0] * 6)[:120]]
    learner, engine, _ = pair
    assert gap(pair, long_prompt) < TOLERANCE  # leaves the prompt in the cache
    with torch.no_grad():
        add_noise(learner.policy.trainable().values(), 0.1)
    send(learner, engine)
    assert gap(pair, long_prompt) < TOLERANCE


def test_a_partial_sync_is_refused_before_any_weight_changed(pair: Pair) -> None:
    names = pair.learner.weight_names()
    missing = min(name for name in names if "q_proj" in name)
    version = pair.engine.version
    with pytest.raises(WeightSyncError, match=f"missing .*{missing}"):
        pair.engine.load(WeightUpdate(99, names - {missing}, []))
    with pytest.raises(WeightSyncError, match=r"unknown .*surplus"):
        pair.engine.load(WeightUpdate(99, names | {"surplus"}, []))
    assert pair.engine.version == version
    assert gap(pair) < TOLERANCE


def test_a_bucket_that_is_lost_on_the_way_is_named(pair: Pair) -> None:
    first, *_ = pair.learner.buckets(max_bytes=1)
    with pytest.raises(WeightSyncError, match="weights of version 99 were lost on the way"):
        pair.engine.load(WeightUpdate(99, pair.learner.weight_names(), [first]))
    send(pair.learner, pair.engine)
    assert gap(pair) < TOLERANCE


def test_a_sync_that_works_is_proved_and_leaves_the_policy_as_it_was(pair: Pair) -> None:
    before = {name: parameter.clone() for name, parameter in pair.learner.policy.trainable().items()}
    prove_sync(pair.learner, pair.engine, probe(pair.prompts, 1e-3))
    for name, parameter in pair.learner.policy.trainable().items():
        assert (parameter == before[name]).all()
    assert gap(pair) < TOLERANCE


@pytest.mark.parametrize("lost", ["embed_tokens", "layers.1.mlp"])
def test_a_sync_that_loses_weights_on_the_way_is_found_out(
    pair: Pair, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = {name: weight.clone() for name, weight in pair.learner.policy.named_weights() if lost in name}
    whole = pair.engine.load

    def lossy(update: WeightUpdate) -> None:
        buckets = [{name: stale.get(name, weight) for name, weight in bucket.items()} for bucket in update.buckets]
        whole(replace(update, buckets=buckets))

    monkeypatch.setattr(pair.engine, "load", lossy)
    with pytest.raises(WeightSyncError, match="does not load weights"):
        prove_sync(pair.learner, pair.engine, probe(pair.prompts, 1e-3))
    pair.learner.version += 1
    with torch.no_grad():
        add_noise(pair.learner.policy.trainable().values(), 0.2)
    with pytest.raises(WeightSyncError, match="some did not arrive"):
        push(pair.learner, pair.engine, probe(pair.prompts, 1e-3))
    monkeypatch.undo()
    push(pair.learner, pair.engine, probe(pair.prompts, 1e-3))


def test_samples_depend_on_their_seed_alone_and_groups_differ_within(pair: Pair) -> None:
    sampling = Sampling(24, 0.8)
    together = complete_all(pair.engine, pair.prompts, 4, sampling, seeds=[7, 8, 9, 10])
    (alone,) = complete_all(pair.engine, [pair.prompts[2]], 4, sampling, seeds=[9])
    assert [completion.ids for completion in alone] == [completion.ids for completion in together[2]]
    assert len({tuple(completion.ids) for completion in alone}) > 1


def test_finish_reasons_lengths_and_versions(pair: Pair) -> None:
    groups = complete_all(pair.engine, pair.prompts, 8, Sampling(40, 1.0), seeds=range(4))
    for completion in (completion for group in groups for completion in group):
        ended = completion.ids[-1] in pair.engine.end_ids
        assert completion.finish == ("stop" if ended else "length")
        assert ended or len(completion.ids) == 40
        assert completion.versions == (pair.engine.version,)
        assert len(completion.logprobs) == len(completion.ids)


def test_requests_can_be_waited_for_a_while_and_forgotten(pair: Pair) -> None:
    pair.engine.submit(Request(5, pair.prompts[0], 2, Sampling(40, 1.0), seed=1))
    assert pair.engine.open() == 1
    with pytest.raises(WeightSyncError, match="1 requests are open"):
        send(pair.learner, pair.engine)
    pair.engine.abort()
    assert pair.engine.open() == 0
    assert pair.engine.ready(0.0) == []
    send(pair.learner, pair.engine)


KEYS = [
    Sampling(24, 0.8),
    Sampling(24, 0.8, min_p=0.2),
    Sampling(24, 0.8, top_p=0.6),
    Sampling(24, 0.8, top_k=9),
    Sampling(24, 0.8, top_p=0.8, top_k=30, min_p=0.05),
    Sampling(24, 0.8, repetition_penalty=1.4),
    Sampling(24, 0.8, repetition_penalty=0.7),
    Sampling(24, 0.8, min_tokens=8, stop_token_ids=tuple(range(60, 160))),
    Sampling(24, 0.8, stop=("1", "2", "<|user|>")),
    Sampling(24, 0.8, stop=("1", "2", "e"), min_tokens=6),
    Sampling(24, 1.3, top_p=0.9, min_p=0.01, repetition_penalty=1.2, min_tokens=4, stop=("a", "7")),
]


@torch.no_grad()
def stated_logprobs(pair: Pair, prompt: list[int], ids: Sequence[int], sampling: Sampling) -> list[float]:
    """The log-probabilities of `ids` after a prompt in the distribution that `sampling` describes."""
    logits = pair.learner.policy.model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].float()
    seen = torch.zeros(1, logits.shape[-1], dtype=torch.bool)
    seen[0, prompt] = True
    rules = LogitRules(sampling, torch.tensor([*pair.engine.end_ids, *sampling.stop_token_ids]), seen)
    only, values = torch.tensor([0]), []
    for step, token in enumerate(ids):
        shaped = rules.apply(logits[step : step + 1], step, only)
        if sampling.temperature:
            shaped = truncate(shaped / sampling.temperature, sampling)
        values.append(float(shaped.log_softmax(-1)[0, token]))
        rules.add(only, torch.tensor([token]))
    return values


def test_each_key_means_the_same_in_both_engines_also_side_by_side(pair: Pair, chat: Chat) -> None:
    learner, engine, prompts = pair
    send(learner, engine)
    embedded = TransformersEngine(learner.policy.model, engine.end_ids, tokenizer=chat.tokenizer)
    drawn = [(prompt, sampling, 4) for sampling in KEYS for prompt in prompts]
    greedy = [(prompt, sampling.greedy, 1) for sampling in KEYS for prompt in prompts]
    requests = [
        Request(number, prompt, n, sampling, seed=number)
        for number, (prompt, sampling, n) in enumerate([*drawn, *greedy])
    ]
    ours, theirs = complete(embedded, requests), complete(engine, requests)
    for groups in (ours, theirs):
        for request, group in zip(requests, groups, strict=True):
            for completion in group:
                stated = stated_logprobs(pair, list(request.prompt_ids), completion.ids, request.sampling)
                assert completion.logprobs == pytest.approx(stated, abs=TOLERANCE), request.sampling
                assert completion.finish == ending_of(pair, chat, request, completion.ids)
                assert max(completion.ids) < len(chat.tokenizer)
    for request, (mine, *_), (other, *_) in zip(
        requests[len(drawn) :], ours[len(drawn) :], theirs[len(drawn) :], strict=True
    ):
        assert (mine.ids, mine.finish) == (other.ids, other.finish), request.sampling


def ending_of(pair: Pair, chat: Chat, request: Request, ids: Sequence[int]) -> str:
    """Why a completion ends where it does; it is an error if it could have ended before."""
    sampling = request.sampling
    watch = StopStrings(decoder_of(chat.tokenizer), request.prompt_ids, sampling.stop, sampling.min_tokens)
    ends = {*pair.engine.end_ids, *sampling.stop_token_ids}
    stops = [watch.completed_by(token) or token in ends for token in ids]
    assert not any(stops[:-1])
    assert stops[-1] or len(ids) == sampling.max_tokens
    assert len(ids) > sampling.min_tokens or len(ids) == sampling.max_tokens
    return "stop" if stops[-1] else "length"


def test_tokens_are_drawn_as_often_as_the_keys_say(pair: Pair) -> None:
    sampling = Sampling(1, 2.0, min_p=0.02, repetition_penalty=1.2, min_tokens=1)
    (group,) = complete_all(pair.engine, pair.prompts[:1], 1500, sampling, seeds=[3])
    counts = Counter(completion.ids[0] for completion in group)
    for token, count in counts.items():
        (stated,) = stated_logprobs(pair, pair.prompts[0], [token], sampling)
        assert count / 1500 == pytest.approx(math.exp(stated), abs=0.05)
    assert len(counts) > 1


def test_a_completion_that_would_be_cut_at_the_longest_length_is_refused(pair: Pair) -> None:
    prompt = (pair.prompts[0] * 8)[:200]
    room = pair.engine.max_model_len - len(prompt)
    with pytest.raises(DataError, match=f"takes {pair.engine.max_model_len + 1} tokens, expected at most engine.max_"):
        pair.engine.submit(Request(0, prompt, 1, Sampling(room + 1), seed=0))
    assert pair.engine.open() == 0
    ((completion,),) = complete_all(pair.engine, [prompt], 1, Sampling(room, min_tokens=room), seeds=[0])
    assert (len(completion.ids), completion.finish) == (room, "length")


def test_greedy_decoding_is_the_embedded_engines(pair: Pair) -> None:
    embedded = TransformersEngine(pair.learner.policy.model, pair.engine.end_ids)
    sampling = Sampling(16, 0.0)
    ours = complete_all(embedded, pair.prompts, 1, sampling, seeds=range(4))
    theirs = complete_all(pair.engine, pair.prompts, 1, sampling, seeds=range(4))
    assert [group[0].ids for group in ours] == [group[0].ids for group in theirs]
