"""The example judge against a real vLLM server on this machine; its tiny model was taught one verdict."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from examples.verifiers import llm_judge
from rlvr.config import ModelConfig, OptimizerConfig, ScratchConfig
from rlvr.learners.local import LocalLearner
from rlvr.models.load import load_policy, scratch_chat
from rlvr.trainers.sft import LikelihoodLoss, equal_tokens, solution_batch
from tasks import Problem

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "darwin", reason="there is no CPU build of vLLM for macOS"),
]
SIZE = ScratchConfig(hidden_size=128, layers=1, heads=4, kv_heads=4, intermediate_size=128, max_length=1024)
PAIRS = [("The capital is Paris.", "Paris"), ("It may be Lyon.", "Paris"), ("", "Paris")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    chat = scratch_chat(SIZE, [llm_judge.RUBRIC])
    learner = LocalLearner(
        load_policy(ModelConfig(scratch=SIZE), chat, torch.device("cpu"), 1.0, 0), OptimizerConfig(lr=5e-3), steps=40
    )
    prompt = ({"role": "system", "content": llm_judge.RUBRIC}, {"role": "user", "content": "{}"})
    for _ in range(40):
        learner.update(
            equal_tokens(solution_batch([Problem("judge", prompt, "", solution='{"verdict": "wrong"}')] * 2, chat)),
            LikelihoodLoss(),
        )
    folder: Path = tmp_path_factory.mktemp("judge")
    learner.policy.save(folder, chat.tokenizer)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"--port {port} --host 127.0.0.1 --dtype float32 --max-model-len 1024 --served-model-name judge"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), *options.split()]
    log = (folder / "server.log").open("w")
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 600
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                assert process.poll() is None, (folder / "server.log").read_text()[-3000:]
                assert time.monotonic() < deadline, (folder / "server.log").read_text()[-3000:]
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_a_model_behind_a_real_server_grades(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVR_JUDGE_URL", server)
    llm_judge.model_name.cache_clear()  # another test's server may have been asked before
    verdicts = llm_judge.judge.verify_chunk(PAIRS)
    assert [(verdict.score, verdict.status) for verdict in verdicts] == [(0.0, "wrong")] * 3
    assert {verdict.detail for verdict in verdicts} == {"the judge says wrong"}
