"""The commands around verifiers, as a person types them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rlvr.cli import app
from rlvr.errors import ConfigError, DataError

RUNNER = CliRunner()


def test_one_pair_is_verified_with_its_reason() -> None:
    done = RUNNER.invoke(app, ["verify", r"so \boxed{0.5}", r"\frac12"])
    assert done.exit_code == 0
    assert done.output.split() == ["1.00", "correct", "0.5", "(the", "same", "number", "(rule:", "numbers))"]


def test_a_file_of_pairs_is_verified_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"completion": "#### 5", "answer": "5"}\n{"completion": "#### 6", "answer": "5"}\n')
    done = RUNNER.invoke(app, ["verify", "--input", str(path)])
    assert done.output.splitlines()[-1] == "2 checked: 1 correct, 1 wrong"
    lines = RUNNER.invoke(app, ["verify", "--input", str(path), "--json"]).output.splitlines()
    assert [json.loads(line)["score"] for line in lines] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"completion": "#### 5"}\n', r"line 1: the key 'answer' is missing; expected .* got completion$"),
        (b'{"completion": "5", "answer": "5"}\n{"compl', r"line 2: got '\{\"compl', which is not JSON"),
        (b"[1, 2]\n", r"line 1: got '\[1, 2\]', expected a JSON object"),
        (b"\x89PNG\r\n\x1a\n\xff", r"is not UTF-8 text \(byte 0\); expected a .jsonl file"),
        (b"", r"has no lines; expected \{\"completion\""),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        RUNNER.invoke(app, ["verify", "--input", str(path)], catch_exceptions=False)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder; expected a .jsonl file"):
        RUNNER.invoke(app, ["verify", "--input", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(DataError, match="there is no such file"):
        RUNNER.invoke(app, ["audit", str(tmp_path / "no.jsonl")], catch_exceptions=False)


def test_a_verifier_is_called_as_training_calls_it(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"completion": "5", "answer": "5", "prompt": "2+3?"}\n')
    told = RUNNER.invoke(app, ["verify", "--verifier", "tests.rlvr.scripts:reads_the_context", "--input", str(path)])
    assert "line-1 asks 2+3?" in told.output
    typed = ["verify", "5", "5", "--prompt", "1+4?", "--verifier", "tests.rlvr.scripts:reads_the_context"]
    assert "command-line asks 1+4?" in RUNNER.invoke(app, typed).output
    short = ["5", "5", "--verifier", "tests.rlvr.scripts:without_context"]
    assert RUNNER.invoke(app, ["verify", *short]).output.startswith("1.00  correct")


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "5", "5", "--workers", "0"],
        ["verify", "5", "5", "--timeout-seconds", "-1"],
        ["audit", "rows.jsonl", "--rows", "-1"],
        ["verifier", "test", "math", "--timeout-seconds", "0"],
    ],
)
def test_numbers_that_cannot_be_are_refused(arguments: list[str]) -> None:
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in done.output  # what follows are typer's words


def test_an_unknown_verifier_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'math'"):
        RUNNER.invoke(app, ["verify", "5", "5", "--verifier", "mth"], catch_exceptions=False)


def test_a_verifier_with_settings_is_named_as_in_a_recipe(tmp_path: Path) -> None:
    lenient = ["verify", "it may be 5", "5", "--verifier", "{name: math, mode: lenient}"]
    assert RUNNER.invoke(app, lenient).output.startswith("1.00  correct")
    assert RUNNER.invoke(app, lenient[:3]).output.startswith("0.00")
    weighted = ["verify", "#### 5", "5", "--verifier", "{weighted_sum: {math: 1.0, format: 0.2}}", "--json"]
    verdict = json.loads(RUNNER.invoke(app, weighted).output)
    assert (verdict["parts"], verdict["weights"]) == ({"math": 1.0, "format": 0.0}, {"math": 1.0, "format": 0.2})
    tested = RUNNER.invoke(app, ["verifier", "test", "{name: format, tags: [a]}", "--timeout-seconds", "20"])
    assert tested.exit_code == 0
    data = tmp_path / "data.jsonl"
    data.write_text('{"question": "6 * 7?", "answer": "#### 42"}\n')
    audited = RUNNER.invoke(app, ["audit", str(data), "--verifier", "{name: math, mode: marked}", "--against", "math"])
    assert "verifier '{name: math, mode: marked}'" in audited.output
    for command in (["verify", "5", "5"], ["audit", str(data)]):
        with pytest.raises(
            ConfigError, match=r"verifier: the verifier 'math' has no setting 'mod': did you mean 'mode'"
        ):
            RUNNER.invoke(app, [*command, "--verifier", "{name: math, mod: 1}"], catch_exceptions=False)
    with pytest.raises(ConfigError, match=r"its value is not YAML"):
        RUNNER.invoke(app, ["verify", "5", "5", "--verifier", "{name: math"], catch_exceptions=False)


def test_an_audit_prints_its_rates_writes_its_page_and_fails_on_mistakes(tmp_path: Path) -> None:
    data, page = tmp_path / "data.jsonl", tmp_path / "pages" / "audit.html"
    data.write_text('{"question": "6 * 7?", "answer": "It is 42.\\n#### 42"}\n')
    good = RUNNER.invoke(app, ["audit", str(data), "--html", str(page)])
    assert good.exit_code == 0
    assert "near misses: false rewards 0 of" in good.output
    assert page.read_text().startswith("<!doctype html>")
    assert RUNNER.invoke(app, ["audit", str(data), "--verifier", "exact"]).exit_code == 1


def test_a_new_verifier_is_written_and_conformance_is_printed(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["verifier", "new", "my_check", "--folder", str(tmp_path / "my_check")])
    assert done.exit_code == 0
    assert (tmp_path / "my_check" / "src" / "my_check" / "__init__.py").exists()
    tested = RUNNER.invoke(app, ["verifier", "test", "math"])
    assert tested.exit_code == 0
    assert tested.output.count("ok  ") == 16
