import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from rlvr.config import LoraConfig, ModelConfig, OptimizerConfig, RewardModelConfig
from rlvr.config.file import load_config
from rlvr.data.examples import answer_batch, encode
from rlvr.errors import ConfigError, DataError
from rlvr.evaluate_pairs import pair_report
from rlvr.learners.local import LocalLearner
from rlvr.models.chat import Chat
from rlvr.models.heads import RewardModel, load_reward_model
from rlvr.models.policy import Policy
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import reward_model
from rlvr.types import Batch
from tasks.preferences import Preference, parse_preference
from tests.conftest import TINY
from tests.rlvr.trainers.rows import assistant, polite_pairs, recipe, user, write


def fresh(chat: Chat, **options: object) -> RewardModel:
    return load_reward_model(ModelConfig(scratch=TINY, **options), chat, torch.device("cpu"), seed=0)


def ranking(chat: Chat) -> Batch:
    """A ranking of four answers of unequal length, and a pair."""
    answers = tuple((assistant(text),) for text in ("one two three four five", "six", "seven eight", "nine ten"))
    rows = [
        Preference((user("a longer question"),), answers, (0, 1, 2, 3)),
        Preference((user("q"),), answers[1:3], (0, 1)),
    ]
    return answer_batch([encode(row, 1, chat, "rows") for row in rows])


def config(**keys: object) -> RewardModelConfig:
    return RewardModelConfig(
        trainer="reward_model", model=ModelConfig(scratch=TINY), data={"train": "x"}, steps=1, **keys
    )


