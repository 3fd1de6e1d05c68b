import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlvr.build import open_data_run
from rlvr.config import DataConfig, DPOConfig
from rlvr.config.file import load_config
from rlvr.data.examples import Answers, answer_batch, load_examples, mismatched
from rlvr.errors import CheckpointError, ConfigError, DataError
from rlvr.learners.local import LocalLearner
from rlvr.models.chat import Chat
from rlvr.models.load import load_chat
from rlvr.models.policy import Policy
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import dpo
from tasks.preferences import read_unpaired
from tests.rlvr.trainers.rows import SCRATCH, assistant, polite_pairs, recipe, user, write


def settings(tmp_path: Path, name: str = "dpo", rows: int = 80, **keys: Any) -> DPOConfig:
    path = write(tmp_path / "pairs.jsonl", polite_pairs(rows))
    defaults = {"data": f"{{train: {path}, held_out_rows: {rows // 4}}}", "rows_per_step": 16, "out": tmp_path / name}
    loaded = load_config(recipe(tmp_path / f"{name}.yaml", "dpo", **(defaults | keys)))
    assert isinstance(loaded, DPOConfig)
    return loaded


def steps(folder: Path) -> list[dict[str, float]]:
    return [row for row in read_metrics(folder / "metrics.jsonl") if "loss" in row]


@pytest.mark.parametrize(
    ("loss", "first"),
    [("sigmoid", math.log(2)), ("robust", math.log(2)), ("hinge", 1.0), ("ipo", 25.0), ("kto", 0.5)],
)
def test_it_starts_at_the_reference_and_learns_what_is_preferred(tmp_path: Path, loss: str, first: float) -> None:
    config = settings(tmp_path, loss=loss, steps=25, optimizer="{lr: 2.0e-3}", label_smoothing=0.1 * (loss == "robust"))
    run = dpo.train(config)
    rows = steps(run.folder)
    assert rows[0]["loss"] == pytest.approx(first, abs=1e-4)
    measured = [row for row in read_metrics(run.folder / "metrics.jsonl") if "held_out/accuracy" in row]
    assert measured[0]["held_out/loss"] == pytest.approx(first, abs=1e-4)
    assert measured[-1]["held_out/loss"] < 0.9 * first
    assert measured[-1]["held_out/accuracy"] > 0.9
    wanted, unwanted = ("wanted", "unwanted") if loss == "kto" else ("better", "worse")
    assert measured[-1][f"held_out/reward/{wanted}"] > measured[-1][f"held_out/reward/{unwanted}"]


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "kto"])
def test_microbatches_and_packing_change_no_step(tmp_path: Path, loss: str) -> None:
    found = []
    for name, tokens, packing in (("whole", 10_000, "false"), ("split", 1, "false"), ("packed", 300, "true")):
        optimizer = f"{{lr: 1.0e-3, microbatch_tokens: {tokens}}}"
        keys = {"model": f"{{scratch: {SCRATCH}, packing: {packing}}}", "optimizer": optimizer, "steps": 3}
        found.append(steps(dpo.train(settings(tmp_path, name, loss=loss, rows_per_step=8, **keys)).folder))
    for other in found[1:]:
        for row, expected in zip(other, found[0], strict=True):
            for name in ("loss", "grad_norm"):  # accuracy at the reference itself is a coin toss of rounding
                assert row[name] == pytest.approx(expected[name], rel=2e-3, abs=1e-5), name


def test_the_reference_is_computed_once_and_kept_for_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tmp_path, steps=4, checkpoint="{every: 2}", eval="{at_start: false, at_end: false}")
    whole = dpo.train(config)
    weights = {name: p.clone() for name, p in whole.learner.policy.trainable().items()}
    shutil.rmtree(whole.folder / "checkpoints/step-000004")
    shutil.rmtree(whole.folder / "model")
    monkeypatch.setattr(
        LocalLearner, "frozen_logprobs", lambda *_, **__: pytest.fail("the reference was computed again")
    )
    again = dpo.train(config)
    assert all((again.learner.policy.trainable()[name] == weight).all() for name, weight in weights.items())


