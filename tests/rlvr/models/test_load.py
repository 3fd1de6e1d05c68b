"""From a configuration to a policy, and what is said where there is none."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import decoders, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3Config,
    GraniteMoeConfig,
    GraniteMoeForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from rlvr.config import LoraConfig, ModelConfig, ScratchConfig
from rlvr.engines.base import Request
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.errors import ModelError
from rlvr.models.chat import Chat, make_chat
from rlvr.models.load import check_attention, check_path, load_chat, load_policy, scratch_chat
from rlvr.models.policy import Policy
from rlvr.models.templates import TEMPLATES
from rlvr.models.tokenizer import load_tokenizer, round_trip
from rlvr.types import Sampling
from tests.conftest import TINY
from tests.rlvr.models.layouts import build, layout, write
from tests.rlvr.models.templates import stand_in

CPU = torch.device("cpu")


@pytest.fixture
def saved(chat: Chat, policy: Policy, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    policy.save(folder, chat.tokenizer)
    return folder


def changed(folder: Path, **keys: object) -> Path:
    """The folder with other keys in its config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))
    return folder


def test_a_new_model_is_a_function_of_its_seed(chat: Chat) -> None:
    one, same, other = (
        dict(load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, seed).model.named_parameters())
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(weight, same[name]) for name, weight in one.items())
    embeddings = "model.embed_tokens.weight"
    assert not torch.equal(one[embeddings], other[embeddings])


def test_what_was_saved_comes_back_with_its_weights_and_its_tokenizer(chat: Chat, policy: Policy, saved: Path) -> None:
    again = load_policy(ModelConfig(path=str(saved)), chat, CPU, temperature=0.5, seed=9)
    before = dict(policy.model.named_parameters())
    for name, weight in again.model.named_parameters():
        assert torch.equal(weight, before[name]), name
    assert again.temperature == 0.5
    own = load_chat(str(saved))
    assert (own.end_ids, own.context) == (chat.end_ids, 256)
    messages = ({"role": "user", "content": "2 + 3?"},)
    assert own.prompt_ids(messages) == chat.prompt_ids(messages)


def test_the_configuration_says_the_dtype_of_weights_and_of_products(chat: Chat, saved: Path) -> None:
    config = ModelConfig(path=str(saved), dtype="bfloat16", autocast="bfloat16", packing=True)
    policy = load_policy(config, chat, CPU, 1.0, 0)
    assert {weight.dtype for weight in policy.model.parameters()} == {torch.bfloat16}
    assert (policy.autocast, policy.packing) == (torch.bfloat16, True)


def test_adapters_are_trained_alone_in_float32_and_say_nothing_at_first(chat: Chat, saved: Path) -> None:
    config = ModelConfig(path=str(saved), dtype="bfloat16", lora=LoraConfig(rank=2, targets=["q_proj", "up_proj"]))
    policy = load_policy(config, chat, CPU, 1.0, 0)
    trainable = policy.trainable()
    assert len(trainable) == 2 * 2 * 2  # layers x targets x (A, B)
    assert all(".lora_" in name for name in trainable)
    assert {weight.dtype for weight in trainable.values()} == {torch.float32}
    plain = load_policy(ModelConfig(path=str(saved), dtype="bfloat16"), chat, CPU, 1.0, 0)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(policy.model(input_ids=ids).logits, plain.model(input_ids=ids).logits)


def test_adapters_on_modules_that_there_are_none_of_are_refused(chat: Chat) -> None:
    config = LoraConfig(targets=["no_such_proj"])
    with pytest.raises(ModelError, match=r"^model\.lora\.targets \['no_such_proj'\]: "):
        load_policy(ModelConfig(scratch=TINY).model_copy(update={"lora": config}), chat, CPU, 1.0, 0)


def test_gradient_checkpointing_works_with_frozen_weights_under_the_adapters(chat: Chat, saved: Path) -> None:
    config = ModelConfig(path=str(saved), gradient_checkpointing=True, lora=LoraConfig(rank=2))
    policy = load_policy(config, chat, CPU, 1.0, 0)
    policy.train()
    policy.model(input_ids=torch.tensor([[5, 6, 7]])).logits.sum().backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in policy.trainable().values())


