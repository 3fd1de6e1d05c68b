from pathlib import Path

import pytest
import torch

from rlvr.config import LearnedRewardConfig, ModelConfig, VerifyConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError, ModelError
from rlvr.models.chat import Chat
from rlvr.models.heads import load_reward_model
from rlvr.models.load import load_policy
from rlvr.rollouts.grader import make_grader
from rlvr.rollouts.reward_model_grader import load_reward_model_grader
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import grpo
from rlvr.types import Finish, Rollout
from tasks import Problem
from tests.conftest import TINY
from verifiers import is_solved

CPU = torch.device("cpu")


def said(text: str, finish: Finish = "stop") -> Rollout:
    return Rollout([1], [2], [True], [0.0], finish, 0, text)


@pytest.fixture
def judge(chat: Chat, tmp_path: Path) -> Path:
    """A reward model of random weights, saved."""
    folder = tmp_path / "judge"
    folder.mkdir()
    load_reward_model(ModelConfig(scratch=TINY), chat, CPU, seed=3).save(folder, chat.tokenizer)
    return folder


def test_it_scores_as_the_saved_classifier_does_with_any_real_number(judge: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    grade = load_reward_model_grader(LearnedRewardConfig(path=str(judge), batch_tokens=30), CPU)
    problem = Problem("p", ({"role": "user", "content": "2+2?"},), "4")
    verdicts = grade(problem, [said("4"), said("five hundred"), said("")])
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(judge), AutoTokenizer.from_pretrained(judge)
    for verdict, text in zip(verdicts, ("4", "five hundred", ""), strict=True):
        talk = [*problem.prompt, {"role": "assistant", "content": text}]
        ids = tokenizer.apply_chat_template(talk, return_tensors="pt", return_dict=False)
        with torch.no_grad():
            assert verdict.score == pytest.approx(float(model(ids).logits), abs=1e-5)
        assert verdict.status == "scored"
    assert any(verdict.score is not None and not 0 <= verdict.score <= 1 for verdict in verdicts)


def test_what_is_too_long_has_no_reward(judge: Path) -> None:
    grade = load_reward_model_grader(LearnedRewardConfig(path=str(judge)), CPU)
    short, long = grade(Problem("p", ({"role": "user", "content": "?"},), "4"), [said("4"), said("word " * 2000)])
    assert short.score is not None
    assert (long.score, long.status) == (None, "error")
    assert "256 tokens" in long.detail


def test_an_answer_that_was_cut_off_pays_for_it(judge: Path) -> None:
    problem = Problem("p", ({"role": "user", "content": "?"},), "4")
    for keys, penalty in (({}, 1.0), ({"cut_off_penalty": 0.25}, 0.25), ({"cut_off_penalty": 0}, 0.0)):
        grade = load_reward_model_grader(LearnedRewardConfig(path=str(judge), **keys), CPU)
        ended, cut = grade(problem, [said("4"), said("4", "length")])
        assert ended.score - cut.score == pytest.approx(penalty, abs=1e-6)
        assert ("cut off" in cut.detail, ended.detail) == (penalty > 0, "")


def test_a_language_model_is_no_judge(chat: Chat, tmp_path: Path) -> None:
    load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, 0).save(tmp_path, chat.tokenizer)
    with pytest.raises(ModelError, match="without a head that scores; expected what trainer: reward_model saved"):
        load_reward_model_grader(LearnedRewardConfig(path=str(tmp_path)), CPU)


