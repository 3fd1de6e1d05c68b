"""The matrix of docs/models.md: every layout against every property, a test for each column.

A cell says "yes", or what is said instead (`layouts.EXCEPTIONS`); the page is compared with this table.
"""

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors import safe_open
from torch.testing import assert_close
from transformers import PreTrainedModel

from rlvr.batching import token_batch
from rlvr.config import LoraConfig, ModelConfig
from rlvr.engines.base import Request, complete
from rlvr.engines.transformers_engine import TransformersEngine, check_decoding
from rlvr.errors import ModelError
from rlvr.models import logprobs
from rlvr.models.chat import Chat
from rlvr.models.load import auto_class, load_chat, load_policy
from rlvr.models.policy import Policy
from rlvr.types import Batch, Completion, Sampling
from tests.rlvr.models.layouts import EXCEPTIONS, LAYOUTS, REFUSED, Layout, page_table, write

CPU = torch.device("cpu")
PAGE = Path(__file__).parents[3] / "docs" / "models.md"
# At every change the rows that differ most; the others repeat them each night.
QUICK = ("Qwen2.5 base", "Llama 3.1", "Gemma 2", "Gemma 3 with vision", "Phi-3", "Qwen3-MoE", "Qwen3-Next", "Cohere")


def rows(quick: Collection[str]) -> list[Any]:
    """Every layout as a parameter; those that are not in `quick` are nightly."""
    marks = {row.name: () if row.name in quick else pytest.mark.nightly for row in LAYOUTS}
    return [pytest.param(row, id=row.name, marks=marks[row.name]) for row in LAYOUTS]


every_layout = pytest.mark.parametrize("row", rows(QUICK))
# Prompts shorter and longer than the windows, of different lengths, so that the engine pads all but one.
PROMPTS = [[5, 6, 7], list(range(40, 63)), list(range(70, 81)), [9, 30, 31, 32, 33, 34, 35]]
LORA = {
    "all-linear": LoraConfig(rank=2),
    "a list": LoraConfig(rank=2, targets=["q_proj", "v_proj", "qkv_proj"]),
    "head": LoraConfig(rank=2, targets=["lm_head"]),
    "embedding": LoraConfig(rank=2, targets=["embed_tokens"]),
    "head and embedding": LoraConfig(rank=2, targets=["lm_head", "embed_tokens"]),
    "whole head": LoraConfig(rank=2, modules_to_save=["lm_head"]),
    "whole embedding": LoraConfig(rank=2, modules_to_save=["embed_tokens"]),
    "whole head and embedding": LoraConfig(rank=2, modules_to_save=["lm_head", "embed_tokens"]),
}
# The experts' layers by their names on the hub.
EXPERTS = {
    "Qwen3-MoE": ["gate_proj", "up_proj", "down_proj"],
    "Mixtral": ["w1", "w2", "w3"],
    "Qwen3-Next": ["gate_proj", "up_proj", "down_proj"],
    "OLMoE": ["gate_proj", "up_proj", "down_proj"],
}


@pytest.fixture(scope="module")
def folder_of(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Layout], Path]:
    """The folder of a layout as it lies on the hub, written once."""
    folders: dict[str, Path] = {}

    def folder_of(row: Layout) -> Path:
        if row.name not in folders:
            folders[row.name] = write(row, tmp_path_factory.mktemp("hub"), chat.tokenizer)
        return folders[row.name]

    return folder_of


@pytest.fixture
def load(chat: Chat, folder_of: Callable[[Layout], Path]) -> Callable[..., Policy]:
    def load(row: Layout, temperature: float = 1.0, **keys: object) -> Policy:
        return load_policy(ModelConfig(path=str(folder_of(row)), **keys), chat, CPU, temperature, 0)

    return load


@pytest.fixture
def batch() -> Batch:
    completions = [[11, 12, 13], [14] * 6, [15, 16], list(range(17, 29))]
    return token_batch(PROMPTS, completions, [[True] * len(c) for c in completions], [0, 1, 2, 3])


def reload(folder: Path, like: PreTrainedModel) -> PreTrainedModel:
    """The model in a folder, by plain transformers."""
    cls = auto_class(like.config)
    return cls.from_pretrained(folder, attn_implementation=like.config._attn_implementation).eval()