@pytest.mark.parametrize("ends", [[1, 7], 7])
def test_a_model_that_knows_further_end_tokens_ends_with_them_too(saved: Path, ends: int | list[int]) -> None:
    assert load_chat(str(changed(saved, eos_token_id=ends))).end_ids == (1, 7)


def test_a_new_tokenizer_has_the_length_that_its_model_is_made_for() -> None:
    assert scratch_chat(ScratchConfig(max_length=99), ["some text"]).context == 99


def test_a_folder_without_weights_or_tokenizer_is_one_sentence(chat: Chat, saved: Path, tmp_path: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(
        ModelError, match=r"^model\.path '.*model' cannot be loaded as a causal language model: "
    ) as caught:
        load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0)
    assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="has no tokenizer or configuration that transformers can load"):
        load_chat(str(tmp_path / "empty"))


@pytest.mark.parametrize("path", ["./no/model", "/no/model", "~/model", "runs/no/model"])
def test_a_folder_that_is_not_there_is_not_asked_of_the_hub(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvr.models.load.get_session", lambda: pytest.fail("the hub was asked"))
    with pytest.raises(
        ModelError, match=f"^critic.path '{path}': there is no such folder; expected a folder in Hugging"
    ):
        check_path(path, "critic.path")


def test_a_name_that_could_be_no_hub_id_is_refused_as_such() -> None:
    with pytest.raises(ModelError, match="there is no such folder, and it is no hub id"):
        check_path("my model")


def test_an_attention_that_cannot_be_used_here_is_refused_before_a_model_is_loaded() -> None:
    check_attention("sdpa")
    check_attention("eager")
    with pytest.raises(ModelError, match=r"^critic\.attention: got 'flush', expected sdpa, eager, or another one"):
        check_attention("flush", "critic.attention")


def test_a_model_of_another_family_is_loaded_as_well(chat: Chat, tmp_path: Path) -> None:
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(chat.tokenizer), **size)).save_pretrained(tmp_path)
    chat.tokenizer.save_pretrained(tmp_path)
    policy = load_policy(ModelConfig(path=str(tmp_path)), load_chat(str(tmp_path)), CPU, 1.0, 0)
    assert type(policy.model).__name__ == "LlamaForCausalLM"


def test_weights_in_an_older_format_are_loaded_and_saved_in_todays(chat: Chat, policy: Policy, saved: Path) -> None:
    torch.save(policy.model.state_dict(), saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    again = load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0)
    again.save(saved / "again", chat.tokenizer)
    assert (saved / "again" / "model.safetensors").exists()
    assert torch.equal(again.model.model.norm.weight, policy.model.model.norm.weight)


def test_weights_that_are_missing_are_not_drawn_at_random(chat: Chat, tmp_path: Path) -> None:
    model = build(layout("Llama 3.1"), chat.tokenizer)
    model.model.save_pretrained(tmp_path)  # without its head
    chat.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"lacks 1 weights of a causal language model, such as lm_head\.weight, and"):
        load_policy(ModelConfig(path=str(tmp_path)), chat, CPU, 1.0, 0)


def test_tensors_that_the_model_has_no_place_for_are_named(
    chat: Chat, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = load_file(saved / "model.safetensors")
    save_file(weights | {"model.layers.2.eh_proj.weight": torch.ones(2)}, saved / "model.safetensors", {"format": "pt"})
    load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0)
    printed = capsys.readouterr().out
    assert "holds 1 tensors that transformers has no place for, such as model.layers.2.eh_proj.weight" in printed


def test_a_folder_of_gguf_files_says_how_to_convert_them(chat: Chat, saved: Path) -> None:
    (saved / "model.safetensors").rename(saved / "model-q8_0.gguf")
    with pytest.raises(ModelError, match=r"holds model-q8_0\.gguf, .* gguf_file='model-q8_0\.gguf'\)\.save_pretrained"):
        load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0)


