"""The commands around data, as a person types them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rlvr.cli import app
from rlvr.errors import ConfigError, DataError
from tests.rlvr.trainers.rows import assistant, polite_pairs, user, write

RUNNER = CliRunner()


def test_sound_data_are_counted_and_pass(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["data", "check", write(tmp_path / "pairs.jsonl", polite_pairs(8))])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0].endswith("pairs.jsonl: 8 rows of preferences")


def test_a_broken_row_is_named_and_the_command_fails(tmp_path: Path) -> None:
    rows = [{"messages": [user("q"), assistant("a")]}, {"messages": [user("q")]}]
    done = RUNNER.invoke(app, ["data", "check", write(tmp_path / "rows.jsonl", rows)])
    assert done.exit_code == 1
    assert "row 2: field 'messages': expected an assistant turn after the prompt, got none" in done.output


def test_a_file_that_is_not_there_is_an_error_of_the_data(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["data", "check", str(tmp_path / "nowhere.jsonl")])
    assert isinstance(done.exception, DataError)
    assert "nowhere.jsonl" in str(done.exception)


def test_pairs_of_a_model_that_is_not_trained_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    done = RUNNER.invoke(app, ["pairs", "configs/quickstart.yaml", "--out", str(out)])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith("model.scratch is not trained; name a model")
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [["--problems", "0"], ["--samples", "0"], ["--per-problem", "0"], ["--noise", "1.5"]]
)
def test_numbers_that_cannot_be_are_refused(arguments: list[str]) -> None:
    done = RUNNER.invoke(app, ["pairs", "configs/quickstart.yaml", *arguments])
    assert done.exit_code == 2
    assert f"Invalid value for '{arguments[0]}'" in " ".join(done.output.split())
