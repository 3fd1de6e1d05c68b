"""`rlvr eval`: what it measures is what it prints."""

from pathlib import Path

import pytest

from rlvr.commands.evaluate_model import evaluate_model
from rlvr.config import RunConfig
from rlvr.config.file import load_config
from rlvr.errors import ConfigError
from rlvr.models.chat import Chat
from rlvr.models.policy import Policy


@pytest.fixture
def model(chat: Chat, policy: Policy, tmp_path: Path) -> Path:
    policy.save(tmp_path / "model", chat.tokenizer)
    return tmp_path / "model"


def config_of(model: Path, *overrides: str) -> RunConfig:
    return load_config(
        "configs/quickstart.yaml",
        [
            f"model={{path: {model}}}",
            "cold_start=null",
            "engine={name: scripted, script: 'tests.rlvr.scripts:always_five'}",
            "verify.verifier=tests.rlvr.scripts:coin_at_once",
            "eval={problems: 40, samples: 2}",
            *overrides,
        ],
    )


def test_what_is_printed_is_what_was_measured(model: Path, chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = evaluate_model(config_of(model, "verify.verifier=math", "verify.workers=1"))
    solved = sum(group.problem.answer == "5" for group in evaluation.groups[0]) / 40
    assert 0 < solved < 1
    means = {name: estimate.mean for name, estimate in evaluation.estimates.items()}
    assert means == {"greedy": solved, "avg@2": solved, "pass@2": solved, "maj@2": solved}
    printed = " ".join(capsys.readouterr().out.split())
    assert "on 40 problems" in printed
    low, high = evaluation.estimates["greedy"].low, evaluation.estimates["greedy"].high
    assert f"greedy │ {solved:.3f} │ {low:.3f} to {high:.3f}" in printed
    assert f"mean length │ {len(chat.completion_ids('#### 5')):.1f} tokens" in printed
    assert "cut off │ 0.0%" in printed
    assert "grader failed │ 0.0%" in printed


def test_a_recipe_that_never_evaluates_while_it_trains_is_evaluated_all_the_same(model: Path) -> None:
    quiet = "eval={problems: 5, samples: 0, at_start: false, at_end: false}"
    assert evaluate_model(config_of(model, quiet)).estimates.keys() == {"greedy"}


def test_a_recipe_without_held_out_problems_is_refused(model: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"eval\.problems is 0; expected the number of held-out problems to evaluate on"
    ):
        evaluate_model(config_of(model, "eval.problems=0"))


def test_a_model_from_nothing_is_not_worth_evaluating() -> None:
    with pytest.raises(ConfigError, match=r"model\.scratch is not trained; name a model"):
        evaluate_model(load_config("configs/quickstart.yaml", []))


def test_named_sets_are_evaluated_beside_the_tasks_own_problems(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "fives.jsonl"
    rows.write_text("".join(f'{{"question": "{n}?", "answer": "{5 if n < 3 else n}"}}\n' for n in range(4)))
    fives = f"{{name: dataset, test: {rows}, samples: 1, problems: 4}}"
    config = config_of(model, "verify.verifier=null", f"eval.sets={{fives: {fives}, sums: arithmetic}}")
    assert evaluate_model(config).groups[0][0].problem.source == "arithmetic"
    printed = " ".join(capsys.readouterr().out.split())
    assert "on 4 problems of fives" in printed
    assert "greedy │ 0.750 │" in printed
    assert "avg@1 │ 0.750" in printed
    assert "on 512 problems of sums" in printed
    evaluate_model(config_of(model, "verify.verifier=null", f"eval.sets={{fives: {fives}}}", "eval.problems=0"))
    printed = " ".join(capsys.readouterr().out.split())
    assert "on 4 problems of fives" in printed
    assert printed.count("problems") == 1