def test_rewards_are_the_models_and_evaluations_the_tasks_own(judge: Path, chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, 0).save(tmp_path / "policy", chat.tokenizer)
    overrides = [
        f"out={tmp_path / 'run'}", f"model.path={tmp_path / 'policy'}", "model.scratch=null", "cold_start=null",
        "steps=1", "prompts_per_step=4", "group_size=4", "eval={problems: 4, samples: 2}",
        "engine={name: scripted, script: 'tests.rlvr.scripts:half_right'}",
        f"verify={{verifier: reward_model, reward_model: {{path: {judge}}}}}",
    ]  # fmt: skip
    run = grpo.train(load_config("configs/quickstart.yaml", overrides))
    before, after = read_metrics(run.folder / "metrics.jsonl")
    assert after["verdict/scored"] == 1.0
    assert after["grad_norm"] > 0
    import pyarrow.parquet

    ledger = pyarrow.parquet.read_table(run.folder / "rollouts/step-000001.parquet").to_pylist()
    grade = load_reward_model_grader(LearnedRewardConfig(path=str(judge)), CPU)
    problem = Problem("p", ({"role": "user", "content": ledger[0]["prompt"]},), "")
    (again,) = grade(problem, [said(ledger[0]["completion"], ledger[0]["finish"])])
    assert ledger[0]["reward"] == pytest.approx(again.score, abs=1e-5)
    judged = pyarrow.parquet.read_table(run.folder / "evaluations/step-000000-drawn.parquet").to_pylist()
    assert {row["status"] for row in judged} <= {"correct", "wrong", "no_answer"}
    assert 0 <= before["eval/avg@2"] <= 1


def test_a_reward_model_is_a_part_like_any_verifier(judge: Path) -> None:
    learned = load_reward_model_grader(LearnedRewardConfig(path=str(judge), cut_off_penalty=0.25), CPU)
    verifier = {"weighted_sum": {"math": 1.0, "reward_model": 0.1}}
    section = LearnedRewardConfig(path=str(judge))
    grade = make_grader(VerifyConfig(verifier=verifier, reward_model=section, workers=1), learned)
    problem = Problem("p", ({"role": "user", "content": "2+2?"},), "4")
    rollouts = [said("#### 4"), said("#### 5"), said("#### 4", "length")]
    scores = [verdict.score for verdict in learned(problem, rollouts)]
    verdicts = grade(problem, rollouts)
    assert [verdict.score for verdict in verdicts] == pytest.approx(
        [right + 0.1 * score for right, score in zip((1.0, 0.0, 1.0), scores, strict=True)]
    )
    assert [is_solved(verdict) for verdict in verdicts] == [True, False, True]  # that is what math says
    assert verdicts[0].parts == pytest.approx({"math": 1.0, "reward_model": scores[0]})
    gated = make_grader(
        VerifyConfig(
            verifier={"gate": {"first": "math", "then": "reward_model", "otherwise": -5}}, reward_model=section
        ),
        learned,
    )
    assert [verdict.score for verdict in gated(problem, rollouts)] == pytest.approx([scores[0], -5.0, scores[2]])
    assert [verdict.status for verdict in gated(problem, rollouts)] == ["scored", "wrong", "scored"]


def test_a_recipe_adds_a_reward_model_to_a_verifier(judge: Path, chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    load_policy(ModelConfig(scratch=TINY), chat, CPU, 1.0, 0).save(tmp_path / "policy", chat.tokenizer)
    overrides = [
        f"out={tmp_path / 'run'}", f"model.path={tmp_path / 'policy'}", "model.scratch=null", "cold_start=null",
        "steps=1", "prompts_per_step=2", "group_size=4", "eval={problems: 2, samples: 1}",
        "engine={name: scripted, script: 'tests.rlvr.scripts:half_right'}",
        f"verify={{verifier: {{weighted_sum: {{math: 1.0, reward_model: 0.1}}}}, reward_model: {{path: {judge}}}}}",
    ]  # fmt: skip
    run = grpo.train(load_config("configs/quickstart.yaml", overrides))
    after = read_metrics(run.folder / "metrics.jsonl")[1]
    parts = after["reward/part/math"], after["reward/part/reward_model"]
    assert after["reward/mean"] == pytest.approx(parts[0] + 0.1 * parts[1])
    assert after["reward/accuracy"] == parts[0]


def test_the_name_and_the_section_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected both or neither"):
        load_config("configs/quickstart.yaml", ["verify.verifier=reward_model"])
    composed = "verify.verifier={all_of: {a: math, b: {weighted_sum: {j: {weight: 1, verifier: reward_model}}}}}"
    with pytest.raises(ConfigError, match="expected both or neither"):
        load_config("configs/quickstart.yaml", [composed])
    with pytest.raises(ConfigError, match="expected both or neither"):
        load_config("configs/quickstart.yaml", [f"verify.reward_model={{path: {tmp_path}}}"])
