"""A model that comes with its own code: a folder as people publish it, with an architecture that nobody else has."""

import json
from pathlib import Path

import pytest
import torch

from rlvr.config import ModelConfig
from rlvr.errors import ModelError
from rlvr.models.chat import Chat
from rlvr.models.load import load_chat, load_policy
from rlvr.models.policy import Policy
from rlvr.models.remote_code import check_code

CPU = torch.device("cpu")
CONFIGURATION = """
from transformers import Qwen3Config

class OwnConfig(Qwen3Config):
    model_type = "own_model"
"""
MODELING = """
from transformers import Qwen3ForCausalLM
from .configuration_own import OwnConfig

class OwnForCausalLM(Qwen3ForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def own(policy: Policy, chat: Chat, tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    policy.save(folder, chat.tokenizer)
    (folder / "configuration_own.py").write_text(CONFIGURATION)
    (folder / "modeling_own.py").write_text(MODELING)
    path = folder / "config.json"
    auto_map = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}
    keys = {"model_type": "own_model", "architectures": ["OwnForCausalLM"], "auto_map": auto_map}
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))
    return folder


def test_code_is_run_only_where_the_recipe_says_so(own: Path, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> str:
        raise AssertionError("nobody is there to answer")

    monkeypatch.setattr("builtins.input", never)
    said = r"comes with Python code of its own.*Read it, and set model\.trust_remote_code=true to run it"
    for refuse in (
        lambda: check_code(str(own), False, None),
        lambda: load_chat(str(own)),
        lambda: load_policy(ModelConfig(path=str(own)), chat, CPU, 1.0, 0),
    ):
        with pytest.raises(ModelError, match=said):
            refuse()
    check_code(str(own), True, None)


def test_a_trusted_model_computes_and_is_saved_with_its_code(
    own: Path, policy: Policy, chat: Chat, tmp_path: Path
) -> None:
    trusted = load_policy(ModelConfig(path=str(own), trust_remote_code=True), chat, CPU, 1.0, 0)
    assert type(trusted.model).__name__ == "OwnForCausalLM"
    assert load_chat(str(own), trust_remote_code=True).end_ids == chat.end_ids
    again = tmp_path / "again"
    again.mkdir()
    trusted.save(again, chat.tokenizer)
    assert {path.name for path in again.glob("*.py")} == {"configuration_own.py", "modeling_own.py"}
    ids = torch.tensor([[2, 30, 40]])
    saved = load_policy(ModelConfig(path=str(again), trust_remote_code=True), chat, CPU, 1.0, 0)
    assert type(saved.model).__name__ == "OwnForCausalLM"
    with torch.no_grad():
        assert torch.equal(saved.model(ids).logits, policy.model(ids).logits)


def test_a_model_that_transformers_has_needs_no_trust_whatever_code_lies_beside_it(
    policy: Policy, chat: Chat, tmp_path: Path
) -> None:
    policy.save(tmp_path, chat.tokenizer)
    path = tmp_path / "config.json"
    (tmp_path / "configuration_own.py").write_text("raise RuntimeError('run me not')")
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoConfig": "configuration_own.OwnConfig"}})
    )
    check_code(str(tmp_path), False, None)
    load_policy(ModelConfig(path=str(tmp_path)), chat, CPU, 1.0, 0)