def test_data_that_changed_under_a_run_is_refused_though_it_is_as_long_as_before(tmp_path: Path) -> None:
    config = settings(tmp_path, steps=4, checkpoint="{every: 2}")
    dpo.train(config)
    write(tmp_path / "pairs.jsonl", polite_pairs(80, seed=1))
    with pytest.raises(CheckpointError, match="the data has changed since this run began"):
        dpo.train(config)


def test_before_the_first_checkpoint_the_reference_of_other_data_is_computed_anew(tmp_path: Path) -> None:
    keys = {"steps": 1, "eval": "{at_start: false, at_end: false}"}
    data = f"{{train: {tmp_path / 'pairs.jsonl'}, held_out_rows: 20, held_out_by: row}}"
    run = dpo.train(settings(tmp_path, **keys, data=data))
    first = load_file(run.folder / "reference.safetensors")["train"]
    shutil.rmtree(run.folder / "checkpoints")
    shutil.rmtree(run.folder / "model")
    path = write(tmp_path / "pairs.jsonl", polite_pairs(80, seed=1))
    dpo.train(load_config(recipe(tmp_path / "dpo.yaml", "dpo", **keys, rows_per_step=16, out=tmp_path / "dpo",
                                 data=f"{{train: {path}, held_out_rows: 20, held_out_by: row}}")))  # fmt: skip
    again = load_file(run.folder / "reference.safetensors")["train"]
    assert (first != again).any()
    assert steps(run.folder)[-1]["loss"] == pytest.approx(math.log(2), abs=1e-4)


def test_the_digest_tells_apart_what_log_probabilities_depend_on() -> None:
    row = Answers(1, [5, 6], ([7, 8], [9]), ([1, 1], [1]))
    others = [
        replace(row, prompt_ids=[5, 5]),
        replace(row, answer_ids=([7, 9], [9])),
        replace(row, answer_ids=([7], [8, 9]), learned=([1], [1, 1])),
        replace(row, learned=([0, 1], [1])),
    ]
    digests = [dpo.digest_of({"train": [one]}) for one in (row, *others)]
    assert len(set(digests)) == 5
    assert dpo.digest_of({"train": [replace(row, ranks=(0, 1))]}) == digests[0]
    assert dpo.digest_of({"held_out": [row]}) != digests[0]


def test_with_adapters_the_base_model_is_the_reference(tmp_path: Path, chat: Chat, policy: Policy) -> None:
    (tmp_path / "base").mkdir()
    policy.save(tmp_path / "base", chat.tokenizer)
    model = f"{{path: {tmp_path / 'base'}, lora: {{rank: 4}}}}"
    run = dpo.train(settings(tmp_path, model=model, steps=10, optimizer="{lr: 1.0e-2}"))
    rows = steps(run.folder)
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(".lora_" in name for name in run.learner.policy.trainable())


def test_kto_reads_unpaired_rows_and_weighs_them(tmp_path: Path) -> None:
    pairs = polite_pairs(40)
    rows = [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for number, row in enumerate(pairs)
        for side in (("chosen", "rejected") if number % 2 else ("chosen",))
    ]
    path = write(tmp_path / "judged.jsonl", rows)
    keys = {"data": f"{{train: {path}}}", "loss": "kto", "desirable_weight": 2.0, "undesirable_weight": 1.0, "steps": 1}
    row = steps(dpo.train(settings(tmp_path, rows_per_step=60, **keys)).folder)[0]
    assert row["loss"] == pytest.approx(0.5 * (2.0 * 40 + 1.0 * 20) / 60, abs=1e-4)
    assert row["kl"] == pytest.approx(0.0, abs=1e-5)


def test_a_mismatched_answer_is_that_of_the_row_before_and_ends_where_the_context_does() -> None:
    rows = [Answers(n, [5] * n, ([6 + n] * 4,), ([1] * 4,)) for n in (1, 2, 3)]
    found = mismatched(rows, context=5)
    assert [list(row.prompt_ids) for row in found] == [[5], [5, 5], [5, 5, 5]]
    assert [list(row.answer_ids[0]) for row in found] == [[9] * 4, [7] * 3, [8] * 2]
    assert [len(row.learned[0]) for row in found] == [4, 3, 2]


