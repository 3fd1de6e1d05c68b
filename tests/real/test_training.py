"""Supervised fine-tuning and RL on real rows: what is saved is what was trained, and a run goes on where it stopped."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr.batching import token_batch
from rlvr.config.file import load_config
from rlvr.models.policy import Policy
from rlvr.run import Run
from rlvr.runfolder.metrics import MACHINE_DEPENDENT, read_metrics
from rlvr.trainers import grpo, sft
from tests.real.conftest import SmolLM2

ALIKE = 2e-4  # float32 logits of the same weights, computed with other shapes


def recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def logits_of(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0]
    return logits


def assert_saved(run: Run, policy: Policy, smollm2: SmolLM2) -> None:
    """The folder loads with plain transformers and gives the trained policy's log-probabilities and prompts."""
    saved = AutoModelForCausalLM.from_pretrained(run.model_folder, dtype=torch.float32)
    original = AutoModelForCausalLM.from_pretrained(smollm2.folder, dtype=torch.float32)
    prompt, answer = smollm2.prompts[0], smollm2.greedy[0]
    batch = token_batch([prompt], [answer], [[True] * len(answer)], [0])
    policy.train(False)
    with torch.no_grad():
        trained = policy.scores(batch).logprobs[batch.completion_mask]

    def logprobs(model: torch.nn.Module) -> torch.Tensor:
        rows = logits_of(model, [*prompt, *answer])[len(prompt) - 1 : -1].log_softmax(-1)
        return rows.gather(-1, torch.tensor(answer).unsqueeze(-1)).squeeze(-1)

    torch.testing.assert_close(logprobs(saved), trained, atol=ALIKE, rtol=0)
    assert (logprobs(original) - trained).abs().max() > 20 * ALIKE
    tokenizer = AutoTokenizer.from_pretrained(run.model_folder)
    messages = [{"role": "user", "content": "What is 17 + 25?"}]
    assert tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False) == prompt
    names = {path.name for path in run.model_folder.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= names
    hub_names = set(load_file(smollm2.folder / "model.safetensors"))
    assert set(load_file(run.model_folder / "model.safetensors")) == hub_names


def test_it_learns_gsm8k_solutions_and_saves_what_it_learned(smollm2: SmolLM2, data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (data / "gsm8k_train.jsonl").read_text().splitlines()]
    short = [row for row in rows if len(row["question"] + row["answer"]) < 400]
    for name, chosen in (("train", short[:2]), ("test", short[2:4])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
    text = (
        f"trainer: sft\nmodel: {{path: {smollm2.folder}}}\n"
        f"task: {{name: gsm8k, train: {tmp_path / 'train.jsonl'}, test: {tmp_path / 'test.jsonl'}, subset: null}}\n"
        "steps: 4\nrows_per_step: 2\noptimizer: {lr: 1.0e-4}\neval: {problems: 0}\ncheckpoint: {every: 0}\n"
    )
    run = sft.train(load_config(recipe(tmp_path, text), [f"out={tmp_path / 'run'}"]))
    losses = [row["loss"] for row in read_metrics(run.folder / "metrics.jsonl") if "loss" in row]
    assert losses[0] < 3  # a real model knows such text before it is trained
    assert losses[-1] < 0.6 * losses[0]
    assert_saved(run, run.learner.policy, smollm2)


RL = """
trainer: grpo
model: {path: %s, lora: {rank: 8, alpha: 16}, packing: true}
task: {name: arithmetic, min_steps: 1, max_steps: 2}
verify: {verifier: 'tests.rlvr.scripts:by_text'}
objective: {preset: grpo, kl_coef: 0.01}
steps: 2
prompts_per_step: 2
group_size: 4
minibatches: 2
sampling: {max_tokens: 12}
optimizer: {lr: 1.0e-3}
eval: {problems: 2, samples: 2}
checkpoint: {every: 1}
"""


@pytest.fixture(scope="module")
def finished(smollm2: SmolLM2, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two steps of RL with adapters and a KL term: sampled, verified, learned, saved."""
    folder = tmp_path_factory.mktemp("rl")
    return grpo.train(load_config(recipe(folder, RL % smollm2.folder), [f"out={folder / 'run'}"]))


def test_adapters_learn_and_are_merged_into_what_is_saved(finished: Run, smollm2: SmolLM2) -> None:
    steps = [row for row in read_metrics(finished.folder / "metrics.jsonl") if "grad_norm" in row]
    assert len(steps) == 2
    assert all(row["grad_norm"] > 0 for row in steps)
    assert_saved(finished, finished.learner.policy, smollm2)


def test_a_run_goes_on_from_its_checkpoint_with_the_same_bits(finished: Run, smollm2: SmolLM2, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished.folder, out)
    shutil.rmtree(out / "model")
    shutil.rmtree(out / "checkpoints/step-000002")
    resumed = grpo.train(load_config(recipe(tmp_path, RL % smollm2.folder), [f"out={out}"]))
    again, before = (load_file(folder / "model/model.safetensors") for folder in (resumed.folder, finished.folder))
    assert all(torch.equal(again[name], before[name]) for name in before)

    def numbers(folder: Path) -> list[dict[str, float]]:
        rows = read_metrics(folder / "metrics.jsonl")
        return [{k: v for k, v in row.items() if not k.startswith(MACHINE_DEPENDENT)} for row in rows]

    assert numbers(resumed.folder) == numbers(finished.folder)