def test_attention_that_leaves_out_a_cap_is_not_used(chat: Chat, tmp_path: Path) -> None:
    write(layout("Gemma 2"), tmp_path, chat.tokenizer)
    policy = load_policy(ModelConfig(path=str(tmp_path)), chat, CPU, 1.0, 0)
    assert policy.model.config._attn_implementation == "eager"
    with pytest.raises(ModelError, match=r"^model\.attention: sdpa leaves out the attn_logit_softcapping"):
        load_policy(ModelConfig(path=str(tmp_path), attention="sdpa"), chat, CPU, 1.0, 0)
    write(layout("Gemma 3"), tmp_path / "uncapped", chat.tokenizer)
    policy = load_policy(ModelConfig(path=str(tmp_path / "uncapped")), chat, CPU, 1.0, 0)
    assert policy.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(("name", "context"), [("Phi-3", 128), ("Llama 3.1", 256)])
def test_the_context_ends_where_longrope_would_change_its_frequencies(
    name: str, context: int, chat: Chat, tmp_path: Path
) -> None:
    write(layout(name), tmp_path, chat.tokenizer)
    assert load_chat(str(tmp_path)).context == context


def test_a_composite_model_trains_its_language_model_and_keeps_the_rest(chat: Chat, tmp_path: Path) -> None:
    write(layout("Gemma 3 with vision"), tmp_path / "hub", chat.tokenizer)
    files = {"preprocessor_config.json": '{"image_size": 28}', "processor_config.json": "{}"}
    for name, text in files.items():
        (tmp_path / "hub" / name).write_text(text)
    policy = load_policy(ModelConfig(path=str(tmp_path / "hub")), chat, CPU, 1.0, 0)
    assert policy.trainable()
    assert all(name.startswith("model.language_model.") for name in policy.trainable())
    adapted = load_policy(ModelConfig(path=str(tmp_path / "hub"), lora=LoraConfig(rank=2)), chat, CPU, 1.0, 0)
    assert len(adapted.trainable()) == 2 * 7 * 2  # layers x linear modules x (A, B)
    assert all(name.startswith("model.language_model.") for name in adapted.trainable())
    policy.save(tmp_path / "saved", chat.tokenizer)
    assert {name: (tmp_path / "saved" / name).read_text() for name in files} == files


