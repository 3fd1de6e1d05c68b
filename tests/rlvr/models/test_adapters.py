"""Adapters in peft's format: what a run leaves is what peft loads, and what training can start from."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from peft import LoraConfig as PeftConfig
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr.batching import token_batch
from rlvr.commands.export import export
from rlvr.config import LoraConfig, ModelConfig
from rlvr.config.file import Origin, check_config, dump_config
from rlvr.errors import ConfigError, ModelError
from rlvr.models.chat import Chat
from rlvr.models.load import load_chat, load_policy
from rlvr.models.policy import Policy
from rlvr.preflight import check_model
from rlvr.trainers import grpo, run_trainer, sft
from rlvr.types import Batch
from tests.rlvr.going_on import recipe, save_tiny

IDS = torch.tensor([[1, 5, 9, 17, 33, 65, 129, 200]])
ADAPTED = {"model.lora": "{rank: 4, alpha: 16, targets: [q_proj, up_proj]}"}


@pytest.fixture(scope="module")
def tiny(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("base") / "tiny", chat)


@pytest.fixture(scope="module")
def trained(tiny: Path) -> Path:
    """The folder of a run that trained adapters for two steps."""
    grpo.train(recipe(tiny, tiny.parent / "adapted", **ADAPTED))
    return tiny.parent / "adapted"


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def load(config: ModelConfig) -> Policy:
    return load_policy(config, load_chat(str(config.path)), torch.device("cpu"), 1.0, 0)


def batch() -> Batch:
    return token_batch([[1, 5, 9]], [[17, 33, 65]], [[True] * 3], range(1))


def foreign_adapter(tiny: Path, folder: Path, base: str | None = None, **choices: object) -> Path:
    """Adapters that peft itself made and saved, with weights that change the model."""
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny), PeftConfig(task_type="CAUSAL_LM", **{"r": 3, **choices})
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    if base is not None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": base}))
    return folder


def test_the_adapters_that_a_run_leaves_are_its_model_on_the_base(tiny: Path, trained: Path) -> None:
    model = logits_of(AutoModelForCausalLM.from_pretrained(trained / "model"))
    base = AutoModelForCausalLM.from_pretrained(tiny)
    before = logits_of(base)
    with_adapters = logits_of(PeftModel.from_pretrained(base, trained / "adapter"))
    assert float((model - before).abs().max()) > 1e-3
    torch.testing.assert_close(with_adapters, model, atol=1e-5, rtol=0)
    saved = json.loads((trained / "adapter/adapter_config.json").read_text())
    assert (saved["r"], saved["lora_alpha"], saved["base_model_name_or_path"]) == (4, 16, str(tiny))
    assert sorted(saved["target_modules"]) == ["q_proj", "up_proj"]
    assert AutoTokenizer.from_pretrained(trained / "adapter").chat_template


def test_a_checkpoint_is_exported_merged_or_as_adapters(tiny: Path, trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "one", step=1)
    export(trained, tmp_path / "one_adapter", step=1, adapter=True)
    export(trained / "checkpoints/step-000001", tmp_path / "named")
    export(trained, tmp_path / "two")
    one, named, two = (
        logits_of(AutoModelForCausalLM.from_pretrained(tmp_path / name)) for name in ("one", "named", "two")
    )
    alone = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), tmp_path / "one_adapter")
    assert torch.equal(one, named)
    assert float((one - two).abs().max()) > 1e-3
    torch.testing.assert_close(logits_of(alone), one, atol=1e-5, rtol=0)
    assert torch.equal(two, logits_of(AutoModelForCausalLM.from_pretrained(trained / "model")))
    with pytest.raises(ConfigError, match=r"keeps no checkpoint of step 7; it keeps those of 1, 2"):
        export(trained, tmp_path / "seven", step=7)
    with pytest.raises(ConfigError, match="exists and is not empty"):
        export(trained, tmp_path / "one")
    shutil.copytree(trained, tmp_path / "older")
    shutil.rmtree(tmp_path / "older/adapter")
    export(tmp_path / "older", tmp_path / "two_adapter", adapter=True)
    older = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), tmp_path / "two_adapter")
    torch.testing.assert_close(logits_of(older), two, atol=1e-5, rtol=0)
    assert not (tmp_path / "seven").exists()


def test_training_goes_on_with_adapters_and_measures_from_where_it_started(
    tiny: Path, trained: Path, tmp_path: Path
) -> None:
    start = logits_of(AutoModelForCausalLM.from_pretrained(trained / "model"))
    config = recipe(
        tiny,
        tmp_path / "further",
        **{"model.lora": f"{{path: {trained / 'adapter'}}}", "objective": "{preset: dr_grpo, kl_coef: 0.1}"},
    )
    assert config.needs_reference
    policy = load(config.model)
    torch.testing.assert_close(logits_of(policy.model), start, atol=1e-5, rtol=0)
    assert {parameter.shape[0] for name, parameter in policy.trainable().items() if "lora_A" in name} == {4}
    own = policy.scores(batch()).logprobs.detach()
    with policy.without_adapters():
        bare = policy.scores(batch()).logprobs.detach()
    run = grpo.train(config)
    reference = run.learner.frozen_logprobs(batch(), torch.arange(1), reference=True)
    after = run.learner.frozen_logprobs(batch(), torch.arange(1))
    torch.testing.assert_close(reference, own, atol=1e-6, rtol=0)
    assert float((after - own).abs().max()) > 1e-3
    assert float((bare - own).abs().max()) > 1e-3
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[1]["kl"] == pytest.approx(0, abs=1e-6)
    assert rows[2]["kl"] > 1e-6
    again = check_config(yaml.safe_load(dump_config(config)), Origin("again"))
    assert again == config
    assert run_trainer(again).done == 2


def test_training_that_is_interrupted_goes_on_from_the_same_reference(
    tiny: Path, trained: Path, tmp_path: Path
) -> None:
    choices = {"model.lora": f"{{path: {trained / 'adapter'}}}", "objective": "{preset: dr_grpo, kl_coef: 0.1}"}
    whole = grpo.train(recipe(tiny, tmp_path / "whole", steps=4, **choices))
    grpo.train(recipe(tiny, tmp_path / "parts", steps=2, **choices))
    parts = grpo.train(recipe(tiny, tmp_path / "parts", steps=4, **choices))
    for (name, weight), (_, other) in zip(
        whole.learner.policy.named_weights(), parts.learner.policy.named_weights(), strict=True
    ):
        assert torch.equal(weight, other), name


def test_settings_that_contradict_the_adapters_are_refused(tiny: Path, trained: Path) -> None:
    path = str(trained / "adapter")
    check_model(ModelConfig(path=str(tiny), lora=LoraConfig(path=path, rank=4, targets=["up_proj", "q_proj"])), "model")
    with pytest.raises(ModelError, match=r"lora.rank: got 8, but the adapters in .* have 4; leave model.lora.rank"):
        check_model(ModelConfig(path=str(tiny), lora=LoraConfig(path=path, rank=8)), "model")
    with pytest.raises(ModelError, match=r"model.lora.targets: got \['q_proj'\], but the adapters .* \['q_proj', 'up_"):
        check_model(ModelConfig(path=str(tiny), lora=LoraConfig(path=path, targets=["q_proj"])), "model")
    with pytest.raises(ModelError, match=r"model.lora.path '.*': there is no adapter_config.json"):
        check_model(ModelConfig(path=str(tiny), lora=LoraConfig(path=str(tiny))), "model")


def test_a_path_that_names_adapters_is_their_base_with_them_merged(tiny: Path, tmp_path: Path) -> None:
    folder = foreign_adapter(tiny, tmp_path / "adapter", use_dora=True, modules_to_save=["lm_head"])
    expected = logits_of(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), folder))
    config = ModelConfig(path=str(folder))
    check_model(config, "model")
    policy = load(config)
    torch.testing.assert_close(logits_of(policy.model), expected, atol=1e-5, rtol=0)
    assert not any("lora_" in name for name in policy.trainable())
    # Everything is trained, the head too, which the adapters have untied from the embeddings.
    assert policy.trainable().keys() == load(ModelConfig(path=str(tiny))).trainable().keys() | {"lm_head.weight"}
    export(folder, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits_of(merged), expected, atol=1e-5, rtol=0)
    with pytest.raises(ModelError, match=r"training can go on with plain LoRA adapters, and these have use_dora: True"):
        check_model(ModelConfig(path=str(tiny), lora=LoraConfig(path=str(folder))), "model")


def test_new_adapters_on_merged_ones_start_from_the_merged_policy(tiny: Path, tmp_path: Path, capsys) -> None:
    folder = foreign_adapter(tiny, tmp_path / "adapter")
    merged = load(ModelConfig(path=str(folder))).scores(batch()).logprobs.detach()
    run = grpo.train(recipe(folder, tmp_path / "run", **ADAPTED, objective="{preset: dr_grpo, kl_coef: 0.1}"))
    reference = run.learner.frozen_logprobs(batch(), torch.arange(1), reference=True)
    torch.testing.assert_close(reference, merged, atol=1e-6, rtol=0)
    assert not (tmp_path / "run/adapter").exists()
    assert "alone they would lack a head, or a base model that a folder holds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("", "names no base model; name it yourself: model.path=BASE model.lora.path="),
        ("/nowhere/base", r"holds adapters, and their base '/nowhere/base': there is no such folder.*model.path=THERE"),
    ],
)
def test_adapters_whose_base_is_not_to_be_found_say_how_to_name_it(
    tiny: Path, tmp_path: Path, base: str, said: str
) -> None:
    folder = foreign_adapter(tiny, tmp_path / "adapter", base=base)
    with pytest.raises(ModelError, match=said):
        check_model(ModelConfig(path=str(folder)), "model")
    named = ModelConfig(path=str(tiny), lora=LoraConfig(path=str(folder)))
    check_model(named, "model")
    assert load(named).start is not None


def test_adapters_of_another_model_are_refused_when_they_are_loaded(tiny: Path, tmp_path: Path) -> None:
    folder = foreign_adapter(tiny, tmp_path / "adapter", target_modules=["q_proj"])
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_modules": ["q_proj", "o_proj"]}))
    with pytest.raises(ModelError, match=r"does not fit .*o_proj.* is not in both"):
        load(ModelConfig(path=str(tiny), lora=LoraConfig(path=str(folder))))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_modules": ["q_proj"], "r": 5}))
    with pytest.raises(ModelError, match=r"size mismatch.*expected the adapters of this very model"):
        load(ModelConfig(path=str(tiny), lora=LoraConfig(path=str(folder))))


def test_a_folder_with_a_model_and_adapters_is_ambiguous(tiny: Path, tmp_path: Path) -> None:
    folder = foreign_adapter(tiny, tmp_path / "adapter")
    (folder / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"holds a model and also adapter_config\.json"):
        check_model(ModelConfig(path=str(folder)), "model")


def test_a_cold_start_of_adapters_hands_them_on(tiny: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = recipe(
        tiny,
        out,
        **{
            "model.lora": f"{{path: {trained / 'adapter'}}}",
            "cold_start": "{steps: 1, rows_per_step: 2, optimizer: {lr: 1e-2}}",
            "objective": "{preset: dr_grpo, kl_coef: 0.1}",
        },
    )
    run = grpo.train(config)
    base = AutoModelForCausalLM.from_pretrained(tiny)
    cold = logits_of(PeftModel.from_pretrained(base, out / "cold_start/adapter"))
    torch.testing.assert_close(
        cold, logits_of(AutoModelForCausalLM.from_pretrained(out / "cold_start/model")), atol=1e-5, rtol=0
    )
    reference = run.learner.frozen_logprobs(batch(), torch.arange(1), reference=True)
    expected = load(ModelConfig(path=str(out / "cold_start/model"))).scores(batch()).logprobs.detach()
    torch.testing.assert_close(reference, expected, atol=1e-5, rtol=0)
    export(out, tmp_path / "exported", step=2)
    final = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    torch.testing.assert_close(logits_of(final), logits_of(AutoModelForCausalLM.from_pretrained(out / "model")))


def test_full_weights_of_a_new_model_are_exported_from_a_checkpoint(tmp_path: Path) -> None:
    from rlvr.config import SFTConfig, TaskConfig
    from rlvr.config.sections import CheckpointConfig, EvalConfig
    from tests.conftest import TINY

    config = SFTConfig(
        trainer="sft",
        out=str(tmp_path / "run"),
        steps=2,
        rows_per_step=2,
        model=ModelConfig(scratch=TINY),
        task=TaskConfig(name="arithmetic"),
        eval=EvalConfig(problems=0),
        checkpoint=CheckpointConfig(every=1, keep_last=3),
    )
    run = sft.train(config)
    assert not (run.folder / "adapter").exists()
    export(run.folder, tmp_path / "exported", step=1)
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    shorter = sft.train(config.model_copy(update={"steps": 1, "out": str(tmp_path / "shorter")}))
    assert torch.equal(logits_of(exported), logits_of(AutoModelForCausalLM.from_pretrained(shorter.model_folder)))
    with pytest.raises(ConfigError, match="has no adapters that stand alone"):
        export(run.folder, tmp_path / "none", step=1, adapter=True)


def test_values_are_exchanged_inside_and_come_back() -> None:
    from rlvr.models.adapters import values_of, with_values

    parameters = {"a": torch.nn.Parameter(torch.tensor([1.0])), "b": torch.nn.Parameter(torch.tensor([2.0]))}
    start = {"a": torch.tensor([5.0])}
    assert values_of(parameters)["b"].item() == 2
    with with_values(parameters, start):
        assert [parameters["a"].item(), parameters["b"].item()] == [5, 2]
    assert parameters["a"].item() == 1