def test_a_mismatched_answer_is_never_one_to_the_same_prompt() -> None:
    prompts = [1, 1, 1, 2, 2, 3, 1]  # of pairs taken apart, and of a prompt that is asked again
    rows = [Answers(n, [prompt], ([10 + n],), ([1],)) for n, prompt in enumerate(prompts)]
    assert [row.answer_ids[0][0] - 10 for row in mismatched(rows, context=9)] == [5, 5, 5, 2, 2, 4, 5]
    with pytest.raises(DataError, match="expected two prompts or more, got one in all of rows 0 to 2"):
        mismatched(rows[:3], context=9)


def test_the_kl_of_kto_on_pairs_is_measured_on_answers_to_other_prompts(tmp_path: Path) -> None:
    config = settings(tmp_path, loss="kto", steps=1)
    sides = (("chosen", "yes"), ("rejected", "no"))
    pairs = [{side: [assistant(f"{said} {n}")] for side, said in sides} for n in range(40)]
    write(tmp_path / "pairs.jsonl", [pair | {"prompt": [user(f"say {n}")]} for n, pair in enumerate(pairs)])
    _, chat, _ = open_data_run(config)
    rows = load_examples(config.data, read_unpaired, chat).train
    assert len(rows) == 40  # of 20 pairs; 20 others are held out
    asked = {tuple(row.answer_ids[0]): tuple(row.prompt_ids) for row in rows}
    found = mismatched(rows, chat.context)
    assert all(asked[tuple(row.answer_ids[0])] != tuple(row.prompt_ids) for row in found)


def test_held_out_figures_of_kto_are_beside_the_kl_of_held_out_prompts(tmp_path: Path) -> None:
    config = settings(tmp_path, loss="kto", steps=15, optimizer="{lr: 2.0e-3}", undesirable_weight=0.01)
    run = dpo.train(config)
    last = read_metrics(run.folder / "metrics.jsonl")[-1]
    chat = load_chat(str(run.model_folder))
    examples = load_examples(config.data, read_unpaired, chat)
    others = answer_batch(mismatched(examples.held_out, chat.context))
    reference = load_file(run.folder / "reference.safetensors")["held_out_mismatched"]
    logprobs = run.learner.frozen_logprobs(others, torch.arange(len(others))).sum(-1)
    kl = float((logprobs - reference).mean())
    assert kl > 0.1
    assert last["held_out/kl"] == pytest.approx(kl, rel=1e-3)


def test_an_answer_of_a_pair_is_named_by_the_pairs_row(tmp_path: Path, chat: Chat) -> None:
    pairs = polite_pairs(4)
    path = write(tmp_path / "pairs.jsonl", pairs)
    config = DataConfig(train=path, held_out_rows=3)
    examples = load_examples(config, read_unpaired, chat)
    assert [row.row for row in (*examples.train, *examples.held_out)] == [1, 1, 2, 2, 3, 3, 4, 4]
    write(tmp_path / "pairs.jsonl", [*pairs[:3], pairs[3] | {"rejected": [assistant("")]}])
    with pytest.raises(DataError, match=r"pairs.jsonl', row 4, field 'rejected\[0\].content': is empty"):
        load_examples(config, read_unpaired, chat)


def test_a_loss_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loss: got 'sigmoyd', .*did you mean 'sigmoid'"):
        dpo.train(settings(tmp_path, loss="sigmoyd"))


def test_the_temperature_of_sampling_changes_no_loss(tmp_path: Path) -> None:
    found = [
        [row["loss"] for row in steps(dpo.train(settings(tmp_path, name, steps=3, sampling=sampling)).folder)]
        for name, sampling in (("warm", "{temperature: 1}"), ("cold", "{temperature: 0.3}"))
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_implicit_rewards_start_at_zero_and_part(tmp_path: Path) -> None:
    run = dpo.train(settings(tmp_path, steps=8, optimizer="{lr: 2.0e-3}"))
    rows = steps(run.folder)
    assert rows[0]["reward/better"] == pytest.approx(0.0, abs=1e-5)
    assert rows[-1]["margin"] == pytest.approx(rows[-1]["reward/better"] - rows[-1]["reward/worse"], abs=1e-5)
    assert rows[-1]["margin"] > 0.1
    assert json.loads((run.folder / "model/config.json").read_text())["architectures"] == ["Qwen3ForCausalLM"]
    assert torch.isfinite(torch.tensor([row["grad_norm"] for row in rows])).all()
