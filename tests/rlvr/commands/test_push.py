"""`rlvr push` against a stand-in of the hub: what arrives there is the model, its recipe and its card."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForCausalLM

from rlvr.commands.card import card_of, licence_of, results
from rlvr.commands.push import push
from rlvr.config.file import load_config
from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.runfolder.saved import find_saved
from rlvr.trainers import grpo
from tests.rlvr.commands.hub import TOKEN, Hub
from tests.rlvr.going_on import recipe, save_tiny


@pytest.fixture(scope="module")
def run(chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = save_tiny(tmp_path_factory.mktemp("base") / "tiny", chat)
    (tiny / "README.md").write_text("---\nlicense: apache-2.0\n---\n# tiny\n")
    out = tiny.parent / "run"
    grpo.train(recipe(tiny, out, eval="{problems: 20, samples: 2}"))
    grpo.train(recipe(tiny, out, eval="{problems: 20, samples: 2}", steps=3, optimizer="{lr: 0.5, schedule: constant}"))
    return out


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def rlvr_push(hub: Hub, *arguments: object, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: the hub client reads its endpoint when it is imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": "/nonexistent"}
    environment |= {"HF_TOKEN": token} if token else {}
    command = [sys.executable, "-m", "rlvr", "push", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)


def test_what_arrives_is_the_model_with_its_recipe_and_card(run: Path, hub: Hub, tmp_path: Path) -> None:
    done = rlvr_push(hub, run, "me/adder", "--private")
    assert done.returncode == 0, done.stderr
    assert f"the private repository is {hub.url}/me/adder" in done.stdout
    assert hub.repos["me/adder"]["visibility"] == "private"
    assert hub.messages == {"me/adder": ["Step 3 of a run of rlvr"]}
    files = hub.files["me/adder"]
    assert files["model.safetensors"] == (run / "model/model.safetensors").read_bytes()
    assert files["recipe.yaml"] == (run / "config.yaml").read_bytes()
    assert files["README.md"].decode() == card_of(find_saved(run), "adder")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    AutoModelForCausalLM.from_pretrained(tmp_path)
    assert not list(run.glob("push-*"))


def test_a_step_is_uploaded_as_it_was(run: Path, hub: Hub) -> None:
    done = rlvr_push(hub, run, "me/adder", "--step", 1)
    assert done.returncode == 0, done.stderr
    assert "visibility" not in hub.repos["me/adder"]
    assert hub.files["me/adder"]["model.safetensors"] != (run / "model/model.safetensors").read_bytes()
    assert "after step 1 of `grpo`" in hub.files["me/adder"]["README.md"].decode()


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "error: nobody is logged in to the hub; run hf auth login, or set HF_TOKEN"),
        ("hf_another", "error: the hub refused the upload to 'me/adder': the token is not valid"),
    ],
)
def test_who_is_not_logged_in_is_told_so(run: Path, hub: Hub, token: str | None, said: str) -> None:
    done = rlvr_push(hub, run, "me/adder", token=token)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
    assert hub.files == {}


def test_no_run_and_no_name_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is neither the folder of a run nor one of its checkpoints"):
        push(tmp_path, "me/adder")
    with pytest.raises(ConfigError, match=r"'me/ad/der' is no name for a repository: .*expected USER/NAME"):
        push(run, "me/ad/der")


def test_the_card_says_what_was_measured_and_how_to_do_it_again(run: Path) -> None:
    assert push(run, "me/adder", dry_run=True) == f"nothing was uploaded; the card is in {run / 'card.md'}"
    _, front, text = (run / "card.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["rlvr", "grpo"],
        "license": "apache-2.0",
    }
    assert "| measure | before training | after step 3 |" in text
    assert re.search(r"\| eval/greedy \| 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\] \| 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\] \|", text)
    assert "rlvr train recipe.yaml" in text
    assert "- after step 2: `optimizer.lr` from 0.01 to 0.5" in text
    assert "The task `arithmetic` with `min_steps: 1`" in text
    assert "That of the base model: apache-2.0." in text
    recipe_text = text.partition("```yaml\n")[2].partition("\n```")[0]
    path = run.parent / "again.yaml"
    path.write_text(recipe_text)
    assert load_config(path) == load_config(run)


def test_results_are_of_the_first_and_of_the_last_evaluation_up_to_the_step() -> None:
    rows = [
        {"step": 0, "eval/greedy": 0.1, "eval/greedy_low": 0.05, "eval/greedy_high": 0.2, "eval/length": 9.0},
        {"step": 1, "loss": 0.5},
        {"step": 2, "eval/greedy": 0.5, "eval/greedy_low": 0.4, "eval/greedy_high": 0.6, "eval/length": 8.0},
        {"step": 4, "eval/greedy": 0.7, "eval/greedy_low": 0.6, "eval/greedy_high": 0.8, "eval/length": 7.0},
    ]
    assert results(rows, 3)[:3] == [
        "| measure | before training | after step 2 |",
        "| --- | --- | --- |",
        "| eval/greedy | 0.100 [0.050, 0.200] | 0.500 [0.400, 0.600] |",
    ]
    assert results([{"step": 2, "held_out/loss": 1.5}], 2)[2] == "| held_out/loss | 1.500 |"
    assert results([{"step": 1, "loss": 0.5}], 2) == ["The run was not evaluated."]


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (None, None),
        ("# no front matter --- at all --- here", None),
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\ntags: [a]\n---\n", None),
        ("---\n: : :\n---\n", None),
    ],
)
def test_the_licence_is_what_the_base_states(tmp_path: Path, card: str | None, licence: str | None) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert licence_of(str(tmp_path)) == licence
