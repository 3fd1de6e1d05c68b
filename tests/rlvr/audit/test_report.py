"""An audit in words and as a page, of findings made by hand."""

import re

import pytest

from rlvr.audit.audit import Audit, Item, Trial, audit
from rlvr.audit.report import as_html, as_text, in_words, shortened, table
from verifiers import Verdict

ITEM = Item(3, "What is <6> * 7?", "42", None)
ROWS = [Item(0, "6 * 7?", "42", None), Item(1, "6 *  7?", "43", None), Item(2, "?", "", None)]


def trial(completion: str, score: float | None, detail: str = "", should_pass: bool = True) -> Trial:
    verdict = Verdict(score, "correct" if score else "wrong" if score is not None else "error", detail=detail)
    return Trial(ITEM, "a decimal", completion, should_pass, verdict)


@pytest.fixture(scope="module")
def generous() -> Audit:
    return audit(ROWS, "tests.rlvr.audit.test_audit:generous", against="math", source="<rows>")


@pytest.fixture(scope="module")
def text(generous: Audit) -> str:
    return as_text(generous)


def test_the_first_line_says_what_was_audited_with_what(text: str) -> None:
    assert re.match(r"<rows>: 3 rows, verifier 'tests.rlvr.audit.test_audit:generous', \d+ checks in \d+\.\d s\n", text)


def test_rows_that_are_to_blame_themselves_are_named(text: str) -> None:
    assert "ground truths that can only be matched as text: 1\n    row 2: '': it is empty\n" in text
    assert "contradict each other: 1\n    rows 0 and 1: '42' and '43' for '6 *  7?'\n" in text


def test_each_question_of_the_audit_has_its_rate_with_an_interval(generous: Audit, text: str) -> None:
    for section in generous.sections:
        assert f"{section.title}: {section.mistake}s {section.rate}" in text
    assert any(section.mistakes for section in generous.sections)  # it rewards hedges


def test_a_second_verifier_is_compared_and_the_conclusion_comes_last(generous: Audit, text: str) -> None:
    assert f"'tests.rlvr.audit.test_audit:generous' and 'math' disagree on {len(generous.disagreements)} checks" in text
    assert len(generous.disagreements) > 0
    assert text.splitlines()[-1] == generous.conclusion


def test_a_trial_in_words_is_what_was_put_to_the_verifier_and_what_came() -> None:
    assert in_words(trial("42.0", 0.0, "not equal")) == ("row 3, a decimal: '42.0' against '42' scored 0.0 (not equal)")


def test_of_a_long_completion_the_end_is_shown() -> None:
    assert shortened("x" * 120) == "x" * 120
    assert shortened("a" * 200 + "the end", limit=10) == "... aaathe end"


def test_the_page_holds_what_the_words_do_and_is_escaped(generous: Audit) -> None:
    page = as_html(generous)
    assert page.startswith("<!doctype html>")
    assert "<title>Reward audit: &lt;rows&gt;</title>" in page
    assert "<rows>" not in page
    assert "<span class=bad>" in page
    for section in generous.sections:
        assert f"<td>{section.rate.count} of {section.rate.total}<td>" in page.replace(" class=bad>", ">").replace(
            " class=good>", ">"
        )
    assert f"Disagreements with <code>math</code>: {len(generous.disagreements)}" in page


def test_a_verifier_that_failed_is_said_to_have_failed_and_not_to_be_wrong() -> None:
    found = audit(ROWS[:1], "tests.rlvr.scripts:always_fails")
    text, page = as_text(found), as_html(found)
    for section in found.sections:
        if section.trials:
            assert section.failures == len(section.trials)
            assert f"{section.title}: {section.mistake}s unknown, nothing was judged" in text
            assert f"the verifier failed on {section.failures}: " in page
    assert re.search(r"    the verifier failed on \d+; first: .*the judge is not at home\n", text)


def test_a_table_without_rows_says_none_and_cells_are_text() -> None:
    assert table(("a",), []) == "<p class=note>none</p>"
    assert table(("a", "b"), [("<i>", "&")]) == (
        "<table><tr><th>a<th>b<tr><td><code>&lt;i&gt;</code><td><code>&amp;</code></table>"
    )
