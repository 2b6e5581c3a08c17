"""The page on live performance says what is provisional, partial or estimated beside each figure."""

from __future__ import annotations

from typing import Any

from sentinel_core.reports.page import to_html
from sentinel_core.reports.performance import HEADER, cells, estimate_cells, performance_document
from tests.reports.pages import Page, outside

FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6}


def row(day: str, age: int = 60, version: str = "v1", **given: Any) -> dict[str, Any]:
    """Return a cohort as it is stored."""
    facts = {"model_version": version, "first_day": day, "cohort_day": day, "age_days": age, "known_at": day}
    figures = dict.fromkeys(("precision", "recall", "f1_score", "pr_auc", "roc_auc", "accuracy"), FIGURE)
    counts = {"rows": 1200, "alerts": 30, "frauds": 24, "hits": 20}
    rest = {"provisional": False, "errs": {}, "on_approved_traffic": False, "counts": counts}
    return {**facts, **figures, **rest, **given}


def estimate(day: str, **given: Any) -> dict[str, Any]:
    """Return an estimate."""
    figures = {"expected_precision": 0.7, "expected_recall": 0.6, "expected_f1": 0.65}
    return {"model_version": "v1", "day": day, **figures, "rows": 1000, "reason": "", "estimated": True, **given}


def test_the_page_has_every_age_with_a_picture_of_each_figure_and_the_estimates() -> None:
    cohorts = [row("2026-02-27", 7, precision=None), row("2026-02-28", 7, version="<b>v2"), row("2026-01-01")]
    estimates = [estimate("2026-03-01"), estimate("2026-03-02", expected_precision=None, reason="drift")]
    page = Page(to_html(performance_document({"newest": cohorts, "cohorts": cohorts, "estimates": estimates})))
    assert [page.said.find(f"{age} days later") > 0 for age in (60, 7)] == [True, True]
    assert len(page.of("img")) == 8
    assert outside(page) == []
    assert "<b>v2" in page.said
    assert "estimates dashed" in page.said


def test_a_page_without_any_figure_is_whole() -> None:
    page = Page(to_html(performance_document({"newest": [], "cohorts": [], "estimates": []})))
    assert page.of("img") == []
    assert "Estimates" in page.said


def test_a_row_says_what_must_be_known_beside_it() -> None:
    given = row(
        "2026-03-01",
        7,
        first_day="2026-02-20",
        provisional=True,
        errs={"recall": "high", "precision": "low"},
        on_approved_traffic=True,
        recall=None,
        f1_score={"value": 0.25, "low": None, "high": None},
    )
    found = dict(zip(HEADER, cells(given), strict=True))
    assert found["Day"] == "2026-02-20 – 2026-03-01"
    assert (found["Precision"], found["Recall"], found["F1"]) == ("0.500 [0.400, 0.600]", "–", "0.250")
    assert found["Rows"] == "1,200"
    assert found["Note"] == "provisional: precision errs low, recall errs high; on approved traffic"
    assert estimate_cells(estimate("2026-03-01"))[-1] == "estimated"
    assert estimate_cells(estimate("2026-03-01", expected_f1=None, reason="void"))[-3:] == ("–", "1,000", "void")
