from copy import deepcopy
from pathlib import Path

import pytest
import torch

from rlvr.config.file import load_config
from rlvr.data.examples import answer_batch, encode, encode_all
from rlvr.errors import DataError, ModelError
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy, TokenScores
from rlvr.models.templates import TEMPLATES
from rlvr.models.tokenizer import load_tokenizer
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import sft
from tasks import Problem
from tasks.arithmetic import Arithmetic
from tasks.conversations import Conversation
from tests.rlvr.trainers.rows import SCRATCH, assistant, recipe, user, write


def test_only_the_solution_carries_loss_and_it_ends_with_the_end_token(chat: Chat) -> None:
    problems = [Arithmetic().problem(number) for number in range(3)]
    batch = sft.equal_tokens(sft.solution_batch(problems, chat))
    for row, problem in enumerate(problems):
        scored = batch.input_ids[row][batch.completion_mask[row]].tolist()
        assert scored == chat.completion_ids(problem.solution or "")
        assert scored[-1] in chat.end_ids
    assert batch.loss_weights is not None
    assert batch.loss_weights.sum().item() == pytest.approx(1.0)
    assert (batch.loss_weights[~batch.completion_mask] == 0).all()


def test_prompt_and_padding_carry_no_gradient(chat: Chat, policy: Policy) -> None:
    batch = sft.equal_tokens(sft.solution_batch([Arithmetic().problem(number) for number in range(3)], chat))
    logprobs = policy.scores(batch)
    leaf = logprobs.logprobs.detach().requires_grad_()
    loss, _ = sft.LikelihoodLoss()(batch, type(logprobs)(leaf, logprobs.entropy))
    loss.backward()
    assert leaf.grad is not None
    assert (leaf.grad[~batch.completion_mask] == 0).all()
    assert (leaf.grad[batch.completion_mask] < 0).all()
    expected = -leaf.detach()[batch.completion_mask].mean()
    torch.testing.assert_close(loss.detach(), expected)


def test_it_learns_the_solutions(tmp_path: Path) -> None:
    path = tmp_path / "sft.yaml"
    path.write_text(
        "trainer: sft\n"
        "model: {scratch: {hidden_size: 32, layers: 2, heads: 2, kv_heads: 2, intermediate_size: 64}}\n"
        "task: {name: arithmetic, min_steps: 1, max_steps: 1, max_number: 9, max_value: 20}\n"
        "steps: 60\nrows_per_step: 32\noptimizer: {lr: 5.0e-3}\neval: {problems: 0}\n"
    )
    run = sft.train(load_config(path, [f"out={tmp_path / 'run'}"]))
    losses = [row["loss"] for row in read_metrics(run.folder / "metrics.jsonl") if "loss" in row]
    assert losses[0] > 5
    assert losses[-1] < 1.0
    assert (run.model_folder / "model.safetensors").is_file()


def test_the_temperature_of_sampling_changes_no_loss(tmp_path: Path) -> None:
    rows = [{"messages": [user(f"say {n}"), assistant(f"{n}")]} for n in range(8)]
    data = f"{{train: {write(tmp_path / 'rows.jsonl', rows)}, held_out_rows: 2}}"
    found = []
    for temperature in (1.0, 0.3):
        keys = {"data": data, "rows_per_step": 4, "sampling": f"{{temperature: {temperature}}}"}
        run = sft.train(load_config(recipe(tmp_path / "sft.yaml", "sft", out=tmp_path / f"{temperature}", **keys)))
        told = read_metrics(run.folder / "metrics.jsonl")
        found.append([row[name] for row in told for name in ("loss", "grad_norm", "held_out/loss") if name in row])
    assert len(found[0]) > 4
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_a_problem_without_a_worked_solution_is_named(chat: Chat) -> None:
    problem = Problem("row-7", ({"role": "user", "content": "?"},), "1", source="rows.jsonl")
    with pytest.raises(DataError, match=r"problem 'row-7' of 'rows.jsonl' has no worked solution"):
        sft.solution_batch([problem], chat)


TALK = Conversation(
    (user("what is 2+2?"),),
    (assistant("let me ask"), {"role": "tool", "content": "4"}, assistant("it is 4")),
)


