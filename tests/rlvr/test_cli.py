import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.config.file import Origin, check_config


def rlvr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "rlvr", *arguments], capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    "command", [(), ("train",), ("eval",), ("config",), ("presets",), ("verify",), ("audit",), ("overoptimization",)]
)
def test_help_answers_with_an_example_and_without_torch(command: tuple[str, ...]) -> None:
    done = rlvr(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert not command or f"Example: rlvr {command[0]}" in " ".join(done.stdout.split())
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rlvr", *command, "--help"], capture_output=True, text=True
    ).stderr
    assert not any(
        line.split("|")[-1].strip() in ("torch", "transformers", "datasets") for line in imported.splitlines()
    )


def test_the_older_name_of_a_command_works_and_is_not_listed() -> None:
    assert "Example: rlvr overoptimization" in " ".join(rlvr("truth", "--help").stdout.split())
    listed = rlvr("--help").stdout.split()
    assert "overoptimization" in listed
    assert "truth" not in listed


def test_config_prints_what_loads_again() -> None:
    import yaml

    done = rlvr("config", "configs/quickstart.yaml", "objective=grpo", "seed=5")
    config = check_config(yaml.safe_load(done.stdout), Origin("printed"))
    assert (config.seed, config.objective.kl_coef) == (5, 0.04)


def test_config_prints_and_then_says_what_train_would_refuse() -> None:
    done = rlvr("config", "configs/quickstart.yaml", "objective={preset: grpo, surrogate: clop}")
    assert "surrogate: clop" in done.stdout
    assert done.returncode == 1
    assert done.stderr.startswith("error: objective.surrogate: got 'clop', expected one of clip")
    assert len(done.stderr.splitlines()) == 1


def test_presets_are_listed_and_explained() -> None:
    listed = rlvr("presets").stdout.splitlines()
    assert len(listed) == 18
    assert listed[1] == (
        "dr_grpo               GRPO done right: no std (which favours problems that are too easy or too hard), no "
        "division by a completion's length (which favours long wrong answers), no KL"
    )
    explained = rlvr("presets", "gspo").stdout
    assert "arXiv:2507.18071" in explained
    assert "* ratio: sequence\n" in explained
    assert "  kl_in: loss\n" in explained
    assert rlvr("presets", "gsop").stderr.startswith("error: no preset is called 'gsop'; did you mean 'gspo'?")


def test_an_error_is_one_sentence_and_no_traceback() -> None:
    done = rlvr("train", "configs/quickstart.yaml", "grup_size=4")
    assert done.returncode == 1
    assert done.stderr == "error: override 'grup_size=4': unknown key 'grup_size'; did you mean 'group_size'?\n"


def test_eval_reports_a_saved_model(tmp_path: Path, chat, policy) -> None:

    policy.save(tmp_path, chat.tokenizer)
    overrides = [f"model.path={tmp_path}", "eval={problems: 4, samples: 2}"]
    done = rlvr("eval", "configs/quickstart.yaml", *overrides)
    assert done.returncode == 0, done.stderr
    for measure in ("greedy", "avg@2", "pass@2", "maj@2", "cut off"):
        assert measure in done.stdout
    untrained = rlvr("eval", "configs/quickstart.yaml")
    assert (
        untrained.stderr
        == "error: model.scratch is not trained; name a model, such as model.path=runs/quickstart/model\n"
    )


def test_a_verifier_is_found_beside_where_the_installed_command_is_called(tmp_path: Path) -> None:
    (tmp_path / "my_checks.py").write_text(
        "from verifiers import Verdict\n\n\n"
        "def same_word(completion: str, answer: str, **context: object) -> Verdict:\n"
        "    return Verdict(float(completion == answer), 'correct' if completion == answer else 'wrong')\n"
    )
    command = [str(Path(sys.executable).with_name("rlvr")), "verify", "--verifier", "my_checks:same_word", "5", "5"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert "correct" in done.stdout, done.stderr
