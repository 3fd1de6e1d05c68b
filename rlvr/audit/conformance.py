"""For authors of verifiers: a small package to start from, and the requirements that every verifier must meet.

The package is plain Python with one entry point; a verifier in it is a function that returns a score. `verify_batch`
handles timeouts, worker processes and failures for every plugin.
"""

import keyword
import pickle
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rlvr.errors import ConfigError
from tasks.problem import question_problem
from verifiers import Spec, Verdict, Verifier, get_verifier, is_solved, verify_batch
from verifiers.registry import BUILT_IN

PROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
description = "A verifier for rlvr."
requires-python = ">=3.11"

[project.entry-points."rlvr.verifiers"]
{name} = "{name}:{name}"

[tool.setuptools.packages.find]
where = ["src"]

[tool.pytest.ini_options]
pythonpath = ["src"]
"""
MODULE = '''"""The verifier `{name}`: what it rewards, in one sentence."""


def {name}(completion: str, answer: str, **context: object) -> float:
    """1.0 if the completion is right, 0.0 if it is wrong, a value in between for partial credit; a penalty is negative.

    `answer` is the ground truth, `context` holds what else is known about the problem. Return a `verifiers.Verdict` to
    give a reason, or to say what is solved where scores go beyond 1. Set no timeout, because the caller has a deadline.
    An exception becomes "no verdict": the completion is not trained on.
    """
    wanted = answer.strip().lower()
    return float(wanted != "" and wanted in completion.lower())
'''
TESTS = """from {name} import {name}


def test_a_right_answer_is_rewarded() -> None:
    assert {name}("The capital is Paris.", "Paris") == 1.0


def test_a_wrong_answer_is_not() -> None:
    assert {name}("The capital is Rome.", "Paris") == 0.0
"""
README = """# {name}

    pip install -e .
    rlvr verifier test {name}
    rlvr verify --verifier {name} "The capital is Paris." "Paris"

In a recipe: `verify: {{verifier: {name}}}`.
"""


# Packages that a verifier of the same name would shadow, besides the standard library.
PACKAGES = ("rlvr", "verifiers", "sandbox", "tasks", "torch", "transformers", "vllm")


def write_package(name: str, folder: Path) -> list[Path]:
    """Write an installable package for a verifier called `name` into `folder`. Returns the paths of its files.

    Raises `ConfigError` if Python cannot import the name, if it is taken, or if the folder is not empty.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(f"a verifier needs the name of a Python module, such as my_verifier: got {name!r}")
    if name in BUILT_IN:
        raise ConfigError(f"{name!r} is a built-in verifier: choose another name")
    if name in sys.stdlib_module_names or name in PACKAGES:
        raise ConfigError(f"{name!r} is the name of a package that rlvr or Python needs: choose another name")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"the folder {folder} is not empty: name another with --folder")
    texts = {
        "pyproject.toml": PROJECT,
        "README.md": README,
        f"src/{name}/__init__.py": MODULE,
        f"tests/test_{name}.py": TESTS,
    }
    written = []
    for relative, text in texts.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name=name, distribution=name.replace("_", "-")))
        written.append(path)
    return written


@dataclass(frozen=True)
class Finding:
    """One requirement for a verifier, whether it is met, and details."""

    duty: str
    kept: bool
    detail: str = ""


MEGABYTE = 10**6
AWKWARD = {
    "an empty completion": "",
    "white space": " \n\t ",
    "punctuation": "}{][)(\\\\$$##<>%&",
    "control characters": "".join(map(chr, range(32))),
    "unicode": "答案是 ٤٢ \N{MATHEMATICAL BOLD DIGIT FOUR} \N{ZERO WIDTH JOINER} \N{PILE OF POO} é",
    "a lone surrogate": "\ud800 42",
    "code": "__import__('os').abort()",
    "open brackets": "(" * 10_000 + "\\boxed{" * 1_000,
    "a megabyte of digits": "7" * MEGABYTE,
    "a megabyte of words": "the answer is " * (MEGABYTE // 14),
    "a megabyte in one box": "\\boxed{" + "1+" * (MEGABYTE // 2) + "1}",
}


def conformance(spec: Spec, *, answer: str = "42", timeout_seconds: float = 5.0) -> list[Finding]:
    """Test the verifier that `spec` describes against every requirement; returns one finding for each.

    `answer` is a ground truth that it can read. Raises `ValueError` if there is no such verifier.
    """
    verifier = get_verifier(spec, "verifier")
    context = question_problem("conformance", "What is the answer?", answer).context
    pairs = [(completion, answer, context) for completion in AWKWARD.values()]
    started = time.monotonic()
    first = verify_batch(pairs, spec, workers=1, timeout_seconds=timeout_seconds)
    seconds = time.monotonic() - started
    second = verify_batch(pairs, spec, workers=1, timeout_seconds=timeout_seconds)
    findings = [judged(kind, verdict) for kind, verdict in zip(AWKWARD, first, strict=True)]
    unread = all(verdict.status == "bad_gold" for verdict in first)
    hint = f"{first[0].detail}; name one that it reads with --answer" if unread else ""
    findings.append(Finding("reads the ground truth", not unread, hint))
    slow = [kind for kind, verdict in zip(AWKWARD, first, strict=True) if verdict.status == "timeout"]
    findings.append(
        Finding(
            f"keeps its deadline of {timeout_seconds:g} s",
            not slow,
            f"stopped on {', '.join(slow)}" if slow else f"{seconds:.2f} s for {len(pairs)} completions",
        )
    )
    rows = zip(AWKWARD, first, second, strict=True)
    differing = ", ".join(kind for kind, one, two in rows if (one.score, one.status) != (two.score, two.status))
    findings.append(Finding("is deterministic", not differing, f"differs on {differing}" if differing else ""))
    findings.append(picklable(verifier))
    odd = verify_batch([("42", "", context)], spec, workers=1, timeout_seconds=timeout_seconds)[0]
    rewards = is_solved(odd) is True or (odd.score is not None and odd.score > 0)
    findings.append(Finding("does not reward an empty ground truth", not rewards, odd.detail))
    return findings


def judged(kind: str, verdict: Verdict) -> Finding:
    kept = verdict.status not in ("error", "timeout")
    return Finding(f"returns a verdict on {kind}", kept, f"{verdict.score}: {verdict.detail}"[:120])


def picklable(verifier: Verifier) -> Finding:
    try:
        pickle.dumps(verifier)
    except Exception as problem:  # pickling a class may raise anything
        return Finding("is picklable, or found by its name", True, f"by its name only: {problem}"[:120])
    return Finding("is picklable, or found by its name", True, "picklable")
