"""What several tests share: tiny models built on the spot, and where the real data lies."""

import os
from pathlib import Path

# Before torch is imported, and for every process that a test starts: the models here are so small that a second thread
# gains nothing, and where processors are busy with something else, threads that wait for each other lose a lot.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import pytest
import torch

from rlvr.config import ModelConfig, ScratchConfig
from rlvr.models.chat import Chat
from rlvr.models.load import load_policy, scratch_chat
from rlvr.models.policy import Policy
from tasks.arithmetic import Arithmetic

SHIPPED = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data files, or of the few rows of each that the project ships."""
    return Path(os.environ.get("RLVR_DATA", SHIPPED))


@pytest.fixture(scope="session")
def has_all_data() -> bool:
    return "RLVR_DATA" in os.environ


@pytest.fixture
def task() -> Arithmetic:
    return Arithmetic(min_steps=1, max_steps=2, max_number=9, max_value=20)


@pytest.fixture(scope="session")
def chat() -> Chat:
    problems = [Arithmetic().problem(number) for number in range(100)]
    return scratch_chat(ScratchConfig(), [p.prompt[0]["content"] + (p.solution or "") for p in problems])


TINY = ScratchConfig(hidden_size=32, layers=2, heads=2, kv_heads=1, intermediate_size=48)


@pytest.fixture
def policy(chat: Chat) -> Policy:
    """A random float32 policy of 30k parameters."""
    return load_policy(ModelConfig(scratch=TINY), chat, torch.device("cpu"), temperature=1.0, seed=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch finds none"))
