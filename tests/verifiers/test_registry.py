"""From what a configuration says to a verifier: names, settings, compositions, and what is wrong with them."""

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from verifiers import AllOf, Gate, LengthPenalty, MathVerifier, WeightedSum, get_verifier, verify_batch
from verifiers.simple import FormatVerifier, NumericVerifier

HERE = "tests.verifiers.plugins"
GOOD = "<think>6 * 7</think><answer>42</answer>"
WRONG = "<think>6 * 7</think><answer>41</answer>"
LOOSE = "The answer is 42."
TAGGED = "<plan>6 * 7</plan><answer>42</answer>"


def described(text: str) -> Any:
    """The verifier that a line of YAML describes."""
    return get_verifier(yaml.safe_load(text), "verify.verifier")


@pytest.mark.parametrize(
    ("text", "verifier"),
    [
        ("math", MathVerifier()),
        ("{name: math, mode: lenient, ordered_lists: true}", MathVerifier("lenient", True)),
        ("{name: format, tags: [plan, answer]}", FormatVerifier(("plan", "answer"))),
        ("{name: numeric, relative: 0.1, absolute: 1}", NumericVerifier(absolute=1, relative=0.1)),
        (
            "{weighted_sum: {math: 1.0, format: 0.2}}",
            WeightedSum({"math": 1.0, "format": 0.2}, {"math": MathVerifier(), "format": FormatVerifier()}),
        ),
        (
            "{weighted_sum: {math: 1, layout: {weight: 0.2, verifier: {name: format, tags: [plan]}}}}",
            WeightedSum({"math": 1.0, "layout": 0.2}, {"math": MathVerifier(), "layout": FormatVerifier(("plan",))}),
        ),
        ("{all_of: [math, format]}", AllOf({"math": MathVerifier(), "format": FormatVerifier()})),
        (
            "{all_of: {answer: math, layout: {name: format, prefilled: true}}}",
            AllOf({"answer": MathVerifier(), "layout": FormatVerifier(prefilled=True)}),
        ),
        ("{gate: {first: format, then: math}}", Gate(FormatVerifier(), MathVerifier())),
        (
            "{length_penalty: {verifier: math, free_chars: 10, max_chars: 20, penalty: 1}}",
            LengthPenalty(MathVerifier(), 10, 20, 1),
        ),
        (
            "{gate: {first: format, then: {length_penalty: {verifier: {all_of: [math]}, max_chars: 8000}}}}",
            Gate(FormatVerifier(), LengthPenalty(AllOf({"math": MathVerifier()}), max_chars=8000)),
        ),
    ],
)
def test_what_a_configuration_describes_is_what_python_makes(text: str, verifier: object) -> None:
    assert described(text) == verifier
    assert pickle.loads(pickle.dumps(described(text))) == verifier


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("{weighted_mean: {math: 3.0, format: 1}}", [1.0, 0.25, 0.75, 0.75]),
        ("{weighted_sum: {math: 3.0, format: 1}}", [4.0, 1.0, 3.0, 3.0]),
        ("{weighted_sum: {math: 1, format: -0.5}}", [0.5, -0.5, 1.0, 1.0]),
        (
            "{weighted_sum: {loose: {weight: 2, verifier: {name: math, mode: lenient}}, strict: {weight: -1, "
            "verifier: {name: math, mode: marked}}}}",
            [1.0, 0.0, 1.0, 1.0],
        ),
        (
            "{weighted_mean: {math: 1, layout: {weight: 1, verifier: {name: format, tags: [plan, answer]}}}}",
            [0.5, 0.0, 0.5, 1.0],
        ),
        ("{all_of: [math, format]}", [1.0, 0.0, 0.0, 0.0]),
        ("{gate: {first: format, then: math}}", [1.0, 0.0, 0.0, 0.0]),
        ("{length_penalty: {verifier: math, free_chars: 17, max_chars: 39, penalty: 0.5}}", [0.5, 0.0, 1.0, 0.545454]),
    ],
)
def test_what_a_configuration_describes_gives_the_scores_that_it_says(text: str, scores: list[float]) -> None:
    verdicts = verify_batch([(completion, "42") for completion in (GOOD, WRONG, LOOSE, TAGGED)], yaml.safe_load(text))
    assert [verdict.score for verdict in verdicts] == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("name", ["longer_than", "longer_than_async", "not_picklable"])
