"""The document around a page."""

import pytest

from rlvr.report.markup import document, figures, table


def test_a_document_is_whole_without_scripts_or_outside_resources() -> None:
    page = document("<a> & b", ["<h1>x</h1>", "", "<p>y</p>"])
    assert page.startswith("<!doctype html><html lang=en>")
    assert page.endswith("<h1>x</h1>\n<p>y</p>\n</main></body></html>\n")
    assert "<title>&lt;a&gt; &amp; b</title>" in page
    assert "prefers-color-scheme" in page
    assert not any(word in page for word in ("<script", "<link", "http", "@import", "url("))


def test_each_figure_stands_under_its_own_title() -> None:
    shown = figures(["<svg>1</svg>", "<svg>2</svg>"], [("first <1>", "note one"), ("second", "note & two")])
    assert shown.count("<figure>") == 2
    first, second = shown.split("</figure>")[:2]
    assert "<h3>first &lt;1&gt;</h3><span class=note>note one</span></figcaption><svg>1</svg>" in first
    assert "<h3>second</h3><span class=note>note &amp; two</span></figcaption><svg>2</svg>" in second


def test_a_figure_without_a_title_is_an_error_of_the_page() -> None:
    with pytest.raises(ValueError, match="shorter"):
        figures(["<svg>1</svg>", "<svg>2</svg>"], [("first", "note")])


def test_a_tables_caption_stands_above_what_scrolls_and_names_it() -> None:
    caption = "Who's <best> " + "x" * 100
    shown = table("<tr><td>1</td></tr>", caption, kind="matrix")
    head, scrolled = shown.split("<div class=scroll")
    assert head.startswith("<p class=note>Who&#x27;s &lt;best&gt; xx")
    assert "<table class=matrix><tr><td>1</td></tr></table></div>" in scrolled
    assert "aria-label='Who&#x27;s &lt;best&gt; x" in scrolled
    assert "<table>" in table("", "caption")
