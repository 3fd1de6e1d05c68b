import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.errors import CheckpointError
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.runfolder.base_model import BASE_MODEL, note_base_model
from rlvr.runfolder.checkpoint import save_checkpoint


def test_a_run_that_goes_on_is_not_given_other_weights(tmp_path: Path) -> None:
    note_base_model(tmp_path, "org/name", "aaa")
    assert json.loads((tmp_path / BASE_MODEL).read_text()) == {"path": "org/name", "commit": "aaa"}
    note_base_model(tmp_path, "org/name", "bbb")  # nothing was trained yet
    save_checkpoint(tmp_path / "checkpoints", 1, lambda folder: None, {}, keep_last=1)
    note_base_model(tmp_path, "org/name", "bbb")
    with pytest.raises(CheckpointError, match=r"began with commit bbb of org/name.*Set model\.revision=bbb"):
        note_base_model(tmp_path, "org/name", "ccc")


def test_a_folder_has_no_commit(tmp_path: Path) -> None:
    note_base_model(tmp_path, "runs/x/model", None)
    assert list(tmp_path.iterdir()) == []


def test_the_hubs_cache_knows_the_commit_of_a_branch_and_a_revision_chooses_it(
    policy: Policy, chat: Chat, tmp_path: Path
) -> None:
    repository, commits = tmp_path / "models--org--name", {"main": "a" * 40, "older": "b" * 40}
    (repository / "refs").mkdir(parents=True)
    for branch, commit in commits.items():
        folder = repository / "snapshots" / commit
        folder.mkdir(parents=True)
        policy.save(folder, chat.tokenizer)
        (repository / "refs" / branch).write_text(commit)
    program = """
import sys, torch
from rlvr.config import ModelConfig
from rlvr.models.load import commit_of, load_chat, load_policy
for revision in (None, "older", "b" * 40):
    config = ModelConfig(path="org/name", revision=revision)
    chat = load_chat("org/name", revision=revision)
    load_policy(config, chat, torch.device("cpu"), 1.0, 0)
    print(commit_of(config))
"""
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == [commits["main"], commits["older"], commits["older"]], ran.stderr
