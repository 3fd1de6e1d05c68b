"""A new verifier works as written, and conformance finds what one owes."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.audit.conformance import conformance, write_package
from rlvr.errors import ConfigError


def broken_on_unicode(completion: str, answer: str, **context: object) -> float:
    return float(completion.encode("ascii") == answer.encode("ascii"))


def sleepy(completion: str, answer: str, **context: object) -> float:
    import time

    time.sleep(30 if len(completion) > 100_000 else 0)
    return 0.0


def failures(name: str, timeout_seconds: float = 20.0) -> list[str]:
    return [finding.duty for finding in conformance(name, timeout_seconds=timeout_seconds) if not finding.kept]


def test_the_package_that_is_written_passes_its_own_test(tmp_path: Path) -> None:
    files = write_package("capital_city", tmp_path / "capital_city")
    assert [path.name for path in files] == ["pyproject.toml", "README.md", "__init__.py", "test_capital_city.py"]
    folder = tmp_path / "capital_city"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=folder, env={"PYTHONPATH": str(folder)}, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("My-Verifier", "the name of a Python module"),
        ("math", "built-in"),
        ("json", "'json' is the name of a package"),
        ("verifiers", "'verifiers' is the name of a package"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        write_package(name, tmp_path / "new")


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        write_package("mine", tmp_path)


@pytest.mark.parametrize("name", ["math", "exact", "format", "regex"])
def test_built_in_verifiers_conform(name: str) -> None:
    assert failures(name) == []


def test_a_ground_truth_that_it_cannot_read_tests_nothing() -> None:
    assert failures("choice") == ["reads the ground truth"]
    assert all(finding.kept for finding in conformance("choice", answer="B"))


def test_a_verifier_that_raises_is_found_out() -> None:
    assert failures("tests.rlvr.audit.test_conformance:broken_on_unicode") == [
        "returns a verdict on unicode",
        "returns a verdict on a lone surrogate",
    ]


def test_a_verifier_that_is_slow_is_found_out() -> None:
    assert "keeps its deadline of 0.5 s" in failures("tests.rlvr.audit.test_conformance:sleepy", timeout_seconds=0.5)