def test_all_linear_leaves_no_expert_out_without_a_word(
    chat: Chat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(layout("Qwen3-MoE"), tmp_path / "adapted", chat.tokenizer)
    policy = load_policy(ModelConfig(path=str(tmp_path / "adapted"), lora=LoraConfig(rank=2)), chat, CPU, 1.0, 0)
    assert any(".experts." in name for name in policy.trainable())
    assert "warning" not in capsys.readouterr().out
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = GraniteMoeConfig(vocab_size=len(chat.tokenizer), num_key_value_heads=1, num_local_experts=4, **size)
    GraniteMoeForCausalLM(config).save_pretrained(tmp_path / "left")
    policy = load_policy(ModelConfig(path=str(tmp_path / "left"), lora=LoraConfig(rank=2)), chat, CPU, 1.0, 0)
    assert not any(".experts." in name for name in policy.trainable())
    assert "warning: model.lora.targets=all-linear leaves 2 tensors of experts as they are" in capsys.readouterr().out


def test_modules_that_are_trained_whole_must_be_there(chat: Chat, saved: Path) -> None:
    config = ModelConfig(path=str(saved), lora=LoraConfig(rank=2, modules_to_save=["lm_head", "head"]))
    with pytest.raises(ModelError, match=r"^model\.lora\.modules_to_save: the model has no module 'head'; expected"):
        load_policy(config, chat, CPU, 1.0, 0)


def test_tokens_without_an_embedding_are_refused_if_the_template_writes_them_and_said_otherwise(
    chat: Chat, policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.save(tmp_path, chat.tokenizer)
    own = load_chat(str(tmp_path))
    own.tokenizer.add_tokens(["<|image|>"])
    load_policy(ModelConfig(path=str(tmp_path)), own, CPU, 1.0, 0)
    rows = len(chat.tokenizer)
    sizes = f"the tokenizer has {rows + 1} tokens and the model's embedding {rows} rows"
    assert f"warning: {sizes}: a row with '<|image|>' cannot be computed" in capsys.readouterr().out
    own.tokenizer.chat_template = own.tokenizer.chat_template.replace("<|end|>", "<|image|>")
    with pytest.raises(ModelError, match=r"'<\|image\|>' would have no embedding, and the chat template"):
        load_policy(ModelConfig(path=str(tmp_path)), own, CPU, 1.0, 0)


def test_an_embedding_larger_than_the_tokenizer_is_usual(chat: Chat, tmp_path: Path) -> None:
    model = build(layout("Qwen2.5 base"), chat.tokenizer)
    model.resize_token_embeddings(len(chat.tokenizer) + 20)
    model.save_pretrained(tmp_path)
    chat.tokenizer.save_pretrained(tmp_path)
    policy = load_policy(ModelConfig(path=str(tmp_path)), load_chat(str(tmp_path)), CPU, 1.0, 0)
    policy.save(tmp_path / "saved", chat.tokenizer)
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["vocab_size"] == len(chat.tokenizer) + 20
    assert chat.text([len(chat.tokenizer) + 5, *chat.tokenizer.encode("5")]) == "5"


@pytest.mark.parametrize(("ends", "expected"), [(7, (1, 7)), ([9, 7], (1, 9, 7)), (None, (1,))])
def test_ends_that_only_the_generation_config_names_end_a_completion_too(
    saved: Path, ends: int | list[int] | None, expected: tuple[int, ...]
) -> None:
    # transformers calls this one invalid: a temperature, and no sampling.
    (saved / "generation_config.json").write_text(
        json.dumps({"eos_token_id": ends, "do_sample": False, "temperature": 0.7})
    )
    assert load_chat(str(saved)).end_ids == expected


def test_a_generation_config_that_is_not_json_is_one_sentence(saved: Path) -> None:
    (saved / "generation_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"generation_config\.json is not JSON: .*; correct or delete it"):
        load_chat(str(saved))


def test_both_levels_of_a_composite_configuration_name_ends(chat: Chat, tmp_path: Path) -> None:
    text = {"vocab_size": len(chat.tokenizer), "hidden_size": 32, "max_position_embeddings": 99, "eos_token_id": 7}
    config = Gemma3Config(text_config=text, eos_token_id=[1, 9])
    config.save_pretrained(tmp_path)
    chat.tokenizer.save_pretrained(tmp_path)
    assert load_chat(str(tmp_path)).end_ids == (1, 7, 9)
    assert load_chat(str(tmp_path)).context == 99


def test_a_turn_ends_where_only_the_generation_config_says_so(policy: Policy, tmp_path: Path) -> None:
    """The engine goes on behind the tokenizer's end only, if nobody tells it of the other."""
    folder = tmp_path / "qwen"
    stand_in("qwen2_5", "{% for m in messages %}{{ m['content'] }}{% endfor %}").save_pretrained(folder)
    policy.model.config.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))
    chat = load_chat(str(folder))
    head = policy.model.get_output_embeddings()
    with torch.no_grad():
        head.weight.zero_()
        head.weight[2] = 1.0  # every token is <|im_end|>, or everything is equally likely
    engine = TransformersEngine(policy.model, chat.end_ids)
    engine.submit(Request(0, [5, 6], 4, Sampling(8, temperature=0.0), seed=0))
    ((_, completions),) = engine.ready()
    assert all(list(c.ids) in ([2], [0]) and c.finish == "stop" for c in completions)


def test_a_tokenizer_that_its_class_would_change_is_the_one_in_its_file(tmp_path: Path) -> None:
    """DeepSeek-V3 names a Llama tokenizer, which transformers 5 builds anew: 'a b' came back as 'ab'."""
    stand_in("qwen3").save_pretrained(tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"tokenizer_class": "LlamaTokenizerFast"}))
    assert round_trip(AutoTokenizer.from_pretrained(tmp_path), "a b 2 + 3") != "a b 2 + 3"
    tokenizer = load_tokenizer(str(tmp_path))
    assert round_trip(tokenizer, "a b 2 + 3") == "a b 2 + 3"
    tokenizer.save_pretrained(tmp_path / "again")
    assert round_trip(AutoTokenizer.from_pretrained(tmp_path / "again"), "a b 2 + 3") == "a b 2 + 3"


