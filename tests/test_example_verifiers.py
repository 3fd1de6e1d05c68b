"""The example verifiers do what they say; the judge asks a server that answers as OpenAI's would."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from verifiers import verify_batch
from verifiers.pool import shared_pool


class Judge(BaseHTTPRequestHandler):
    """Says "correct" to what holds the ground truth, nonsense to what asks for it."""

    def do_GET(self) -> None:
        self.reply({"data": [{"id": "judge"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = json.loads(body["messages"][1]["content"])
        said = "correct" if asked["ground truth"] in asked["answer of the student"] else "wrong"
        broken = "nonsense" in asked["answer of the student"]
        content = "I would rather not" if broken else json.dumps({"verdict": said})
        self.reply({"choices": [{"message": {"content": content}}]})

    def reply(self, body: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def judge_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("RLVR_JUDGE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    shared_pool().close()  # workers inherit the environment when they are started
    yield
    server.shutdown()
    shared_pool().close()


@pytest.mark.usefixtures("judge_server")
def test_a_judge_grades_and_a_reply_without_a_verdict_is_no_wrong_answer() -> None:
    completions = ["The capital is Paris.", "It is Rome.", "nonsense", "\ud800 Paris"]
    verdicts = verify_batch([(text, "Paris") for text in completions], "examples.verifiers.llm_judge:judge")
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, None, 1.0]
    assert verdicts[2].detail.startswith("the judge gave no verdict")


def test_a_judge_that_cannot_be_reached_says_nothing_of_the_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVR_JUDGE_URL", "http://127.0.0.1:9/v1")
    shared_pool().close()
    (verdict,) = verify_batch([("Paris", "Paris")], "examples.verifiers.llm_judge:judge")
    shared_pool().close()
    assert (verdict.score, verdict.status) == (None, "error")


def test_words_are_counted() -> None:
    verdicts = verify_batch([("three short words", "3"), ("one", "3")], "examples.verifiers.word_count:word_count")
    assert [verdict.score for verdict in verdicts] == [1.0, 0.8]


def test_another_program_grades() -> None:
    pairs = [("1 2 3", "3 1 2"), ("1 3 2", "3 1 2"), ("soon", "3 1 2"), ("1", "not numbers")]
    verdicts = verify_batch(pairs, "examples.verifiers.other_process:sorted_list", timeout_seconds=20.0)
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 0.0, None]