def test_what_is_saved_loads_as_a_classifier_and_says_the_same(chat: Chat, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, batch = fresh(chat), ranking(chat)
    ours = model.scores(batch).detach()
    assert ours.unique().numel() == len(batch)
    model.save(tmp_path, chat.tokenizer)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    padding = AutoTokenizer.from_pretrained(tmp_path).pad_token_id
    ids = torch.where(batch.attention_mask.bool(), batch.input_ids, padding)
    with torch.no_grad():
        theirs = loaded(input_ids=ids, attention_mask=batch.attention_mask).logits
    assert loaded.num_labels == 1
    assert_close(theirs.squeeze(-1), ours, atol=1e-6, rtol=1e-5)
    again = load_reward_model(ModelConfig(path=str(tmp_path)), chat, torch.device("cpu"), seed=7)
    assert_close(again.scores(batch).detach(), ours, atol=1e-6, rtol=1e-5)


def test_it_starts_from_a_language_model_with_a_new_head(chat: Chat, policy: Policy, tmp_path: Path) -> None:
    policy.save(tmp_path, chat.tokenizer)
    models = [load_reward_model(ModelConfig(path=str(tmp_path)), chat, torch.device("cpu"), seed) for seed in (0, 0, 1)]
    trunk = dict(models[0].model.base_model.named_parameters())
    for name, weight in policy.model.base_model.named_parameters():
        assert (trunk[name] == weight).all()
    assert (models[0].head.weight == models[1].head.weight).all()
    assert (models[0].head.weight != models[2].head.weight).all()


@pytest.mark.parametrize("options", [{}, {"lora": LoraConfig(rank=4)}])
def test_one_made_from_a_language_model_is_saved_as_a_classifier(
    chat: Chat, policy: Policy, tmp_path: Path, options: dict[str, Any]
) -> None:
    from transformers import AutoModelForSequenceClassification

    for name in ("language", "reward"):
        (tmp_path / name).mkdir()
    policy.save(tmp_path / "language", chat.tokenizer)
    source = ModelConfig(path=str(tmp_path / "language"), **options)
    model, batch = load_reward_model(source, chat, torch.device("cpu"), seed=0), ranking(chat)
    model.save(tmp_path / "reward", chat.tokenizer)
    said = json.loads((tmp_path / "reward/config.json").read_text())
    assert said["architectures"] == ["Qwen3ForSequenceClassification"]
    ours = model.scores(batch).detach()
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward")
    with torch.no_grad():
        theirs = loaded(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.squeeze(-1)
    assert_close(theirs, ours, atol=1e-6, rtol=1e-5)
    again = ModelConfig(path=str(tmp_path / "reward"))
    judge = load_reward_model(again, chat, torch.device("cpu"), seed=7, may_draw=False)
    assert_close(judge.scores(batch).detach(), ours, atol=1e-6, rtol=1e-5)


def test_padding_neighbours_and_packing_change_no_score(chat: Chat) -> None:
    model, batch = fresh(chat), ranking(chat)
    whole = model.scores(batch).detach()
    for row in range(len(batch)):
        assert_close(model.scores(batch.rows(torch.tensor([row]))).detach(), whole[row : row + 1], atol=1e-6, rtol=1e-5)
    packed = fresh(chat, packing=True)
    assert_close(packed.scores(batch).detach(), whole, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("keys", [{}, {"margin": True}, {"center_rewards_coef": 0.5}])
def test_a_prompt_counts_the_same_however_long_its_ranking_and_microbatches_change_nothing(
    chat: Chat, keys: dict[str, object]
) -> None:
    batch = ranking(chat)
    batch = replace(batch, ratings_B=torch.tensor([6.0, 2.0, 1.0, 0.0, 3.0, 2.5]))
    loss = reward_model.ComparisonLoss.of(batch, config(**keys))
    scores = torch.tensor([0.3, -0.2, 0.5, 0.1, 1.0, -1.0])
    expected = 0.0
    for rows in ([0, 1, 2, 3], [4, 5]):
        pairs = [(i, j) for i in rows for j in rows if i < j]
        for i, j in pairs:
            margin = float(batch.ratings_B[i] - batch.ratings_B[j]) if keys.get("margin") else 0.0
            one = -torch.nn.functional.logsigmoid(scores[i] - scores[j] - margin)
            one = one + float(keys.get("center_rewards_coef", 0.0)) * (scores[i] + scores[j]) ** 2
            expected += float(one) / len(pairs) / 2
    assert float(loss(batch, scores)[0]) == pytest.approx(expected, abs=1e-6)

    def step(microbatch_tokens: int) -> tuple[dict[str, float], torch.Tensor]:
        model = fresh(chat)
        learner = LocalLearner(model, OptimizerConfig(lr=1.0, microbatch_tokens=microbatch_tokens), steps=1)
        for group in learner.optimizer.param_groups:
            group["eps"] = 1.0
        metrics = learner.update(batch, reward_model.ComparisonLoss.of(batch, config(**keys))).metrics
        return metrics, torch.cat([p.detach().flatten() for p in model.trainable().values()])

    whole, whole_weights = step(10_000)
    split, split_weights = step(1)
    assert split == pytest.approx(whole, rel=1e-4, abs=1e-6)
    assert_close(split_weights, whole_weights, atol=1e-6, rtol=1e-5)


def test_with_adapters_the_head_learns_too_and_they_are_merged_when_saved(chat: Chat, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model = fresh(chat, lora=LoraConfig(rank=4))
    names = list(model.trainable())
    assert "score.weight" in names
    assert all(".lora_" in name or name == "score.weight" for name in names)
    with torch.no_grad():
        for parameter in model.trainable().values():
            parameter.normal_(std=0.1)
    batch = ranking(chat)
    ours = model.scores(batch).detach()
    model.save(tmp_path, chat.tokenizer)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        theirs = loaded(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.squeeze(-1)
    assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model", ["{scratch: %s}", "{scratch: %s, packing: true}"])
def test_it_learns_what_is_preferred_and_says_how_surely(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    from tests.rlvr.trainers.rows import SCRATCH

    path = write(tmp_path / "pairs.jsonl", polite_pairs(300))
    keys = {
        "data": f"{{train: {path}, held_out_rows: 100}}",
        "rows_per_step": 16,
        "steps": 30,
        "eval": "{every: 10}",
        "model": model % SCRATCH,
    }
    run = reward_model.train(load_config(recipe(tmp_path / "rm.yaml", "reward_model", **keys)))
    measured = [row for row in read_metrics(run.folder / "metrics.jsonl") if "held_out/accuracy" in row]
    assert [row["step"] for row in measured] == [0, 10, 20, 30]
    first, *_, last = measured
    assert first["held_out/accuracy"] < 0.8
    assert last["held_out/accuracy"] > 0.95
    assert last["held_out/accuracy_low"] > 0.9
    assert last["held_out/loss"] < 0.2
    assert last["held_out/pays_for_length"] == 0.0
    assert "100 held-out comparisons: accuracy" in capsys.readouterr().out
    config_json = (run.folder / "model" / "config.json").read_text()
    assert "ForSequenceClassification" in config_json


def test_it_is_measured_on_comparisons_and_refuses_keys_that_speak_of_problems(tmp_path: Path) -> None:
    keys = {"data": "{train: pairs.jsonl}", "eval": "{every: 10, problems: 5}"}
    with pytest.raises(ConfigError, match=r"unknown key 'eval.problems'; known here: every, at_start, at_end"):
        load_config(recipe(tmp_path / "rm.yaml", "reward_model", **keys))


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    import shutil

    path = write(tmp_path / "pairs.jsonl", polite_pairs(40))
    keys = {"data": f"{{train: {path}}}", "rows_per_step": 4, "steps": 4, "checkpoint": "{every: 2}"}
    loaded = load_config(recipe(tmp_path / "rm.yaml", "reward_model", **keys))
    whole = reward_model.train(loaded).learner.policy.trainable()
    shutil.rmtree(tmp_path / "run/checkpoints/step-000004")
    shutil.rmtree(tmp_path / "run/model")
    again = reward_model.train(loaded).learner.policy.trainable()
    assert all((again[name] == weight).all() for name, weight in whole.items())


def test_margins_need_ratings_that_agree_with_the_order(tmp_path: Path) -> None:
    rows = polite_pairs(4)
    for number, row in enumerate(rows):
        row["margin"] = 1.0 if number else -1.0
    keys = {"data": f"{{train: {write(tmp_path / 'pairs.jsonl', rows)}}}", "margin": "true"}
    with pytest.raises(DataError, match=r"row 1: margin is on .* this row rates a worse answer higher: \(-1.0, 0.0\)"):
        reward_model.train(load_config(recipe(tmp_path / "rm.yaml", "reward_model", **keys)))
    rows = polite_pairs(4)
    keys["data"] = f"{{train: {write(tmp_path / 'plain.jsonl', rows)}}}"
    with pytest.raises(DataError, match="this row has none"):
        reward_model.train(load_config(recipe(tmp_path / "rm2.yaml", "reward_model", **keys)))


def test_the_report_by_hand() -> None:
    # Differences 2, 1, -1, 0 on prompts 0, 0, 1, 2: right 1, 1, 0, 1/2; prompt means 1, 0, 1/2.
    better, worse = torch.tensor([2.0, 1.0, 0.0, 3.0]), torch.tensor([0.0, 0.0, 1.0, 3.0])
    lengths = torch.tensor([3, 3, 3, 3]), torch.tensor([1, 5, 2, 3])
    report = pair_report(better, worse, *lengths, torch.tensor([0, 0, 1, 2]))
    assert report.accuracy.mean == pytest.approx(0.5)
    # length differences 2, -2, 1, 0 with signs 1, 1, -1, 0: 2 - 2 - 1 = -1, norms sqrt(3) and 3; three prompts
    assert report.length_correlation.mean == pytest.approx(-1 / (3**0.5 * 3))
    half = 1.959964 / (3 - 2) ** 0.5
    assert report.length_correlation.high == pytest.approx(math.tanh(math.atanh(-1 / (3**0.5 * 3)) + half), abs=1e-5)
    assert report.label_length_correlation == pytest.approx(1 / (2 * 3))
    # sigmoid(2) = 0.8808, right once; sigmoid(1) = 0.7311 twice, right once; sigmoid(0) = 0.5, half right
    assert report.calibration_error == pytest.approx((0.1192 + 0.4621 + 0.0) / 4, abs=1e-4)


def test_a_model_that_pays_for_length_is_flagged_and_one_that_follows_the_labels_is_not() -> None:
    torch.manual_seed(0)
    lengths = torch.randint(5, 50, (300,)), torch.randint(5, 50, (300,))
    prompts = torch.arange(300)
    longer = (lengths[0] - lengths[1]).double()
    by_length = pair_report(lengths[0] * 0.1, lengths[1] * 0.1, *lengths, prompts)
    assert by_length.pays_for_length
    assert "pays for length" in str(by_length)
    by_rule = pair_report(torch.ones(300) + torch.randn(300), torch.zeros(300), *lengths, prompts)
    assert not by_rule.pays_for_length
    better = torch.maximum(*lengths), torch.minimum(*lengths)  # the labels themselves prefer the longer answer
    assert not pair_report(torch.ones(300), torch.zeros(300), *better, prompts).pays_for_length
    assert longer.abs().sum() > 0


def test_an_honest_model_of_a_utility_that_goes_with_length_is_not_flagged() -> None:
    torch.manual_seed(0)
    n = 2000
    lengths = torch.randn(2, n)
    utilities = 0.7 * lengths + (1 - 0.7**2) ** 0.5 * torch.randn(2, n)  # correlates with length by 0.7
    order = utilities.argsort(0, descending=True)
    better, worse = utilities.gather(0, order)
    lengths = lengths.gather(0, order)
    perfect = pair_report(better, worse, *lengths, torch.arange(n))
    assert perfect.accuracy.mean == 1.0
    assert perfect.label_length_correlation > 0.5
    assert not perfect.pays_for_length
    paid = pair_report(better + 2 * lengths[0], worse + 2 * lengths[1], *lengths, torch.arange(n))
    assert paid.pays_for_length


def test_a_pair_in_the_data_is_a_pair_in_the_batch(chat: Chat) -> None:
    row = parse_preference(
        {"prompt": [user("q")], "completions": [[assistant("a")], [assistant("b")]], "ratings": [1, 4]}
    )
    example = encode(row, 1, chat, "rows")
    batch = answer_batch([example])
    assert batch.ranks_B is not None
    assert batch.ratings_B is not None
    assert batch.ranks_B.tolist() == [0, 1]
    assert batch.ratings_B.tolist() == [4.0, 1.0]
    assert chat.tokenizer.decode(batch.input_ids[0]).endswith("b<|end|>")
    assert answer_batch([example, replace(example, ratings=None)]).ratings_B is None


def test_a_pair_whose_scores_are_equal_is_trained_on_with_margin_zero(chat: Chat) -> None:
    row = {"prompt": [user("q")], "chosen": [assistant("a")], "rejected": [assistant("b")]}
    pairs = [row | {"score_chosen": 3, "score_rejected": 3}, row | {"score_chosen": 4, "score_rejected": 1}]
    batch = answer_batch([encode(parse_preference(pair), 1, chat, "rows") for pair in pairs])
    scores = torch.tensor([1.0, 0.0, 1.0, 0.0])
    loss, stats = reward_model.ComparisonLoss.of(batch, config(margin=True))(batch, scores)
    assert len(stats["margin"]) == 2
    expected = torch.nn.functional.softplus(torch.tensor([-1.0, 3.0 - 1.0])).mean()  # -log sigmoid(1 - 0), (1 - 3)
    assert_close(loss, expected)


def test_held_out_rows_need_no_ratings_for_margins(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [row | {"margin": 0.5} for row in polite_pairs(4)])
    test = write(tmp_path / "test.jsonl", polite_pairs(4, seed=1))
    keys = {"data": f"{{train: {train}, test: {test}}}", "margin": "true", "rows_per_step": 4, "steps": 1}
    run = reward_model.train(load_config(recipe(tmp_path / "rm.yaml", "reward_model", **keys)))
    assert "held_out/accuracy" in read_metrics(run.folder / "metrics.jsonl")[-1]