def test_a_tokenizer_from_its_file_begins_a_text_as_its_configuration_says(tmp_path: Path) -> None:
    """DeepSeek-V3 has `add_bos_token: true`; its tokenizer.json alone writes no BOS, and plain prompts had none."""
    stand_in("qwen3").save_pretrained(tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    changed = {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "bos_token": "<|endoftext|>"}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | changed))
    tokenizer = load_tokenizer(str(tmp_path))
    bos = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    chat = make_chat(tokenizer, [], 256, "'x'")
    ids, _ = chat.examples("2 + 3", " 5")[0]
    assert ids[0] == bos
    assert ids.count(bos) == 1
    assert chat.text_ids("<|endoftext|>2 + 3") == chat.text_ids("2 + 3") == tokenizer.encode("2 + 3")
    tokenizer.save_pretrained(tmp_path / "again")
    assert AutoTokenizer.from_pretrained(tmp_path / "again").encode("2 + 3") == tokenizer.encode("2 + 3")


def test_a_tokenizer_that_glues_words_together_is_refused() -> None:
    tokenizer = stand_in("qwen3")
    tokenizer.backend_tokenizer.decoder = decoders.Fuse()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(ModelError, match=r"the tokenizer of 'x' loses spaces: 'a b 2 \+ 3' comes back as 'ab2\+3'"):
        make_chat(tokenizer, [], 256, "'x'")


def test_the_saved_model_has_the_template_that_it_was_trained_with(saved: Path, tmp_path: Path) -> None:
    chat = load_chat(str(saved), "plain")
    assert chat.prompt_ids(({"role": "user", "content": "2 + 3"},)) == chat.tokenizer.encode("2 + 3")
    policy = load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0)
    policy.save(tmp_path / "trained", chat.tokenizer)
    again = load_chat(str(tmp_path / "trained"))
    assert again.tokenizer.chat_template == TEMPLATES["plain"]
    assert again.end_ids == chat.end_ids


def test_the_saved_model_ends_in_transformers_where_it_was_taught_to_end(saved: Path, tmp_path: Path) -> None:
    """Qwen2.5's base names <|endoftext|> alone, and its template ends answers with <|im_end|>."""
    chat = load_chat(str(saved))
    other = next(token for token in range(300) if token not in chat.end_ids)
    settings = {"eos_token_id": other, "temperature": 0.7, "do_sample": True}
    (saved / "generation_config.json").write_text(json.dumps(settings))
    chat = load_chat(str(saved))
    policy = load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0)
    policy.save(tmp_path / "trained", chat.tokenizer)
    kept = json.loads((tmp_path / "trained" / "generation_config.json").read_text())
    assert set(kept["eos_token_id"]) == {other, *chat.end_ids}
    assert chat.end_ids[0] != other
    assert kept["temperature"] == 0.7
    with torch.no_grad():
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "trained")
        again.lm_head.weight = torch.nn.Parameter(torch.zeros_like(again.lm_head.weight))
        again.lm_head.bias = torch.nn.Parameter(torch.eye(len(again.lm_head.weight))[chat.end_ids[0]])
        said = again.generate(torch.tensor([[5, 6]]), do_sample=False, max_new_tokens=8)
    assert said[0].tolist() == [5, 6, chat.end_ids[0]]


def test_end_tokens_that_the_settings_name_already_leave_as_they_came(saved: Path, tmp_path: Path) -> None:
    ends = [*reversed(load_chat(str(saved)).end_ids), 7]
    (saved / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    chat = load_chat(str(saved))
    load_policy(ModelConfig(path=str(saved)), chat, CPU, 1.0, 0).save(tmp_path / "trained", chat.tokenizer)
    assert json.loads((tmp_path / "trained" / "generation_config.json").read_text())["eos_token_id"] == ends


def test_the_template_of_a_processor_is_read_where_the_tokenizer_has_none(saved: Path) -> None:
    (saved / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        load_chat(str(saved))
    (saved / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATES["plain"]}))
    assert load_chat(str(saved)).tokenizer.chat_template == TEMPLATES["plain"]
