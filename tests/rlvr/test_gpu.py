"""The same code on a CUDA device. Skipped where there is none (tests/conftest.py)."""

import math
from pathlib import Path

import pytest
import torch

from rlvr.config import ModelConfig, OptimizerConfig
from rlvr.config.file import load_config
from rlvr.engines.transformers_engine import TransformersEngine
from rlvr.learners.local import LocalLearner
from rlvr.learners.optimizer import loss_scale_of
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy
from rlvr.preflight import pick_device
from rlvr.runfolder.metrics import read_metrics
from rlvr.trainers import grpo
from rlvr.weight_sync import PROOF_TOKENS, Probe
from tasks.arithmetic import Arithmetic
from tests.conftest import TINY
from tests.rlvr.learners.test_local import example, weights_after
from tests.rlvr.trainers.test_grpo import TOY

pytestmark = pytest.mark.gpu


def test_auto_picks_the_gpu() -> None:
    assert pick_device("auto").type == "cuda"


@pytest.mark.parametrize(("autocast", "tolerance"), [("none", 1e-4), ("bfloat16", 0.05), ("float16", 0.01)])
def test_engine_and_learner_agree(chat: Chat, autocast: str, tolerance: float) -> None:
    policy = load_policy(ModelConfig(scratch=TINY, autocast=autocast), chat, torch.device("cuda"), 1.0, 0)
    engine = TransformersEngine(policy.model, chat.end_ids)
    prompts = [chat.prompt_ids(Arithmetic().problem(number).prompt) for number in range(4)]
    learner = LocalLearner(policy, OptimizerConfig(), 1)
    assert Probe(prompts, 1.0, tolerance).gap(learner, engine, PROOF_TOKENS) < tolerance


def test_a_step_in_float16_is_taken_with_a_loss_scale(chat: Chat) -> None:
    config = ModelConfig(scratch=TINY, autocast="float16")
    policy = load_policy(config, chat, torch.device("cuda"), 1.0, 0)
    learner = LocalLearner(policy, OptimizerConfig(lr=1e-3), 10, loss_scale=loss_scale_of(config))
    metrics, _ = weights_after(learner, example())
    assert metrics["skipped"] == 0
    assert learner.loss_scale.factor > 1


def test_a_run_learns_there_too(tmp_path: Path) -> None:
    run = grpo.train(load_config("configs/quickstart.yaml", [f"out={tmp_path}", *TOY]))
    assert run.learner.policy.device.type == "cuda"
    rewards = [row["reward/mean"] for row in read_metrics(run.folder / "metrics.jsonl") if "reward/mean" in row]
    assert not any(math.isnan(reward) for reward in rewards)
    assert sum(rewards[-3:]) / 3 > 0.9
