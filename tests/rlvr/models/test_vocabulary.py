import torch
from torch.testing import assert_close

from rlvr.batching import token_batch
from rlvr.config import ModelConfig, OptimizerConfig
from rlvr.engines.base import Request, complete
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.learners.local import LocalLearner
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.models.policy import Policy
from rlvr.models.vocabulary import leave_out, unknown_tokens
from rlvr.types import Sampling
from rlvr.weight_sync import Probe


def padded(policy: Policy, chat: Chat, surplus: int) -> int:
    """Give the model rows that the tokenizer does not know, the likeliest of all. Returns its vocabulary."""
    size = len(chat.tokenizer) + surplus
    policy.model.resize_token_embeddings(size, mean_resizing=False)
    with torch.no_grad():
        policy.model.get_input_embeddings().weight[-surplus:] *= 50
    return size


def test_unknown_tokens_are_those_without_a_text(chat: Chat) -> None:
    known = len(chat.tokenizer)
    assert unknown_tokens(chat.tokenizer, known) == []
    assert unknown_tokens(chat.tokenizer, known + 3) == [known, known + 1, known + 2]
    assert unknown_tokens(chat.tokenizer, 10) == []  # a model with fewer


def test_a_token_without_a_text_is_never_sampled_and_the_learner_agrees(policy: Policy, chat: Chat) -> None:
    size = padded(policy, chat, 40)
    prompts = [[5, 6, 7], [8, 9]]
    unknown = unknown_tokens(chat.tokenizer, size)
    engine = TransformersEngine(policy.model, chat.end_ids)
    requests = [Request(number, prompt, 16, Sampling(20), number) for number, prompt in enumerate(prompts)]
    before = {token for group in complete(engine, requests) for completion in group for token in completion.ids}
    assert before & set(unknown)
    leave_out(policy.model, unknown)
    after = {token for group in complete(engine, requests) for completion in group for token in completion.ids}
    assert not after & set(unknown)
    assert Probe(prompts, 1.0, 1e-5).gap(LocalLearner(policy, OptimizerConfig(), 1), engine, 16) < 1e-5
    batch = token_batch(prompts, [[10], [11]], [[True], [True]], [0, 1])
    scores = policy.scores(batch, entropy_gradient=True)
    known = policy.model(torch.tensor([prompts[0]])).logits[0, -1, : len(chat.tokenizer)].log_softmax(-1)
    assert_close(scores.logprobs[0, 3], known[10])
    (scores.logprobs.sum() + scores.entropy.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in policy.model.parameters())


def test_a_loaded_policy_leaves_them_out_and_saves_them(policy: Policy, chat: Chat, tmp_path) -> None:
    size = padded(policy, chat, 7)
    policy.save(tmp_path, chat.tokenizer)
    loaded = load_policy(ModelConfig(path=str(tmp_path)), chat, torch.device("cpu"), 1.0, 0)
    weights = loaded.model.get_input_embeddings().weight
    assert weights.shape[0] == size
    assert_close(weights, policy.model.get_input_embeddings().weight)
    probabilities = loaded.model(torch.tensor([[5, 6]])).logits.softmax(-1)
    assert probabilities[..., len(chat.tokenizer) :].sum() == 0
    assert_close(probabilities.sum(-1), torch.ones(1, 2))
