from pathlib import Path

import pytest
import torch

from rlvr.commands.sample_pairs import demonstrations_of, pairs_of, sample_pairs
from rlvr.config import AnyConfig, GRPOConfig, ModelConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.types import Group, Rollout
from tasks import Problem
from tasks.conversations import read_conversations
from tasks.data_check import check_data
from tasks.preferences import read_preferences
from tasks.registry import make_task
from tests.conftest import TINY
from tests.rlvr import scripts
from verifiers import Verdict


def group(*said: tuple[str, float | None, str]) -> Group:
    rollouts = [
        Rollout(
            [1], [2], [True], [0.0], finish, 0, text, Verdict(reward, "correct" if reward == 1 else "wrong"), reward
        )  # type: ignore[arg-type]
        for text, reward, finish in said
    ]
    return Group(Problem("p", ({"role": "user", "content": "?"},), "1"), tuple(rollouts))


def texts(rows: list[dict]) -> list[tuple[str, str]]:
    return [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows]


def test_the_best_stand_beside_the_worst_and_no_text_twice() -> None:
    found = group(("a", 1.0, "stop"), ("a", 1.0, "stop"), ("b", 1.0, "stop"), ("c", 0.5, "stop"), ("d", 0.0, "stop"))
    rows = pairs_of(found, 5, seed=0)
    assert len(rows) == 1  # one worst completion
    assert texts(rows)[0] in [("a", "d"), ("b", "d")]
    assert rows[0]["margin"] == 1.0
    assert pairs_of(found, 5, seed=0) == rows
    many = group(("a", 1.0, "stop"), ("b", 1.0, "stop"), ("c", 0.0, "stop"), ("d", 0.0, "length"))
    assert {text for pair in texts(pairs_of(many, 5, seed=1)) for text in pair} == {"a", "b", "c", "d"}
    assert len(pairs_of(many, 1, seed=1)) == 1


@pytest.mark.parametrize(
    "said",
    [
        [("a", 1.0, "stop"), ("b", 1.0, "stop")],  # all right
        [("a", None, "stop"), ("b", 1.0, "stop")],  # a failed grader is no worse answer
        [("a", 1.0, "length"), ("b", 0.0, "stop")],  # cut off
        [("a", 1.0, "stop"), (" ", 0.0, "stop")],  # says nothing
    ],
)
def test_what_says_nothing_is_no_pair(said: list[tuple[str, float | None, str]]) -> None:
    assert pairs_of(group(*said), 3, seed=0) == []


def test_demonstrations_are_right_ones_or_the_best_of_a_learned_judge() -> None:
    found = group(("a", 1.0, "stop"), ("b", 0.0, "stop"), ("a", 1.0, "stop"), ("c", 1.0, "length"))
    assert [row["messages"][-1]["content"] for row in demonstrations_of(found, 4)] == ["a"]
    assert demonstrations_of(group(("a", 0.5, "stop")), 4) == []
    scored = Rollout([1], [2], [True], [0.0], "stop", 0, "x", Verdict(-3.0, "scored"), -3.0)
    assert len(demonstrations_of(Group(found.problem, (scored,)), 4)) == 1


def scripted(chat: Chat, tmp_path: Path) -> AnyConfig:
    """A recipe whose completions are written by `scripts.half_right`."""
    (tmp_path / "tiny").mkdir()
    policy = load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), 1.0, 0)
    policy.save(tmp_path / "tiny", chat.tokenizer)
    overrides = [
        f"model.path={tmp_path / 'tiny'}", "model.scratch=null", "cold_start=null",
        "engine={name: scripted, script: 'tests.rlvr.scripts:half_right'}", "verify.verifier=tests.rlvr.scripts:coin",
    ]  # fmt: skip
    return load_config("configs/quickstart.yaml", overrides)


def test_the_files_are_read_by_the_trainers(chat: Chat, tmp_path: Path) -> None:
    config = scripted(chat, tmp_path)
    assert isinstance(config, GRPOConfig)
    out, sft = tmp_path / "new" / "pairs.jsonl", tmp_path / "new" / "sft.jsonl"
    found = sample_pairs(config, out, sft, problems=20, samples=4, per_problem=1)
    pairs = read_preferences(str(out))
    assert len(pairs) == found.pairs > 10
    for pair in pairs:
        better, worse = (answer[0]["content"] for answer in pair.answers)  # type: ignore[index]
        assert (better[-1] in "02", worse[-1] in "13") == (True, True)
        assert pair.ratings == (1.0, 0.0)
    assert len(read_conversations(str(sft))) == found.demonstrations > 10
    assert check_data(str(out)).passed
    again = tmp_path / "again.jsonl"
    sample_pairs(config, again, None, problems=20, samples=4, per_problem=1)
    assert again.read_text() == out.read_text()
    noisy = tmp_path / "noisy.jsonl"
    sample_pairs(config, noisy, None, problems=20, samples=4, per_problem=1, noise=0.5)
    both = list(zip(pairs, read_preferences(str(noisy)), strict=True))
    exchanged = [pair.answers == judged.answers[::-1] for pair, judged in both]
    assert 2 < sum(exchanged) < len(pairs) - 2
    assert exchanged == [pair.answers != judged.answers for pair, judged in both]
    sample_pairs(config, noisy, None, problems=20, samples=4, per_problem=1, held_out=True)
    asked = {problem.prompt[0]["content"] for problem in make_task("arithmetic", config.task.knobs, 0).held_out(20)}
    assert {pair.prompt[0]["content"] for pair in read_preferences(str(noisy))} <= asked  # type: ignore[index,typeddict-item]
    with pytest.raises(ConfigError, match=r"model.scratch is not trained"):
        sample_pairs(load_config("configs/quickstart.yaml"), out, None, 1, 2, 1)


def test_ctrl_c_keeps_what_was_found_and_says_where(
    chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = scripted(chat, tmp_path)
    whole, out, sft = tmp_path / "whole.jsonl", tmp_path / "pairs.jsonl", tmp_path / "sft.jsonl"
    sample_pairs(config, whole, None, problems=20, samples=4, per_problem=1)
    monkeypatch.setattr("rlvr.commands.sample_pairs.CHUNK", 8)
    asked = []

    def until_interrupted(prompt: str, seed: int, number: int) -> str:
        asked.append(prompt)
        if len(asked) > 18 * 4:  # in the third chunk
            raise KeyboardInterrupt
        return half_right(prompt, seed, number)

    half_right = scripts.half_right
    monkeypatch.setattr(scripts, "half_right", until_interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample_pairs(config, out, sft, problems=20, samples=4, per_problem=1)
    assert not out.exists()
    assert not sft.exists()
    kept = (tmp_path / "pairs.jsonl.partial").read_text()
    assert whole.read_text().startswith(kept)
    assert 5 < len(kept.splitlines()) <= 16
    assert len((tmp_path / "sft.jsonl.partial").read_text().splitlines()) > 5
    said = capsys.readouterr().out
    assert f"stopped before the end: {len(kept.splitlines())} rows are in {out}.partial" in said
    assert f"{sft}.partial" in said
