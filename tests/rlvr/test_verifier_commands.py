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
    assert done.output.split() == ["1.00", "correct", "0.5", "(the", "same", "number)"]


def test_a_file_of_pairs_is_verified_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"completion": "#### 5", "answer": "5"}\n{"completion": "#### 6", "answer": "5"}\n')
    done = RUNNER.invoke(app, ["verify", "--input", str(path)])
    assert done.output.splitlines()[-1] == "2 checked: 1 correct, 1 wrong"
    lines = RUNNER.invoke(app, ["verify", "--input", str(path), "--json"]).output.splitlines()
    assert [json.loads(line)["score"] for line in lines] == [1.0, 0.0]


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"completion": "#### 5"}\n')
    with pytest.raises(DataError, match="line 1: expected"):
        RUNNER.invoke(app, ["verify", "--input", str(path)], catch_exceptions=False)


def test_an_unknown_verifier_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'math'"):
        RUNNER.invoke(app, ["verify", "5", "5", "--verifier", "mth"], catch_exceptions=False)


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
    assert tested.output.count("ok  ") == 15