def without_dtype(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the dtypes that transformers writes into its parts on loading."""
    parts = {key: without_dtype(value) if isinstance(value, dict) else value for key, value in config.items()}
    return {key: value for key, value in parts.items() if key != "dtype"}


def names_in(folder: Path) -> set[str]:
    return {name for file in folder.glob("*.safetensors") for name in safe_open(file, "pt").keys()}  # noqa: SIM118


def greedy(policy: Policy, end_ids: tuple[int, ...], max_tokens: int = 12) -> list[Completion]:
    engine = TransformersEngine(policy.model, end_ids)
    requests = [Request(n, prompt, 1, Sampling(max_tokens, 0.0), n) for n, prompt in enumerate(PROMPTS)]
    return [completions[0] for completions in complete(engine, requests)]


def generated(model: PreTrainedModel, prompt: list[int], max_new_tokens: int = 12) -> list[int]:
    ids = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=max_new_tokens)
    return ids[0, len(prompt) :].tolist()


def trained(policy: Policy, batch: Batch, steps: int = 2) -> Policy:
    """The policy after a few steps of gradient descent on a batch, in evaluation mode."""
    optimizer = torch.optim.AdamW(policy.trainable().values(), lr=0.02)
    policy.train()
    for _ in range(steps):
        optimizer.zero_grad()
        (-policy.scores(batch).logprobs.sum()).backward()
        optimizer.step()
    policy.train(False)
    return policy


@torch.no_grad()
def own_logprobs(model: PreTrainedModel, prompt: list[int], ids: list[int], temperature: float) -> torch.Tensor:
    """Log-probabilities of a completion by the model's own forward pass, one row without padding."""
    logits = model(input_ids=torch.tensor([prompt + ids])).logits[0].float() / temperature
    picked = logits.log_softmax(-1)[range(len(prompt) - 1, len(prompt) + len(ids) - 1), ids]
    return picked


# -- the columns -----------------------------------------------------------------------------------------------------


@every_layout
def test_greedy_completions_are_those_of_generate(row: Layout, load: Callable[..., Policy], chat: Chat) -> None:
    policy = load(row)
    check_decoding(policy.model)
    found = [completion.ids for completion in greedy(policy, chat.end_ids)]
    assert found == [generated(policy.model, prompt) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in found}) > 1


