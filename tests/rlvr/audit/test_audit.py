"""An audit finds what is wrong with a verifier, and says how sure it is."""

import json
from pathlib import Path

import pytest

from rlvr.audit.audit import Rate, audit, load_items, why_unreadable
from rlvr.audit.mutations import equivalent_forms, hedges, near_misses
from rlvr.audit.report import as_html, as_text
from rlvr.errors import DataError
from verifiers import MathVerifier

ROWS = [
    {"question": "6 * 7?", "answer": "6 * 7 = 42\n#### 42"},
    {"question": "half?", "answer": "It is half.\n#### 0.5"},
]


def generous(completion: str, answer: str, **context: object) -> float:
    """Rewards whatever mentions the answer."""
    return float(answer in completion)


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return str(path)


def test_gsm8k_rows_are_split_into_solution_and_answer(dataset: str) -> None:
    items = load_items(dataset)
    assert [(item.answer, item.question) for item in items] == [("42", "6 * 7?"), ("0.5", "half?")]
    assert items[0].solution == ROWS[0]["answer"]


def test_a_column_that_is_not_there_is_named(dataset: str) -> None:
    with pytest.raises(DataError, match="no column 'gold': it has question, answer"):
        load_items(dataset, answer_column="gold")


def test_an_answer_that_is_null_counts_as_empty_and_an_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"answer": "1"}\n{"answer": null}\n')
    assert [item.answer for item in load_items(str(path))] == ["1", ""]
    path.write_text('{"answer": "1"}\n{"answer": {"a": 1}}\n')
    with pytest.raises(DataError, match="row 1: column 'answer' holds a dict; expected text"):
        load_items(str(path))
    path.write_text('{"answer": "1"}\n{"question": "q"}\n')
    with pytest.raises(DataError, match="row 1, has no column 'answer': it has question"):
        load_items(str(path))


def test_nested_columns_and_lists_of_accepted_answers_are_audited(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "q", "gold": {"value": ["1", "2"]}}\n{"question": "r", "gold": {"value": 0.50}}\n')
    items = load_items(str(path), answer_column="gold.value")
    assert [(item.answer, item.gold) for item in items] == [("1", ["1", "2"]), ("0.50", "0.50")]
    assert items[0].context["gold"] == {"value": ["1", "2"]}
    assert not audit(items, "math").failures


def test_a_question_with_two_answers_is_found_and_one_written_twice_is_none(tmp_path: Path) -> None:
    """Whatever is trained on it, half of its rewards are wrong; the verifier is not to blame."""
    rows = [("6 * 7?", "42"), ("half?", "0.5"), ("6 *  7?\n", "43"), ("half?", "1/2"), ("", "1"), ("", "2")]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"question": question, "answer": answer}) for question, answer in rows))
    found = audit(load_items(str(path)), "math")
    assert [(earlier.row, item.row) for earlier, item in found.contradictions] == [(0, 2)]
    assert found.passed
    said = "rows 0 and 2: '42' and '43' for '6 *  7?"
    assert said in as_text(found)
    assert "answers that contradict each other: 1" in as_html(found)


def test_the_math_verifier_passes(dataset: str) -> None:
    found = audit(load_items(dataset), "math")
    assert found.passed
    assert all(section.trials for section in found.sections)


def test_a_generous_verifier_is_caught(dataset: str) -> None:
    found = audit(load_items(dataset), "tests.rlvr.audit.test_audit:generous", against="math", timeout_seconds=20.0)
    rewarded = {section.title: section.rate.count for section in found.sections if section.mistake == "false reward"}
    assert rewarded["hedges and broken boxes"] == 16
    assert rewarded["empty completions"] == 0
    assert not found.passed
    assert any(one.trial.kind == "two boxes" for one in found.disagreements)
    assert "two boxes" in as_text(found)


def test_a_verifier_that_always_fails_is_said_to_have_judged_nothing(dataset: str) -> None:
    found = audit(load_items(dataset), "tests.rlvr.scripts:always_fails", timeout_seconds=20.0)
    assert not found.passed
    lines = as_text(found).splitlines()
    assert lines[-1] == (
        "the verifier 'tests.rlvr.scripts:always_fails' failed on every check and has judged nothing: fix it first"
    )
    assert "worked solutions: false refusals unknown, nothing was judged" in lines
    assert "failed on every check" in as_html(found)


def test_disagreements_alone_are_a_finding(dataset: str) -> None:
    found = audit(load_items(dataset), "math", against="tests.rlvr.audit.test_audit:generous", timeout_seconds=20.0)
    assert (found.mistakes, found.failures) == (0, 0)
    assert not found.passed
    count = len(found.disagreements)
    assert count > 0
    said = f"the verifier 'math' on this dataset: disagreements with 'tests.rlvr.audit.test_audit:generous': {count}"
    assert as_text(found).splitlines()[-1] == said


def test_a_verifier_is_told_what_training_would_tell_it(dataset: str) -> None:
    found = audit(load_items(dataset), "tests.rlvr.scripts:reads_the_context", timeout_seconds=20.0)
    details = {trial.verdict.detail for section in found.sections for trial in section.trials}
    assert details == {"row-0 asks 6 * 7?", "row-1 asks half?"}


def test_the_page_is_self_contained_and_escapes_what_it_shows(dataset: str) -> None:
    page = as_html(audit(load_items(dataset), "math", source="<b>data</b>"))
    assert "<b>data" not in page
    assert "&lt;b&gt;data" in page
    assert "http" not in page


def test_wilson_intervals() -> None:
    assert Rate(0, 10).interval == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert Rate(5, 10).interval == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_a_ground_truth_that_is_no_answer_is_listed() -> None:
    assert why_unreadable(r"\frac{1}{2}") == ""
    assert why_unreadable(r"\text{Evelyn}") == ""
    assert why_unreadable(r"\frac{1}{") != ""
    assert why_unreadable("") == "it is empty"


@pytest.mark.parametrize(
    "answer", ["42", "-0.25", r"\frac{7}{3}", r"2\sqrt{3}", "(1,2)", "[0,1)", "1,-2", "x^2+1", "25_7"]
)
def test_equivalent_forms_are_equal_and_near_misses_are_not(answer: str) -> None:
    verifier = MathVerifier()
    forms, misses = equivalent_forms(answer), near_misses(answer)
    assert len(forms) >= 3
    assert misses
    assert [form.text for form in forms if verifier(rf"\boxed{{{form.text}}}", answer).score != 1.0] == []
    assert [miss.text for miss in misses if verifier(rf"\boxed{{{miss.text}}}", answer).score != 0.0] == []
    assert [hedge.kind for hedge in hedges(answer) if verifier(hedge.text, answer).score != 0.0] == []
