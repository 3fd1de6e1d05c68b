"""The pipeline of `make rlhf`, from nothing to the page, with a tiny model and a few steps of each stage."""

import re
from pathlib import Path

import pytest

from rlvr.commands.overoptimization import write_page
from rlvr.commands.sample_pairs import sample_pairs
from rlvr.config.file import load_config
from rlvr.errors import DataError
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import run_trainer

RECIPES = Path("configs/rlhf_quickstart")
# Long enough for 50 tokens that are bytes of no text, each of which reads as a sign of three bytes.
TINY = "{hidden_size: 32, layers: 1, heads: 2, kv_heads: 2, intermediate_size: 64, max_length: 192}"
LITTLE = {
    "sft": [f"model.scratch={TINY}", "steps=60", "rows_per_step=32", "eval.problems=0", "optimizer.lr=1e-2"],
    "reward_model": ["steps=3", "rows_per_step=8"],
    "dpo": ["steps=4", "rows_per_step=8", "eval={problems: 6, samples: 2, every: 2}", "sampling.max_tokens=50"],
    "ppo": [
        "steps=4", "prompts_per_step=8", "eval={problems: 6, samples: 2, every: 2}", "sampling.max_tokens=50",
        "verify.workers=1",
    ],
}  # fmt: skip


def test_the_stages_hand_on_to_each_other_and_the_page_shows_score_and_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def here(name: str) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text((RECIPES / f"{name}.yaml").read_text().replace("runs/rlhf", str(tmp_path)))
        return path

    configs = {name: load_config(here(name), LITTLE[name]) for name in LITTLE}
    run_trainer(configs["sft"])
    found = sample_pairs(configs["dpo"], tmp_path / "pairs.jsonl", None, 48, 2, 1, noise=0.1)
    assert found.pairs > 8
    sample_pairs(configs["dpo"], tmp_path / "held_out_pairs.jsonl", None, 24, 2, 1, held_out=True)
    for name in ("reward_model", "dpo", "ppo"):
        run_trainer(configs[name])
    rows = {name: read_metrics(tmp_path / name / "metrics.jsonl") for name in LITTLE}
    assert "held_out/accuracy" in rows["reward_model"][-1]
    assert all(row["verdict/scored"] == 1 for row in rows["ppo"][1:])
    assert all("eval/avg@2" in rows[name][step] for name in ("ppo", "dpo") for step in (0, 2, 4))
    capsys.readouterr()

    page = tmp_path / "page" / "overoptimization.html"
    write_page([tmp_path / "ppo", tmp_path / "dpo"], page, None, "rlvr overoptimization", png=True)
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    for name in ("ppo", "dpo"):
        first, last = (f"{rows[name][step]['eval/avg@2']:.3f}" for step in (0, -1))
        assert f"{name}: the reward model's score went from" in said
        assert f"the true score from {first} to {last}" in said
    html = page.read_text()
    assert html.count("<figure>") == 3
    assert re.search(r"<td>0<td>-?[0-9.]+<td>[0-9.]+<small>", html)
    with pytest.raises(DataError, match="none of these runs was trained against a reward model"):
        write_page([tmp_path / "dpo"], page, None, "rlvr overoptimization")
    with pytest.raises(DataError, match=r"reward_model holds a run of trainer: reward_model; expected one that"):
        write_page([tmp_path / "reward_model"], page, None, "rlvr overoptimization")
    with pytest.raises(DataError, match="holds 0 evaluations with drawn completions, expected two or more"):
        write_page([tmp_path / "sft"], page, str(tmp_path / "reward_model/model"), "rlvr overoptimization")