def test_only_what_the_assistant_says_is_learned(chat: Chat) -> None:
    example = encode(TALK, 1, chat, "rows")
    batch = answer_batch([example])
    said = [chat.tokenizer.decode(batch.input_ids[0][i]) for i in batch.completion_mask[0].nonzero().flatten()]
    assert "".join(said) == "let me ask<|end|>it is 4<|end|>"
    whole = chat.tokenizer.decode(batch.input_ids[0])
    assert whole == "<|user|>what is 2+2?<|assistant|>let me ask<|end|><|tool|>4<|assistant|>it is 4<|end|>"


def test_prompt_padding_and_tool_output_carry_no_gradient(chat: Chat, policy: Policy) -> None:
    short = Conversation((user("hi"),), (assistant("ho"),))
    batch = sft.equal_tokens(answer_batch([encode(row, 1, chat, "rows") for row in (TALK, short)]))
    scores = policy.scores(batch)
    leaf = scores.logprobs.detach().requires_grad_()
    sft.LikelihoodLoss()(batch, TokenScores(leaf, scores.entropy))[0].backward()
    assert leaf.grad is not None
    tool = batch.input_ids[0] == chat.tokenizer.encode("4", add_special_tokens=False)[0]
    assert tool.sum() == 2  # what the tool said, and the assistant after it
    assert (leaf.grad[0][tool] != 0).tolist() == [False, True]
    assert ((leaf.grad != 0) == batch.completion_mask).all()


def test_where_a_template_rewrites_earlier_turns_each_is_learned_behind_what_it_is_sampled_after(chat: Chat) -> None:
    tokenizer = deepcopy(chat.tokenizer)
    tokenizer.chat_template = "{% for m in messages %}{{ loop.length }}{{ m['content'] }}{% endfor %}"
    first, second = encode_all(TALK, 3, Chat(tokenizer, chat.end_ids, chat.context), "rows")
    assert tokenizer.decode(first.prompt_ids) + "|" + tokenizer.decode(first.answer_ids[0]) == (
        "1what is 2+2?|let me ask<|end|>"  # the template writes the number of messages before each
    )
    assert str(tokenizer.decode(second.prompt_ids)).startswith("3what is 2+2?3let me ask")
    assert tokenizer.decode(second.answer_ids[0]) == "it is 4<|end|>"


def test_plain_rows_are_taken_as_they_stand_and_ended(chat: Chat) -> None:
    example = encode(Conversation("2+2=", " 4"), 1, chat, "rows")
    assert chat.tokenizer.decode(example.prompt_ids) == "2+2="
    assert chat.tokenizer.decode(example.answer_ids[0]) == " 4<|end|>"
    assert list(example.learned[0]) == [1] * len(example.answer_ids[0])


def conversations(count: int) -> list[dict[str, object]]:
    return [{"messages": [user(f"say {n % 9}"), assistant(f"{n % 9}!" * (1 + n % 3))]} for n in range(count)]


@pytest.mark.parametrize("packing", ["false", "true"])
def test_it_learns_conversations_and_measures_those_held_out(tmp_path: Path, packing: str) -> None:
    path = write(tmp_path / "rows.jsonl", conversations(120))
    data = f"{{train: {path}, held_out_rows: 20}}"
    model = f"{{scratch: {SCRATCH}, packing: {packing}}}"
    run = sft.train(
        load_config(recipe(tmp_path / "sft.yaml", "sft", data=data, model=model, steps=60, rows_per_step=16))
    )
    rows = read_metrics(run.folder / "metrics.jsonl")
    assert rows[0]["held_out/loss"] > 5
    assert rows[-1]["held_out/loss"] < 0.5


