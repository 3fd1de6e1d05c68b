"""A file of data that changes while a run waits to go on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rlvr.config.file import load_config
from rlvr.errors import CheckpointError
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy
from rlvr.runfolder import inputs
from rlvr.runfolder.inputs import check_inputs, digest_of, inputs_of, keep_inputs
from rlvr.trainers import run_trainer
from tests.rlvr.trainers.rows import assistant, recipe, user, write

SHA_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def talks(count: int, word: str = "yes") -> list[dict[str, Any]]:
    return [{"messages": [user(f"say {n}"), assistant(f"{word} {n}")]} for n in range(count)]


def begun(folder: Path) -> Path:
    (folder / "checkpoints/step-000001").mkdir(parents=True)
    return folder


def test_files_folders_and_revisions_have_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("abc")
    assert digest_of(str(tmp_path / "a.txt")) == f"3 bytes, SHA-256 {SHA_OF_ABC}"
    before = digest_of(str(tmp_path))
    assert before is not None
    assert before.startswith("folder, SHA-256 ")
    (tmp_path / "b.txt").write_text("")
    assert digest_of(str(tmp_path)) != before
    monkeypatch.setattr(inputs, "HF_HUB_CACHE", str(tmp_path))
    assert digest_of("someone/rows") is None
    write_ref = tmp_path / "datasets--someone--rows/refs"
    write_ref.mkdir(parents=True)
    (write_ref / "main").write_text("0123abcd\n")
    assert digest_of("someone/rows") == "revision 0123abcd"


def test_every_file_that_a_configuration_names_is_among_its_inputs(tmp_path: Path) -> None:
    train, test = (write(tmp_path / f"{name}.jsonl", [{"question": "1+1?", "answer": "2"}] * 5) for name in ("a", "b"))
    config = load_config(
        "configs/quickstart.yaml", [f"task={{name: dataset, train: {train}, test: {test}}}", "cold_start.task={}"]
    )
    assert inputs_of(config).keys() == {train, test}
    assert inputs_of(load_config("configs/quickstart.yaml")) == {}
    data = load_config(recipe(tmp_path / "sft.yaml", "sft", data=f"{{train: {train}, test: {test}}}"))
    assert inputs_of(data).keys() == {train, test}


def test_a_changed_file_is_refused_or_accepted_and_a_new_run_takes_any(tmp_path: Path) -> None:
    before, now = {"rows.jsonl": "3 bytes, SHA-256 aaaa"}, {"rows.jsonl": "4 bytes, SHA-256 bbbb"}
    keep_inputs(tmp_path, before, [])
    assert check_inputs(tmp_path, now, accepted=False, is_bound=False) == []  # there is no checkpoint yet
    begun(tmp_path)
    assert check_inputs(tmp_path, before, accepted=False, is_bound=False) == []
    with pytest.raises(
        CheckpointError, match=r"rows.jsonl \(3 bytes, SHA-256 aaaa then, 4 bytes, SHA-256 bbbb now\).*accept_"
    ):
        check_inputs(tmp_path, now, accepted=False, is_bound=False)
    with pytest.raises(CheckpointError, match=r"folder, out=runs/NAME$"):
        check_inputs(tmp_path, now, accepted=True, is_bound=True)
    assert len(check_inputs(tmp_path, now, accepted=True, is_bound=False)) == 1
    assert check_inputs(tmp_path, {"other.jsonl": "1"}, accepted=False, is_bound=False) == []


def test_a_run_notices_a_changed_file_when_it_goes_on(
    tmp_path: Path, chat: Chat, policy: Policy, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.save(tmp_path / "model", chat.tokenizer)
    rows = write(tmp_path / "rows.jsonl", talks(9))
    keys = {"data": f"{{train: {rows}}}", "rows_per_step": 2, "checkpoint": "{every: 1}"}
    path = recipe(tmp_path / "sft.yaml", "sft", **keys, model=f"{{path: {tmp_path / 'model'}}}")
    config = load_config(path)
    run = run_trainer(config)
    shutil.rmtree(run.folder / "checkpoints/step-000002")
    shutil.rmtree(run.folder / "model")
    assert run_trainer(config).done == 2
    shutil.rmtree(run.folder / "checkpoints/step-000002")
    shutil.rmtree(run.folder / "model")
    write(tmp_path / "rows.jsonl", talks(9, "no"))
    with pytest.raises(CheckpointError, match=r"the data has changed since this run began: .*rows\.jsonl"):
        run_trainer(config)
    capsys.readouterr()
    assert run_trainer(load_config(path, ["accept_changed_data=true"])).done == 2
    assert "Rows that were trained on may now be held out" in capsys.readouterr().out
    assert json.loads((run.folder / "inputs.json").read_text()) == {rows: digest_of(rows)}
    assert run_trainer(config).done == 2  # what was accepted is the data of the run from now on
    write(tmp_path / "rows.jsonl", talks(9, "once more"))
    with pytest.raises(CheckpointError, match="the data has changed since this run began"):
        run_trainer(load_config(run.folder / "config.yaml"))  # which does not accept whatever comes later
    notes = [json.loads(line) for line in (run.folder / "changes.jsonl").read_text().splitlines()]
    assert [(note["key"], note["now"]) for note in notes] == [("accept_changed_data", True)]