@every_layout
def test_log_probabilities_of_engine_learner_and_model_are_the_same(
    row: Layout, load: Callable[..., Policy], chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load(row, temperature=0.7)
    engine = TransformersEngine(policy.model, chat.end_ids)
    requests = [Request(n, prompt, 2, Sampling(8, 0.7), n) for n, prompt in enumerate(PROMPTS)]
    drawn = [completion for group in complete(engine, requests) for completion in group]
    prompts = [prompt for prompt in PROMPTS for _ in range(2)]
    batch = token_batch(prompts, [c.ids for c in drawn], [[True] * len(c.ids) for c in drawn], [0] * len(drawn))
    monkeypatch.setattr(logprobs, "MAX_LOGITS", 3 * policy.model.get_output_embeddings().weight.shape[0])  # in slices
    scores = policy.scores(batch)
    for number, (prompt, completion) in enumerate(zip(prompts, drawn, strict=True)):
        expected = own_logprobs(policy.model, prompt, completion.ids, 0.7)
        ours = scores.logprobs[number][batch.completion_mask[number]]
        assert_close(ours.detach(), expected, atol=2e-5, rtol=1e-4)
        assert_close(torch.tensor(completion.logprobs), expected, atol=2e-5, rtol=1e-4)


@every_layout
def test_packed_rows_have_the_scores_and_gradients_of_rows_apart(
    row: Layout, load: Callable[..., Policy], batch: Batch
) -> None:
    def computed(packing: bool) -> tuple[torch.Tensor, torch.Tensor]:
        policy = load(row, packing=packing)
        scores = policy.scores(batch, entropy_gradient=True)
        (scores.logprobs.sum() + scores.entropy.sum()).backward()
        return scores.logprobs.detach(), torch.cat([p.grad.flatten() for p in policy.trainable().values()])

    if EXCEPTIONS.get((row.name, "packing")) == REFUSED:
        with pytest.raises(ModelError, match=r"model\.packing: rows that share a line affect each other"):
            computed(True)
        return
    for packed, apart in zip(computed(True), computed(False), strict=True):
        assert_close(packed, apart, atol=1e-4 * float(apart.abs().max()), rtol=1e-4)


@every_layout
def test_a_turn_ends_where_the_configuration_says(
    row: Layout, load: Callable[..., Policy], folder_of: Callable[[Layout], Path], chat: Chat, tmp_path: Path
) -> None:
    third = greedy(load(row), chat.end_ids)[1].ids[2]
    write(row, tmp_path, chat.tokenizer)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    text = config.get("text_config", config)
    text["eos_token_id"] = config["eos_token_id"] = [chat.end_ids[0], third]
    path.write_text(json.dumps(config))
    generation = tmp_path / "generation_config.json"
    generation.write_text(json.dumps(json.loads(generation.read_text()) | {"eos_token_id": config["eos_token_id"]}))
    own = load_chat(str(tmp_path))
    policy = load_policy(ModelConfig(path=str(tmp_path)), own, CPU, 1.0, 0)
    completion = greedy(policy, own.end_ids)[1]
    assert third in own.end_ids
    assert (completion.ids[-1], completion.finish) == (third, "stop")
    assert completion.ids == generated(policy.model, PROMPTS[1])


@every_layout
def test_fine_tuning_learns_an_end_at_which_the_engine_stops(row: Layout, folder_of: Callable[[Layout], Path]) -> None:
    own = load_chat(str(folder_of(row)))
    question, answer = {"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5"}
    _, ids, learned = own.encode((question,), (answer,))
    assert learned[-1]
    assert ids[-1] in own.end_ids
    assert own.text(ids) == "5"


@every_layout
def test_what_is_saved_is_what_was_trained_under_the_names_of_the_hub(
    row: Layout,
    load: Callable[..., Policy],
    folder_of: Callable[[Layout], Path],
    batch: Batch,
    chat: Chat,
    tmp_path: Path,
) -> None:
    policy = trained(load(row), batch)
    policy.save(tmp_path, chat.tokenizer)
    assert names_in(tmp_path) == names_in(folder_of(row)) == {name for name, _ in policy.named_weights()}
    again = reload(tmp_path, policy.model)
    assert_close(again(input_ids=batch.input_ids).logits, policy.model(input_ids=batch.input_ids).logits)
    assert type(again).__name__ == row.model
    for name in ("config.json", "generation_config.json"):
        before, after = (without_dtype(json.loads((at / name).read_text())) for at in (folder_of(row), tmp_path))
        assert after == before
    untrained = reload(folder_of(row), policy.model)
    assert (again(input_ids=batch.input_ids).logits - untrained(input_ids=batch.input_ids).logits).abs().max() > 0.01


@pytest.mark.parametrize("row", rows(["Gemma 2", "Qwen3-MoE"]))
def test_adapters_of_every_kind_are_in_what_is_saved(
    row: Layout,
    load: Callable[..., Policy],
    folder_of: Callable[[Layout], Path],
    batch: Batch,
    chat: Chat,
    tmp_path: Path,
) -> None:
    kinds = LORA | ({"experts": LoraConfig(rank=2, targets=EXPERTS[row.name])} if row.name in EXPERTS else {})
    with torch.no_grad():
        start = reload(folder_of(row), load(row).model)(input_ids=batch.input_ids).logits
    for kind, lora in kinds.items():
        policy = trained(load(row, lora=lora), batch)
        with torch.no_grad():
            ours = policy.model(input_ids=batch.input_ids).logits
            with policy.without_adapters():
                assert_close(policy.model(input_ids=batch.input_ids).logits, start, msg=f"{kind}: the reference")
        policy.save(tmp_path / kind, chat.tokenizer)
        again = reload(tmp_path / kind, policy.model)
        with torch.no_grad():
            assert_close(again(input_ids=batch.input_ids).logits, ours, atol=1e-4, rtol=1e-4, msg=kind)
        assert (ours - start).abs().max() > 1e-3, kind
        assert names_in(tmp_path / kind) - {"lm_head.weight"} == names_in(folder_of(row)) - {"lm_head.weight"}


@pytest.mark.parametrize("name", ["Mamba2", "RecurrentGemma"])
def test_a_model_whose_states_depend_on_padding_or_cache_is_refused_by_the_embedded_engine(name: str) -> None:
    size = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 3, "initializer_range": 0.1}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    own = {
        "Mamba2": {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1},
        "RecurrentGemma": {"num_attention_heads": 2, "intermediate_size": 32, "lru_width": 32},
    }
    config = getattr(transformers, f"{name}Config")(**size, **ends, **own[name])
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    with pytest.raises(ModelError, match=f"^{name}ForCausalLM computes something else in the embedded engine"):
        check_decoding(model)


def test_the_page_holds_the_table_of_these_tests() -> None:
    assert page_table() in PAGE.read_text(), f"expected in {PAGE.name}:\n\n{page_table()}"
