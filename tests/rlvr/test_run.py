"""What a run says and does when something is wrong, driven by the scripted engine and a tiny model."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rlvr.config import ModelConfig
from rlvr.config.file import Origin, check_config, load_config
from rlvr.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DivergenceError,
    GraderError,
    ModelError,
    WeightSyncError,
)
from rlvr.models.chat import Chat
from rlvr.models.load import load_chat, load_policy
from rlvr.run import Run
from rlvr.trainers import grpo, run_trainer
from tests.conftest import TINY
from verifiers import get_verifier


@pytest.fixture
def tiny(chat: Chat, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), 1.0, 0).save(folder, chat.tokenizer)
    return folder


def recipe(tiny: Path, script: str = "half_right", **overrides: Any):
    values = {
        "out": tiny.parent / "run",
        "model.path": tiny,
        "model.scratch": "null",
        "cold_start": "null",
        "task": "{name: arithmetic, min_steps: 1, max_steps: 1, max_number: 9, max_value: 20}",
        "steps": 3,
        "prompts_per_step": 2,
        "group_size": 4,
        "eval.problems": 0,
        "engine": f"{{name: scripted, script: 'tests.rlvr.scripts:{script}'}}",
        "verify.verifier": "tests.rlvr.scripts:coin",
        **overrides,
    }
    return load_config("configs/quickstart.yaml", [f"{key}={value}" for key, value in values.items()])


def metrics(run: Run) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


def test_a_grader_that_raises_gives_no_reward_and_is_counted(tiny: Path) -> None:
    grading = {"verify.verifier": "tests.rlvr.scripts:fails_on_threes", "verify.max_failed_share": 0.9}
    run = grpo.train(recipe(tiny, prompts_per_step=8, **grading))
    row = metrics(run)[1]
    assert 0 < row["reward/failed_graders"] < 0.6
    assert row["verdict/error"] == row["reward/failed_graders"]
    import pyarrow.parquet

    ledger = pyarrow.parquet.read_table(run.folder / "rollouts/step-000001.parquet").to_pylist()
    for rollout in ledger:
        failed = rollout["completion"].endswith("3")
        assert (rollout["reward"] is None) == (rollout["advantage"] is None) == failed
        assert not failed or "the judge is not at home" in rollout["detail"]


def test_a_weighted_sum_of_a_recipe_gives_the_rewards_and_its_weights_count_apart(tiny: Path) -> None:
    weighted = {"verify.verifier": "{weighted_sum: {math: 1.0, format: 0.2}}", "sampling.max_tokens": 60}
    decoupled = "{preset: dr_grpo, combine: decoupled}"
    config = recipe(tiny, "tagged_sums", steps=2, prompts_per_step=4, objective=decoupled, **weighted)
    run = grpo.train(config)
    import pyarrow.parquet

    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for path in sorted((run.folder / "rollouts").glob("*.parquet")):
        for row in pyarrow.parquet.read_table(path).to_pylist():
            groups.setdefault((row["step"], row["group"]), []).append(row)
    scores = {
        name: {
            key: [get_verifier(name)(row["completion"], row["answer"]).score or 0.0 for row in rows]
            for key, rows in groups.items()
        }
        for name in ("math", "format")
    }
    for key, rows in groups.items():
        right, formed = scores["math"][key], scores["format"][key]
        sums = [r + 0.2 * f for r, f in zip(right, formed, strict=True)]
        assert [row["reward"] for row in rows] == pytest.approx(sums)
        centred = [r - sum(right) / 4 + 0.2 * (f - sum(formed) / 4) for r, f in zip(right, formed, strict=True)]
        assert [row["advantage"] for row in rows] == pytest.approx(centred, abs=1e-6)
    assert len({row["reward"] for rows in groups.values() for row in rows}) == 4  # right, well formed, both, neither
    assert run.learner.version == 2
    assert load_config(run.folder / "config.yaml") == config
    assert run_trainer(load_config(run.folder / "config.yaml")).done == 2  # the same run, and finished


def test_a_grader_that_always_fails_stops_the_run_with_its_reason(tiny: Path) -> None:
    with pytest.raises(GraderError, match=r"failed on 100% .*the judge is not at home.*expected at most 20%"):
        grpo.train(recipe(tiny, **{"verify.verifier": "tests.rlvr.scripts:always_fails"}))


@pytest.mark.parametrize(
    ("script", "verifier", "said"),
    [
        ("always_five", "tests.rlvr.scripts:coin", "100% of groups are all wrong"),
        (
            "rambles",
            "tests.rlvr.scripts:wants_a_mark",
            "100% of completions were cut off at max_tokens; in 100% no answer was found",
        ),
    ],
)
def test_steps_without_signal_are_explained_and_change_nothing(
    tiny: Path, script: str, verifier: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = grpo.train(recipe(tiny, script, no_signal_patience=2, steps=4, **{"verify.verifier": verifier}))
    printed = capsys.readouterr().out
    assert "warning: 2 steps in a row had nothing to learn from: 100% of groups are all wrong" in printed
    assert said in printed
    assert printed.count("warning:") == 3  # the first step, two in a row, and the next two
    assert run.learner.version == 0
    assert all("loss" not in row for row in metrics(run))
    before = load_policy(ModelConfig(path=str(tiny)), load_chat(str(tiny)), torch.device("cpu"), 1.0, 0)
    for (_, now), (_, then) in zip(run.learner.policy.named_weights(), before.named_weights(), strict=True):
        assert (now == then).all()


def test_a_generator_with_stale_weights_stops_the_run(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rlvr.engines.scripted import ScriptedEngine

    monkeypatch.setattr(ScriptedEngine, "load", lambda *_, **__: None)
    with pytest.raises(WeightSyncError, match="reports weights of version 0 after version 1"):
        grpo.train(recipe(tiny))


def test_probabilities_that_are_not_the_learners_stop_the_run(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rlvr.engines import transformers_engine

    honest = transformers_engine.draw

    def shifted(*arguments):
        tokens, logprobs = honest(*arguments)
        return tokens, logprobs - 0.01

    monkeypatch.setattr(transformers_engine, "draw", shifted)
    monkeypatch.setattr(transformers_engine, "check_decoding", lambda model: None)  # which would find it out before
    sampled = {"sampling.max_tokens": 12, "verify.verifier": "tests.rlvr.scripts:by_text"}
    config = recipe(tiny, engine="transformers", prompts_per_step=8, **sampled)
    with pytest.raises(WeightSyncError, match=r"differ from the learner's by 0.01 on average, expected at most 0.001"):
        grpo.train(config)


def test_gradients_that_are_no_numbers_stop_the_run(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = grpo.policy_loss

    def broken(*arguments, **named):
        value, stats = honest(*arguments, **named)
        return value * float("nan"), stats

    monkeypatch.setattr(grpo, "policy_loss", broken)
    with pytest.raises(DivergenceError, match="3 optimizer steps in a row"):
        grpo.train(recipe(tiny, steps=5, prompts_per_step=8))


def test_a_prompt_that_leaves_no_room_is_named_before_a_model_is_loaded(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlvr import build

    monkeypatch.setattr(build, "load_policy", lambda *_: pytest.fail("a model was loaded"))
    config = recipe(tiny, **{"sampling.max_tokens": 250, "eval.problems": 2})
    with pytest.raises(DataError, match=r"problem 'held_out-0-\d+' of 'arithmetic': its prompt has \d+ tokens.*256"):
        grpo.train(config)


def test_a_dataset_that_cannot_be_used_is_refused_before_a_model_is_loaded(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlvr import build

    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"problem": "1+1?", "answer": "2"}\n')
    monkeypatch.setattr(build, "load_policy", lambda *_: pytest.fail("a model was loaded"))
    config = recipe(tiny, task=f"{{name: dataset, train: {rows}, test: {rows}}}")
    with pytest.raises(DataError, match="has no column 'question'; it has: problem, answer"):
        grpo.train(config)
    assert not (tiny.parent / "run").exists()


def test_a_model_without_a_chat_template_is_refused(tiny: Path) -> None:
    (tiny / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        grpo.train(recipe(tiny))


@pytest.mark.parametrize("path", ["{parent}/nowhere", "./nowhere", "runs/a/model", "tests/nowhere", "~/nowhere"])
def test_a_folder_that_is_not_there_is_no_hub_id(tiny: Path, path: str) -> None:
    path = path.format(parent=tiny.parent)
    with pytest.raises(ModelError, match=rf"^model.path '{path}': there is no such folder; expected a folder in Hug"):
        grpo.train(recipe(tiny, **{"model.path": path}))


def test_a_folder_without_a_model_is_refused(tiny: Path) -> None:
    with pytest.raises(ModelError, match=r"model.path '.*' has no tokenizer or configuration"):
        grpo.train(recipe(tiny, **{"model.path": tiny.parent}))


def test_a_hub_model_without_a_network_is_one_sentence_at_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"^model.path 'some/model': .* the hub cannot be reached \(.*\); expected a"):
        grpo.train(recipe(tiny, **{"model.path": "some/model"}))
    assert not (tiny.parent / "run").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"objective.surrogate": "clap"}, "objective.surrogate: got 'clap', expected one of .*did you mean 'clip'"),
        ({"objective.baseline": "nowhere:mean"}, "objective.baseline: cannot load 'nowhere:mean'"),
        ({"verify.verifier": "maths"}, "verify.verifier: .*did you mean 'math'"),
        (
            {"verify.verifier": "{weighted_sum: {math: 1.0, formt: 0.2}}"},
            "^verify.verifier.weighted_sum.formt: no verifier is called 'formt': did you mean 'format'",
        ),
        (
            {"verify.verifier": "{name: math, mode: 3}"},
            "^verify.verifier.mode: got 3, expected one of marked, standard",
        ),
        (
            {"eval.verifier": "{name: math, mod: x}"},
            "^eval.verifier: the verifier 'math' has no setting 'mod': did you",
        ),
        (
            {"objective": "{preset: dapo, overlong_buffer: 41}"},
            "overlong_buffer is 41, and sampling.max_tokens only 40",
        ),
        ({"minibatches": "65"}, r"minibatches is 65, and a step has \d+ rollouts"),
        ({"device": "tpu9"}, "device: got 'tpu9', expected auto, cpu, cuda"),
        ({"engine": "scripted"}, "engine.script: got None, expected module:function"),
        ({"engine.script": "tests.rlvr.scripts:absent"}, "engine.script: cannot load .*AttributeError"),
        ({"model.attention": "flash_attentoin"}, "model.attention: got 'flash_attentoin', expected sdpa, eager"),
    ],
)
def test_choices_that_name_nothing_are_refused_before_the_run_folder_is_claimed(
    tiny: Path, override: dict[str, str], said: str
) -> None:
    with pytest.raises((ConfigError, ModelError), match=said):
        grpo.train(recipe(tiny, **override))
    assert not (tiny.parent / "run").exists()


def test_what_the_cold_start_would_only_find_in_the_end_is_refused_before_it(tmp_path: Path) -> None:
    small = [f"out={tmp_path / 'run'}", "model.scratch={hidden_size: 16, heads: 2, kv_heads: 2}", "steps=1"]
    for override, said in [
        ("engine=scripted", "engine.script: got None"),
        ("model.attention=nope", "model.attention: got 'nope'"),
    ]:
        with pytest.raises((ConfigError, ModelError), match=said):
            run_trainer(load_config("configs/quickstart.yaml", [*small, override]))
        assert not (tmp_path / "run").exists()


def test_rows_without_worked_solutions_are_no_cold_start(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"question": "1+{n}?", "answer": "{n + 1}"}}\n' for n in range(5)))
    task = f"task={{name: dataset, train: {rows}}}"
    config = load_config("configs/quickstart.yaml", [f"out={tmp_path / 'run'}", task, "cold_start.task={}"])
    with pytest.raises(DataError, match=r"problem 'train-\d' of '.*' has no worked solution.*task.solution_column"):
        run_trainer(config)
    assert not (tmp_path / "run").exists()


def test_two_runs_in_one_folder_at_once_are_refused_with_the_pid(tiny: Path) -> None:
    config = recipe(tiny)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys, time\n"
            "from rlvr.runfolder.lock import hold_folder\n"
            "with hold_folder(pathlib.Path(sys.argv[1])):\n"
            "    print('held', flush=True)\n"
            "    time.sleep(60)\n",
            config.out,
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(
        ConfigError,
        match=rf"^out: process {holder.pid}, or a run that it started, is using ",
    ):
        run_trainer(config)
    holder.kill()  # a death that cleans up nothing lets go of the lock all the same
    holder.wait()
    holder.stdout.close()
    assert run_trainer(config).done == 3
    assert run_trainer(config).done == 3


def test_adapters_of_a_model_from_nothing_come_after_a_cold_start_of_all_weights(tmp_path: Path) -> None:
    overrides = [
        f"out={tmp_path / 'run'}",
        "model={scratch: {hidden_size: 32, layers: 2, heads: 2, kv_heads: 1, intermediate_size: 48}, lora: {rank: 2}}",
        "cold_start={steps: 2, rows_per_step: 4, task: {}}",
        "steps=1",
        "prompts_per_step=2",
        "group_size=2",
        "eval.problems=0",
        "engine={name: scripted, script: 'tests.rlvr.scripts:half_right'}",
        "verify.verifier=tests.rlvr.scripts:coin",
    ]
    run = run_trainer(load_config("configs/quickstart.yaml", overrides))
    assert all(".lora_" in name for name in run.learner.policy.trainable())
    from safetensors.torch import load_file

    first = load_file(tmp_path / "run/cold_start/checkpoints/step-000002/weights.safetensors")
    assert "model.embed_tokens.weight" in first
    assert not any("lora" in name for name in first)


@pytest.mark.parametrize(
    "keys",
    [
        {"trainer": "sft", "task": "arithmetic"},
        {"trainer": "dpo", "data": {"train": "pairs.jsonl"}},
        {"trainer": "reward_model", "data": {"train": "pairs.jsonl"}},
    ],
    ids=lambda keys: keys["trainer"],
)
def test_adapters_on_random_weights_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"model.lora would put adapters on the random weights of model.scratch"):
        check_config({"model": {"scratch": {}, "lora": {}}, "steps": 1, **keys}, Origin("mine"))


def test_a_reward_model_has_no_keys_of_sampling(tmp_path: Path) -> None:
    for key in ("sampling", "verify", "engine"):
        with pytest.raises(ConfigError, match=key):
            check_config(
                {
                    "trainer": "reward_model", "model": {"scratch": {}}, "steps": 1, "data": {"train": "x"}, key: {},
                },
                Origin("mine"),
            )  # fmt: skip


def test_fine_tuning_that_samples_nothing_does_not_ask_for_room_to_sample(tmp_path: Path) -> None:
    path = tmp_path / "sft.yaml"
    path.write_text(
        "trainer: sft\nsteps: 1\nrows_per_step: 2\n"
        "model: {scratch: {hidden_size: 16, layers: 1, heads: 1, kv_heads: 1, intermediate_size: 9, max_length: 128}}\n"
        "task: {name: arithmetic, min_steps: 1, max_steps: 1}\n"
        "eval: {at_start: false, at_end: false}\n"
    )
    assert run_trainer(load_config(path, [f"out={tmp_path / 'run'}"])).done == 1
    with pytest.raises(DataError, match=r"sampling.max_tokens=512 that is more than the model's context of 128"):
        run_trainer(load_config(path, [f"out={tmp_path / 'evaluated'}", "eval.at_end=true"]))


def test_minibatches_and_epochs_take_as_many_optimizer_steps_with_exact_ratios(tiny: Path) -> None:
    run = grpo.train(recipe(tiny, epochs=2, minibatches=2, steps=1, prompts_per_step=8))
    assert run.learner.version == 4
    assert metrics(run)[1]["policy_kl"] > 0  # the later steps have moved away from the policy that sampled
    single = grpo.train(recipe(tiny, out=tiny.parent / "single", steps=1, prompts_per_step=8))
    assert metrics(single)[1]["ratio"] == 1.0
    assert metrics(single)[1]["policy_kl"] == 0.0


def test_a_kl_term_pulls_towards_the_initial_model_and_is_logged(tiny: Path) -> None:
    run = grpo.train(recipe(tiny, objective="grpo", steps=3, prompts_per_step=8, **{"optimizer.lr": 1e-2}))
    rows = metrics(run)
    assert rows[1]["kl"] == pytest.approx(0.0, abs=1e-6)  # the first step starts at the reference
    assert rows[3]["kl"] > 1e-3
    assert run.learner.reference is not None


def test_with_adapters_only_they_are_trained_and_the_result_is_a_plain_model(tiny: Path) -> None:
    from transformers import AutoModelForCausalLM

    run = grpo.train(
        recipe(tiny, objective="grpo", engine="transformers", prompts_per_step=8,
               **{"model.lora": "{rank: 4, alpha: 8}", "optimizer.lr": 1e-2, "sampling.max_tokens": 12,
                  "verify.verifier": "tests.rlvr.scripts:by_text"})
    )  # fmt: skip
    assert run.learner.reference is None  # the model with its adapters off serves
    assert metrics(run)[3]["kl"] > 0
    assert all(".lora_" in name for name in run.learner.policy.trainable())
    loaded = dict(AutoModelForCausalLM.from_pretrained(run.model_folder).named_parameters())
    before = dict(AutoModelForCausalLM.from_pretrained(tiny).named_parameters())
    assert loaded.keys() == before.keys()
    assert any((loaded[name] != before[name]).any() for name in before if "q_proj" in name)
    assert (loaded["model.embed_tokens.weight"] == before["model.embed_tokens.weight"]).all()


def test_a_finished_run_says_so_and_does_nothing(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = recipe(tiny)
    run_trainer(config)
    written = (tiny.parent / "run/model/model.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    run_trainer(config)
    assert re.search(r"run is finished .*out=runs/NAME", capsys.readouterr().out)
    assert (tiny.parent / "run/model/model.safetensors").stat().st_mtime_ns == written


def test_a_start_that_was_refused_claims_no_folder(tiny: Path) -> None:
    with pytest.raises(DataError, match="Lower max_tokens"):
        grpo.train(recipe(tiny, **{"sampling.max_tokens": 250, "eval.problems": 2}))
    grpo.train(recipe(tiny, **{"sampling.max_tokens": 40, "eval.problems": 2}))


def test_a_broken_grader_is_no_accuracy_of_zero(tiny: Path) -> None:
    grading = {"verify.verifier": "tests.rlvr.scripts:always_fails", "eval.problems": 2}
    with pytest.raises(GraderError, match="failed on 100%"):
        grpo.train(recipe(tiny, **grading))
    assert not (tiny.parent / "run/rollouts").exists()  # the evaluation before the first step said so


def test_a_row_without_an_answer_is_one_sentence_before_the_first_step(tiny: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"question": "1+{n}?", "answer": {"null" if n == 5 else n + 1}}}\n' for n in range(9)))
    task = f"{{name: dataset, train: {rows}, held_out_rows: 1}}"
    with pytest.raises(DataError, match="row train-5: column 'answer' is empty"):
        grpo.train(recipe(tiny, task=task, steps=8))
    assert not (tiny.parent / "run").exists()


def test_going_on_is_said(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    config = recipe(tiny, steps=4, **{"checkpoint.every": 2})
    grpo.train(config)
    shutil.rmtree(tiny.parent / "run/checkpoints/step-000004")
    shutil.rmtree(tiny.parent / "run/model")
    grpo.train(config)
    assert "grpo goes on after step 2" in capsys.readouterr().out


def ledger(run: Run) -> list[dict[str, Any]]:
    import pyarrow.parquet

    files = sorted((run.folder / "rollouts").glob("*.parquet"))
    return [row for path in files for row in pyarrow.parquet.read_table(path).to_pylist()]


REFILLED = "{preset: dr_grpo, keep: mixed, refill_rounds: 4, max_staleness: %d}"


def test_groups_without_spread_are_replaced_until_the_batch_is_full(tiny: Path) -> None:
    config = {"group_size": 2, "prompts_per_step": 4, "steps": 4}
    run = grpo.train(recipe(tiny, objective=REFILLED % 0, **config))
    rows = metrics(run)[1:]
    assert all(row["groups/fullness"] == 1.0 for row in rows)
    assert all(row["groups/sampled"] == row["groups/dropped"] + 4 for row in rows)
    assert sum(row["groups/refill_rounds"] for row in rows) >= 4  # every other pair has no spread
    assert all(row["groups/pending"] == row["groups/staleness_max"] == 0 for row in rows)
    plain = metrics(grpo.train(recipe(tiny, objective="{keep: mixed}", out=tiny.parent / "plain", **config)))[1:]
    assert min(row["groups/fullness"] for row in plain) < 1.0


def test_a_surplus_is_trained_on_a_step_later_and_every_completion_is_in_the_ledger_once(tiny: Path) -> None:
    config = {"group_size": 2, "prompts_per_step": 4, "steps": 8}
    run = grpo.train(recipe(tiny, objective=REFILLED % 2, **config))
    rows = metrics(run)[1:]
    assert all(row["groups/fullness"] == 1.0 for row in rows)
    assert max(row["groups/pending"] for row in rows) > 0
    assert max(row["groups/staleness_max"] for row in rows) in (1, 2)
    sampled = 2 * sum(int(row["groups/sampled"]) for row in rows)
    completions = ledger(run)
    assert len(completions) + 2 * len(run.rollouts.pending) == sampled
    old = [row for row in completions if row["policy_version"] < row["step"] - 1]
    assert old
    assert all(row["advantage"] is not None for row in old)
    hasty = grpo.train(recipe(tiny, objective=REFILLED % 0, out=tiny.parent / "hasty", **config))
    assert sum(row["groups/sampled"] for row in metrics(hasty)[1:]) > sampled / 2


def test_a_batch_that_cannot_be_filled_says_so_once_with_percentages(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = grpo.train(recipe(tiny, "always_five", objective=REFILLED % 0, steps=3))
    said = capsys.readouterr().out
    assert "warning: 0 of 2 groups were found in 5 rounds of sampling (0% of 10 sampled groups were kept): " in said
    assert said.count("rounds of sampling") == 1
    assert "100% of groups are all wrong" in said
    assert metrics(run)[1]["groups/fullness"] == 0.0
    assert run.learner.version == 0


def test_solved_problems_are_passed_over(tiny: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"question": "1+{n}?", "answer": {n + 1}}}\n' for n in range(5)))
    task = f"{{name: dataset, train: {rows}, held_out_rows: 1}}"  # four to train on
    run = grpo.train(recipe(tiny, "always_four", task=task, steps=5, selection="{skip_solved: 1, revisit_after: 2}"))
    asked = [{row["problem_id"] for row in ledger(run) if row["step"] == step} for step in range(1, 6)]
    assert len(asked[0] | asked[1]) == 4  # all are solved, and rest for two steps
    assert run.rollouts.history.problems.keys() == asked[0] | asked[1]
    assert run.rollouts.history.problems["train-1"].solved_in_a_row > 1


def test_truncated_sampling_is_warned_of_once_before_the_first_step(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = grpo.train(
        recipe(tiny, engine="transformers", steps=2, prompts_per_step=8,
               **{"sampling.top_p": 0.5, "sampling.max_tokens": 6, "verify.verifier": "tests.rlvr.scripts:by_text"})
    )  # fmt: skip
    out = capsys.readouterr().out
    assert out.count("warning: sampling.top_p=0.5: completions come from another distribution") == 1
    assert out.index("warning: sampling.top_p=0.5") < out.index("grpo 2/2")
    row = metrics(run)[1]
    assert 0.5 <= row["rollout_ratio/p01"] <= row["rollout_ratio/p50"] <= row["rollout_ratio/p99"] <= 1.0 + 1e-5
    assert row["rollout_ratio/outside"] > 0.9


def test_a_kl_target_moves_the_coefficient_and_the_run_logs_it(tiny: Path) -> None:
    objective = "{preset: grpo, kl_target: 1.0e-9}"
    run = grpo.train(recipe(tiny, objective=objective, steps=4, prompts_per_step=8, **{"optimizer.lr": 1e-2}))
    coefficients = [row["objective/kl_coef"] for row in metrics(run)[1:]]
    assert coefficients == [0.04, 0.02, 0.04, 0.08]  # the first step starts at the reference: its KL is 0


def test_lengths_memory_and_cohorts_are_measured(tiny: Path) -> None:
    run = grpo.train(recipe(tiny, prompts_per_step=8, steps=1, **{"eval.problems": 4}))
    before, step = metrics(run)[:2]
    assert step["speed/peak_memory_mb"] > 100
    assert {"completion/length_correct", "completion/length_incorrect", "cohort/1 steps"} <= step.keys()
    assert {"eval/greedy/cohort/1 steps", "eval/avg@8/cohort/1 steps", "eval/length_correct"} <= before.keys()


AHEAD = {"engine": "transformers", "prompts_per_step": 4, "sampling.max_tokens": 6, "steps": 6,
         "verify.verifier": "tests.rlvr.scripts:by_text", "optimizer.lr": 1e-2}  # fmt: skip


def test_sampling_runs_ahead_of_learning_within_its_bound(tiny: Path) -> None:
    run = grpo.train(recipe(tiny, **AHEAD, minibatches=2, **{"selection.max_staleness": 4}))
    ages = [row["groups/staleness_max"] for row in metrics(run)[1:]]
    assert ages == [0, 2, 4, 4, 4, 4]  # the first three steps are asked for at once, by the weights of the start
    rows = ledger(run)
    asked = {step: sorted({row["draw"] for row in rows if row["step"] == step}) for step in range(1, 7)}
    assert asked == {step: list(range(4 * step - 4, 4 * step)) for step in range(1, 7)}
    assert run.learner.version == 12
    kl = [row["rollout_ratio/kl"] for row in metrics(run)[1:]]
    assert kl[0] < 1e-6
    assert min(kl[1:]) > 1e-4  # older weights wrote them, and not those that the learner has moved since


def test_a_run_that_samples_ahead_goes_on_from_a_checkpoint_with_the_same_bits(tiny: Path) -> None:
    ahead = {**AHEAD, "selection.max_staleness": 2, "checkpoint": "{every: 2, keep_last: 9}"}
    whole = grpo.train(recipe(tiny, **ahead))
    weights = {name: weight.clone() for name, weight in whole.learner.policy.named_weights()}
    before = [row["policy_version"] for row in ledger(whole)]
    for step in ("000004", "000006"):
        shutil.rmtree(whole.folder / f"checkpoints/step-{step}")
    shutil.rmtree(whole.folder / "model")
    again = grpo.train(recipe(tiny, **ahead))
    assert all((weights[name] == weight).all() for name, weight in again.learner.policy.named_weights())
    assert [row["policy_version"] for row in ledger(again)] == before


def test_a_checkpoint_of_an_older_version_is_named_and_a_finished_run_is_finished(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = recipe(tiny, steps=2)
    run = grpo.train(config)
    (newest,) = (run.folder / "checkpoints").glob("step-000002")
    state = json.loads((newest / "state.json").read_text())
    del state["format"]
    (newest / "state.json").write_text(json.dumps(state))
    capsys.readouterr()
    grpo.train(config)
    assert "this run is finished" in capsys.readouterr().out
    shutil.rmtree(run.folder / "model")
    with pytest.raises(CheckpointError, match=r"step-000002 was written by an older version.*out=runs/NAME"):
        grpo.train(config)


def test_a_diverged_run_is_not_taken_for_a_failed_sync(tiny: Path) -> None:
    lost = {"optimizer.lr": 1e38, "optimizer.warmup_steps": 0, "objective": "{preset: dr_grpo, baseline: none}",
            "verify.verifier": "tests.rlvr.scripts:reads_the_context"}  # fmt: skip
    with pytest.raises(DivergenceError, match=r"Lower optimizer\.lr"):
        grpo.train(recipe(tiny, **{**AHEAD, **lost, "steps": 6}))


def test_prompts_that_do_not_fit_are_left_out_at_the_start_and_resuming_keeps_the_numbers(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, tests = tmp_path / "rows.jsonl", tmp_path / "tests.jsonl"
    questions = [f"1+{n}?" + " word" * 300 * (n in (3, 4)) for n in range(8)]
    rows.write_text("".join(json.dumps({"question": q, "answer": "1"}) + "\n" for q in questions))
    tests.write_text(
        json.dumps({"question": "9+9?" + " word" * 300, "answer": "18"}) + '\n{"question":"9?","answer":"9"}'
    )
    keys = {"task": f"{{name: dataset, train: {rows}, test: {tests}}}", "steps": 6, "checkpoint.every": 3}
    keys |= {"eval.problems": 2, "eval.samples": 1}
    run = grpo.train(recipe(tiny, **keys))
    said = capsys.readouterr().out
    assert "grpo: 2 of 8 problems to train on do not fit and are left out; the first: problem 'train-" in said
    assert "grpo: 1 of 2 held-out problems do not fit and count as unsolved; the first: problem 'held_out-0'" in said
    whole = ledger(run)
    assert {row["problem_id"] for row in whole} == {f"train-{n}" for n in (0, 1, 2, 5, 6, 7)}
    assert metrics(run)[0]["eval/did_not_fit"] == 0.5
    shutil.rmtree(run.folder / "checkpoints/step-000006")
    shutil.rmtree(run.folder / "model")
    again = ledger(grpo.train(recipe(tiny, **keys)))
    assert [(row["problem_id"], row["completion"]) for row in again] == [
        (row["problem_id"], row["completion"]) for row in whole
    ]


def test_the_engines_own_limit_counts_where_it_is_shorter(tiny: Path, chat: Chat) -> None:
    from rlvr.build import player_chat

    for engine, context in (("{name: vllm, max_model_len: 99}", 99), ("{name: vllm}", chat.context)):
        assert player_chat(recipe(tiny, engine=engine), chat).context == context
    assert player_chat(recipe(tiny, engine="{name: transformers, max_model_len: 99}"), chat).context == chat.context


def test_worked_solutions_that_do_not_fit_are_left_out(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    solutions = ["add " * 200 if n == 3 else "add" for n in range(8)]
    rows.write_text("".join(json.dumps({"question": "1+1?", "answer": "2", "how": how}) + "\n" for how in solutions))
    task = f"{{name: dataset, train: {rows}, held_out_rows: 0, solution_column: how}}"
    path = tmp_path / "sft.yaml"
    path.write_text(
        f"trainer: sft\nsteps: 3\nrows_per_step: 4\nmodel: {{path: {tiny}}}\ntask: {task}\neval: {{problems: 0}}"
    )
    assert run_trainer(load_config(path, [f"out={tmp_path / 'run'}"])).done == 3
    assert "sft: 1 of 8 problems to train on do not fit and are left out; the first: " in capsys.readouterr().out


def test_named_sets_have_their_own_metrics_files_and_verifiers(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet

    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"question": "{n}?", "answer": "{n}"}}\n' for n in range(4)))
    fours = f"{{name: dataset, test: {rows}, samples: 0}}"
    evens = f"{{name: dataset, test: {rows}, problems: 3, verifier: 'tests.rlvr.scripts:coin_at_once'}}"
    keys = {"eval": f"{{problems: 2, samples: 2, sets: {{fours: {fours}, evens: {evens}}}}}", "steps": 1}
    run = grpo.train(recipe(tiny, "always_five", **keys))
    for row in metrics(run):
        assert {"eval/greedy", "eval/avg@2", "eval/fours/greedy", "eval/evens/greedy", "eval/evens/avg@2"} <= row.keys()
        assert "eval/fours/avg@2" not in row
        assert (row["eval/fours/greedy"], row["eval/evens/greedy"]) == (0.0, 0.0)
    files = sorted(str(path.relative_to(run.folder)) for path in (run.folder / "evaluations").rglob("*.parquet"))
    assert files == [
        *(f"evaluations/evens/step-00000{step}-{kind}.parquet" for step in (0, 1) for kind in ("drawn", "greedy")),
        *(f"evaluations/fours/step-00000{step}-greedy.parquet" for step in (0, 1)),
        *(f"evaluations/step-00000{step}-{kind}.parquet" for step in (0, 1) for kind in ("drawn", "greedy")),
    ]
    assert len(pyarrow.parquet.read_table(run.folder / "evaluations/evens/step-000001-greedy.parquet")) == 3
    assert "grpo evaluated after step 1 on fours: greedy 0.000" in capsys.readouterr().out


def test_a_run_on_data_may_be_evaluated_on_named_sets_alone(tiny: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"question": "{n}?", "answer": "{n}"}}\n' for n in range(4)))
    path = tmp_path / "sft.yaml"
    path.write_text(f"trainer: sft\nsteps: 1\nrows_per_step: 4\nmodel: {{path: {tiny}}}\ndata: {{train: {rows}}}\n")
    sets = f"eval={{samples: 0, sets: {{own: {{name: dataset, test: {rows}}}}}}}"
    run = run_trainer(load_config(path, [f"out={tmp_path / 'run'}", "sampling.max_tokens=8", sets]))
    assert [sorted(name for name in row if name.endswith("greedy")) for row in metrics(run)] == [
        ["eval/own/greedy"]
    ] * 2


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ("{aime: {name: datset}}", "no task is called 'datset'"),
        ("{aime: {name: dataset, tst: x}}", "the task 'dataset' has no knob 'tst': did you mean 'test'"),
        (
            "{aime: {name: dataset, test: nowhere.jsonl}}",
            r"eval\.sets\.aime: dataset 'nowhere.jsonl': there is no such",
        ),
        ("{aime: {name: arithmetic, verifier: mth}}", r"eval\.sets\.aime\.verifier.*did you mean 'math'"),
        ("{greedy: arithmetic}", "a set cannot be called 'greedy'"),
        ("{a/b: arithmetic}", "a set cannot be called 'a/b'"),
    ],
)
def test_a_set_that_cannot_be_evaluated_is_refused_with_its_name(tiny: Path, sets: str, expected: str) -> None:
    with pytest.raises((ConfigError, DataError), match=expected):
        grpo.train(recipe(tiny, **{"eval.sets": sets}))
    assert not (tiny.parent / "run").exists()


def test_a_stop_token_that_the_model_can_never_write_is_refused(tiny: Path) -> None:
    said = r"eval\.sampling\.stop_token_ids: got \[9999\], but the model's vocabulary has"
    with pytest.raises(ConfigError, match=said):
        grpo.train(recipe(tiny, steps=1, **{"eval.sampling.stop_token_ids": "[5, 9999]"}))


def test_a_run_learns_under_every_key_of_sampling_and_evaluates_under_its_own(tiny: Path) -> None:
    keys = "max_tokens: 12, min_p: 0.05, top_p: 0.95, top_k: 50, repetition_penalty: 1.1, min_tokens: 3"
    run = grpo.train(
        recipe(
            tiny, engine="transformers", sampling=f"{{{keys}, stop: ['e', 'a', 's']}}", steps=2, prompts_per_step=8,
            eval="{problems: 4, samples: 2, at_start: false, sampling: {max_tokens: 5, min_tokens: 5, stop: []}}",
            **{"verify.verifier": "tests.rlvr.scripts:by_text"},
        )
    )  # fmt: skip
    rows = ledger(run)
    assert min(row["tokens"] for row in rows) >= 4
    stopped = [row["completion"] for row in rows if row["finish"] == "stop" and row["tokens"] < 12]
    assert any(text.endswith(("e", "a", "s")) for text in stopped)
    assert metrics(run)[-1]["eval/length"] == 5
    assert all("loss" in row for row in metrics(run)[1:3])
