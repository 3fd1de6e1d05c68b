"""A function of one's own is looked at before anything is built with it."""

from pathlib import Path

import pytest

from rlvr.algorithms.objective import Objective
from rlvr.config.file import Origin, check_config
from rlvr.errors import ConfigError
from rlvr.preflight import check, check_objective, check_verifier

MINE = """
def fits(a, b): ...
def narrow(a): ...
def wide(a, b, c): ...
def roomy(a, b, c=1, *rest): ...
number = 3
"""


@pytest.fixture(autouse=True)
def my_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rules_3.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", ["fits", "roomy"])
def test_a_function_that_can_be_called_as_the_known_ones_are_is_taken(name: str) -> None:
    check_objective(Objective(surrogate=f"my_rules_3:{name}"))


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"surrogate": "my_rules_3:narrow"},
         r"objective.surrogate: 'my_rules_3:narrow' takes \(a\), expected a function of \(tokens, objective\)"),
        ({"surrogate": "my_rules_3:wide"}, r"takes \(a, b, c\), expected a function of \(tokens, objective\), like"),
        ({"baseline": "my_rules_3:fits"}, r"takes \(a, b\), expected a function of \(outcomes\)"),
        ({"keep": "my_rules_3:number"}, r"is of type int, expected a function of \(group\), like 'all'"),
    ],
)  # fmt: skip
def test_one_that_cannot_is_refused_with_what_it_should_take(choices: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_objective(Objective(**choices))


def test_a_verifier_with_settings_is_made_before_anything_else() -> None:
    check_verifier({"weighted_sum": {"math": 1.0, "format": 0.2}}, "verify.verifier")
    with pytest.raises(ConfigError, match=r"^eval.verifier.gate.then.mode: got 'lenint', expected one of marked"):
        check_verifier({"gate": {"first": "format", "then": {"name": "math", "mode": "lenint"}}}, "eval.verifier")
    with pytest.raises(ConfigError, match=r"^verify.verifier: 'my_rules_3:number' is a int, not a verifier"):
        check_verifier("my_rules_3:number", "verify.verifier")


def test_fine_tuning_checks_the_verifier_of_its_evaluations_too(tmp_path: Path) -> None:
    values = {
        "trainer": "sft", "model": {"scratch": {}}, "steps": 1, "task": "arithmetic", "out": str(tmp_path / "run"),
        "verify": {"verifier": {"name": "math", "mod": "lenient"}},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"^verify.verifier: the verifier 'math' has no setting 'mod'"):
        check(check_config(values, Origin("mine")))