def test_packing_changes_no_loss_of_a_run(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", conversations(40))
    losses = []
    for packing in ("false", "true"):
        model = f"{{scratch: {SCRATCH}, packing: {packing}}}"
        keys = {"data": f"{{train: {path}}}", "model": model, "out": tmp_path / packing, "optimizer": "{lr: 1.0e-3}"}
        run = sft.train(load_config(recipe(tmp_path / f"{packing}.yaml", "sft", rows_per_step=8, steps=3, **keys)))
        losses.append([row["loss"] for row in read_metrics(run.folder / "metrics.jsonl") if "loss" in row])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_with_adapters_only_they_learn(tmp_path: Path, chat: Chat, policy: Policy) -> None:
    policy.save(tmp_path, chat.tokenizer)
    path = write(tmp_path / "rows.jsonl", conversations(16))
    model = f"{{path: {tmp_path}, lora: {{rank: 4}}, packing: true}}"
    keys = {"data": f"{{train: {path}}}", "model": model, "rows_per_step": 8, "steps": 5, "optimizer": "{lr: 1.0e-2}"}
    run = sft.train(load_config(recipe(tmp_path / "sft.yaml", "sft", **keys)))
    losses = [row["loss"] for row in read_metrics(run.folder / "metrics.jsonl") if "loss" in row]
    assert losses[-1] < losses[0]
    assert all(".lora_" in name for name in run.learner.policy.trainable())


def test_rows_that_are_too_long_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*conversations(9), {"messages": [user("say"), assistant("word " * 80)]}]
    path = write(tmp_path / "rows.jsonl", rows)
    sft.train(load_config(recipe(tmp_path / "sft.yaml", "sft", data=f"{{train: {path}}}", steps=1, rows_per_step=4)))
    assert "9 rows to train on, 0 held out; 1 longer than data.max_tokens were left out" in capsys.readouterr().out


def test_a_broken_row_stops_the_run_before_its_first_step(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [*conversations(5), {"messages": [user("say")]}])
    config = load_config(recipe(tmp_path / "sft.yaml", "sft", data=f"{{train: {path}}}"))
    with pytest.raises(DataError, match=r"rows.jsonl', row 6, field 'messages': expected an assistant turn"):
        sft.train(config)


def base_model(chat: Chat, policy: Policy, folder: Path) -> str:
    """A model without a chat template, as base models are."""
    tokenizer = deepcopy(chat.tokenizer)
    tokenizer.chat_template = None
    policy.save(folder, tokenizer)
    return str(folder)


def test_a_base_model_learns_plain_rows_without_a_template_and_chats_with_one_from_the_recipe(
    chat: Chat, policy: Policy, tmp_path: Path
) -> None:
    base = base_model(chat, policy, tmp_path / "base")
    plain = write(tmp_path / "plain.jsonl", [{"prompt": f"{n}+0=", "completion": f"{n}"} for n in range(8)])
    chats = write(tmp_path / "chats.jsonl", conversations(8))
    run = sft.train(
        load_config(recipe(tmp_path / "a.yaml", "sft", model=f"{{path: {base}}}", data=f"{{train: {plain}}}"))
    )
    assert load_tokenizer(str(run.model_folder)).chat_template is None
    bare = recipe(tmp_path / "b.yaml", "sft", model=f"{{path: {base}}}", data=f"{{train: {chats}}}", out=tmp_path / "b")
    with pytest.raises(ModelError, match=r"has no chat template.*model\.chat_template \(plain, r1_zero, chatml"):
        sft.train(load_config(bare))
    model = f"{{path: {base}, chat_template: plain}}"
    named = recipe(tmp_path / "c.yaml", "sft", model=model, data=f"{{train: {chats}}}", out=tmp_path / "c")
    assert load_tokenizer(str(sft.train(load_config(named)).model_folder)).chat_template == TEMPLATES["plain"]


def test_a_template_that_is_not_there_is_refused_before_the_folder_is_claimed(
    chat: Chat, policy: Policy, tmp_path: Path
) -> None:
    model = f"{{path: {base_model(chat, policy, tmp_path / 'base')}, chat_template: ./no.jinja}}"
    rows = write(tmp_path / "rows.jsonl", conversations(8))
    with pytest.raises(
        ModelError, match=r"model\.chat_template: got '\./no\.jinja', expected the path of a \.jinja file"
    ):
        sft.train(load_config(recipe(tmp_path / "a.yaml", "sft", model=model, data=f"{{train: {rows}}}")))
    assert not (tmp_path / "run").exists()