def test_a_functions_settings_are_its_keyword_arguments_in_workers_too(name: str) -> None:
    pairs = [(text, "", {"prompt": "?"}) for text in ("abcd", "abcdef")]
    spec = {"name": f"{HERE}:{name}", "characters": 5}
    for verifier in (spec, get_verifier(spec)):
        assert [verdict.score for verdict in verify_batch(pairs, verifier)] == [0.0, 1.0]
    assert [verdict.score for verdict in verify_batch(pairs, f"{HERE}:{name}")] == [1.0, 1.0]
    nested = {"weighted_sum": {"format": 1, "long": {"weight": 1, "verifier": spec}}}
    assert [verdict.score for verdict in verify_batch(pairs, nested)] == [0.0, 1.0]


def test_a_batch_functions_settings_are_its_keyword_arguments() -> None:
    pairs = [("a", "a"), ("b", "c"), ("d", "d")]
    spec = {"name": f"{HERE}:scaled_many", "factor": 0.5}
    for verifier in (spec, get_verifier(spec)):
        assert [verdict.score for verdict in verify_batch(pairs, verifier)] == [0.5, 0.0, 0.5]


def test_a_class_of_ones_own_is_made_with_its_settings(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("no\nyes\nmaybe\n")
    spec = {"name": f"{HERE}:Opens", "path": str(tmp_path / "words"), "lines": [1, 2], "rate": 1}
    assert [verdict.score for verdict in verify_batch([("yes", ""), ("no", "")], spec)] == [1.0, 0.0]
    anything = {"name": f"{HERE}:TakesAnything", "a": 1, "b": [2]}
    assert [verdict.score for verdict in verify_batch([("a", ""), ("c", "")], anything)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("maths", "verify.verifier: no verifier is called 'maths': did you mean 'math'?"),
        ("weighted_sum", "'weighted_sum' is made of other verifiers: write {weighted_sum: ...} with its parts"),
        ("3", "verify.verifier: got 3, expected a verifier's name, or 'name' with settings, or one composition: weig"),
        ("{}", "verify.verifier: got {}, expected a verifier's name"),
        ("{name: 3}", "verify.verifier.name: got 3, expected a verifier's name"),
        ("{name: mth, mode: x}", "verify.verifier: no verifier is called 'mth': did you mean 'math'?"),
        ("{name: math, mod: x}", "verify.verifier: the verifier 'math' has no setting 'mod': did you mean 'mode'?"),
        ("{name: exact, zzz: 1}", "verify.verifier: the verifier 'exact' has no setting 'zzz': it has: ignore_case"),
        ("{name: math, mode: 3}", "verify.verifier.mode: got 3, expected one of marked, standard, lenient"),
        ("{name: math, mode: lenint}", "verify.verifier.mode: got 'lenint', expected one of marked, standard, lenient"),
        ("{name: exact, ignore_case: 1}", "verify.verifier.ignore_case: got 1, expected true or false"),
        ("{name: code, memory_mb: 0.5}", "verify.verifier.memory_mb: got 0.5, expected a whole number"),
        ("{name: code, memory_mb: true}", "verify.verifier.memory_mb: got True, expected a whole number"),
        ("{name: code, memory_mb: -1}", "verify.verifier: expected timeout_seconds > 0 and memory_mb > 0: got 5.0"),
        ("{name: numeric, relative: .nan}", "verify.verifier.relative: got nan, expected a finite number"),
        ("{name: numeric, relative: -1}", "verify.verifier: expected absolute >= 0 and relative >= 0"),
        ("{name: choice, letters: abc}", "verify.verifier: expected capital letters, such as letters: ABCD: got 'abc'"),
        ("{name: format, tags: think}", "verify.verifier.tags: got 'think', expected a list with text in each entry"),
        ("{name: format, tags: []}", "verify.verifier: expected different names of tags"),
        ("{math: 1.0, format: 0.2}", "verify.verifier: got the keys math, format, expected 'name' with settings"),
        ("{weigted_sum: {math: 1}}", "no composition is called 'weigted_sum': did you mean 'weighted_sum'?"),
        ("{math: {mode: lenient}}", "no composition is called 'math': expected 'name' with settings, or one compositi"),
        ("{weighted_sum: [math]}", "verify.verifier.weighted_sum: got ['math'], expected something like {math: 1.0, f"),
        ("{weighted_sum: {mth: 1}}", "verify.verifier.weighted_sum.mth: no verifier is called 'mth': did you mean"),
        ("{weighted_sum: {math: 0}}", "verify.verifier.weighted_sum: every weight is 0, so every score would be"),
        ("{weighted_sum: {math: x}}", "weighted_sum.math: got the weight 'x', expected a finite number"),
        ("{weighted_sum: {math: .inf}}", "weighted_sum.math: got the weight inf, expected a finite number"),
        ("{weighted_mean: {math: 0}}", "weighted_mean.math: got the weight 0, expected a number above 0 (weighted_sum"),
        ("{weighted_sum: {it: {weight: 1, verifier: math, solves: 1}}}", "it.solves: got 1, expected true or false"),
        ("{weighted_sum: {math: {mode: lenient}}}", "weighted_sum.math: got mode, expected a weight, or {weight: ..."),
        (
            "{weighted_sum: {layout: {weight: 1, verifier: {name: format, tag: [a]}}}}",
            "verify.verifier.weighted_sum.layout.verifier: the verifier 'format' has no setting 'tag': did you mean",
        ),
        ("{all_of: [math, formt]}", "verify.verifier.all_of.formt: no verifier is called 'formt': did you mean"),
        ("{all_of: [math, math]}", "verify.verifier.all_of: got ['math', 'math'], expected different verifiers' names"),
        ("{all_of: [{name: math}]}", "give a part with settings a name of its own: {layout: {name: format, ...}}"),
        ("{all_of: math}", "verify.verifier.all_of: got 'math', expected something like [math, format]"),
        ("{all_of: []}", "verify.verifier.all_of: got [], expected different verifiers' names"),
        ("{gate: {frist: math}}", "gate: this composition has no setting 'frist': did you mean 'first'"),
        ("{gate: {first: mth}}", "verify.verifier.gate.first: no verifier is called 'mth'"),
        ("{length_penalty: {max_chars: 1.5}}", "length_penalty.max_chars: got 1.5, expected a whole number"),
        ("{length_penalty: {max_chars: 10}}", "verify.verifier.length_penalty: expected 0 <= free_chars < max_chars"),
        (f"{{name: '{HERE}:longer_than', characters: many}}", "verify.verifier.characters: got 'many', expected a"),
        (f"{{name: '{HERE}:longer_than', charcters: 1}}", "has no setting 'charcters': did you mean 'characters'?"),
        (f"{{name: '{HERE}:longer_than', answer: a}}", "has no setting 'answer': it has: characters, unit"),
        (f"{{name: '{HERE}:same_length', prompt: a}}", "has no setting 'prompt': it has none"),
        (f"{{name: '{HERE}:scaled_many', factr: 1}}", "has no setting 'factr': did you mean 'factor'?"),
        (f"{{name: '{HERE}:already_made', a: 1}}", "is a TakesAnything, already made, and takes no settings: got a"),
        (f"{{name: '{HERE}:Opens', path: nowhere}}", "cannot be made of its class: FileNotFoundError: "),
        (f"{{name: '{HERE}:Opens', path: x, lines: [a]}}", "lines: got ['a'], expected a list with a whole number in"),
        (f"{{name: '{HERE}:Opens', path: x, rate: a}}", "rate: got 'a', expected a finite number or null"),
        (f"{HERE}:Opens", "verify.verifier: the verifier 'tests.verifiers.plugins:Opens' cannot be made of its class"),
        (f"{HERE}:__name__", "verify.verifier: 'tests.verifiers.plugins:__name__' is a str, not a verifier"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_key_and_the_way_out(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        described(text)


def test_the_recipes_of_the_documentation_are_read() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", Path("docs/verifiers.md").read_text(), re.MULTILINE | re.DOTALL)
    specs = [recipe["verify"]["verifier"] for block in blocks for recipe in yaml.safe_load_all(block)]
    assert len(specs) == 10
    scores = [get_verifier(spec)(GOOD, "42").score for spec in specs]
    assert scores == [1.0, 1.0, 1.2, 1.0, 1.0, 1.2, 1.0, 0.0, 1.0, 1.0]  # 0 where other tags are asked for


def test_without_a_key_an_error_begins_with_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"^no verifier is called 'mth'"):
        get_verifier("mth")
    with pytest.raises(ValueError, match=r"^gate\.first: no verifier is called 'mth'"):
        get_verifier({"gate": {"first": "mth"}})


def test_an_entry_point_takes_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    point = metadata.EntryPoint("long", f"{HERE}:longer_than", "rlvr.verifiers")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    assert get_verifier({"name": "long", "characters": 5})("abcdef", "").score == 1.0
    with pytest.raises(ValueError, match="no verifier is called 'lnog': did you mean 'long'"):
        get_verifier("lnog")
