"""A report is whole, safe and readable in both of its forms, whatever the users' data is called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel_core.reports.document import Document, Facts, Picture, Section, Table, Text
from sentinel_core.reports.markdown import to_markdown
from sentinel_core.reports.page import to_html
from tests.reports.pages import Page, outside

HOSTILE = "</td><script>alert('1')</script> \"|` [x](javascript:y) <b>\n# *all*"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'></svg>"
TABLE = Table(
    "Kinds", ("Kind", "Rows", "PR-AUC", "Note"), (("a", "1,000", "too few frauds", "x"), ("b", "2", "0.5", "7"))
)


def document(text: str = "plain") -> Document:
    """Return a document with one block of each kind, `text` everywhere."""
    table = Table(text, (text, text), ((text, text), (text, "failed")))
    blocks = (Text(text), Facts(((text, text),)), table, replace(table, folded=True), Picture(lambda: SVG, text, text))
    return Document(text, text, (Section("First: of all", blocks), Section(text, (TABLE,))))


@pytest.mark.parametrize("text", ["plain", HOSTILE, "", "naïve 美 €"])
def test_the_page_is_well_formed_and_says_what_it_was_given(text: str) -> None:
    page = Page(to_html(document(text)))
    assert page.said.count(" ".join(text.split())) >= 10
    assert page.of("script") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_page_needs_nothing_else() -> None:
    page = Page(to_html(document(HOSTILE)))
    assert outside(page) == []
    assert page.of("link") == []
    (policy,) = [meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_read_without_seeing_it() -> None:
    page = Page(to_html(document()))
    assert len(page.of("h1")) == 1
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("caption")) == len(page.of("table")) == 3
    assert all(image["alt"] for image in page.of("img"))
    assert {cell["scope"] for cell in page.of("th")} == {"col", "row"}
    anchors = {a["href"] for a in page.of("a")}
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert anchors == {f"#{name}" for name in ids}
    assert len(ids) == len(set(ids)) == 2


def test_figures_are_aligned_and_words_are_not() -> None:
    assert TABLE.numeric == (False, True, True, False)
    assert Table("empty", ("a", "b"), ()).numeric == (False, False)
    interval = Table("t", ("n", "f"), (("x", "−0.0100 [-0.0200, 0.0100]"), ("y", "–")))
    assert interval.numeric == (False, True)


@pytest.mark.parametrize("text", ["plain", HOSTILE])
def test_markdown_keeps_its_tables_whatever_a_cell_holds(text: str) -> None:
    lines = to_markdown(document(text)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    unescaped = [row.replace("\\\\", "").replace("\\|", "").count("|") for row in rows]
    assert unescaped == [3] * 8 + [5] * 4
    assert next(line for line in lines if line.startswith("#")).startswith("# ")
    assert len([line for line in lines if line.startswith("#")]) == 3
    assert "<script>" not in "\n".join(lines).replace("\\<script\\>", "")


def test_markdown_is_a_table_to_a_reader_of_markdown() -> None:
    text = to_markdown(Document("T_1", "lead", (Section("S", (TABLE,)),)))
    assert text.startswith("# T_1\n\nlead\n\n## S\n\nKinds:\n\n| Kind | Rows | PR-AUC | Note |\n|---|--:|--:|---|\n")
    assert "| a | 1,000 | too few frauds | x |" in text
