"""The page of a simulation says what happened in words and pictures, also where little did."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel_core.reports import simulation
from sentinel_core.reports.page import to_html
from sentinel_core.reports.simulation import simulation_document
from tests.reports.pages import Page, outside

DAYS = ["2026-06-01", "2026-06-02", "2026-06-03"]


def outcome(**given: Any) -> dict[str, Any]:
    """Return an outcome as `describe` does, of three days."""
    series = {"with_loop": [0.9, 0.4, 0.85], "without_loop": [0.9, 0.4, 0.41]}
    after = {"before_labels_mature": 0.4, "from_3_days_after": None}
    facts = dict.fromkeys(
        ("transactions", "frauds", "declined", "explored", "windows", "false_alarms", "alerts", "retrainings"), 1234
    )
    event = {"at": "2026-06-02T10:00:00+00:00", "kind": "retraining", "what": "<b>v2", "promoted": True}
    return {
        **facts,
        "scenario": "new_fraud_pattern",
        "title": "vouchers",
        "days": 3,
        "rows_a_day": 4000,
        "seed": 0,
        "models": ["random_forest"],
        "promotions": 1,
        "changed_at": "2026-06-02T00:00:00+00:00",
        "drift": {"found_at": "2026-06-02T06:00:00+00:00", "hours": 6.0, "rejected": ["amount"]},
        "windows_by_verdict": {"drift": 2},
        "verdicts": [{"at": "2026-06-02T06:00:00+00:00", "verdict": "drift"}],
        "events": [event],
        "pr_auc": {
            "days": DAYS,
            **series,
            "of_the_new_pattern": {name: [None, *values[1:]] for name, values in series.items()},
            "former": 0.9,
            "recovered_from": 0.81,
            "first_mature_labels_at": "2026-06-03T00:00:00+00:00",
            "after_the_change": {
                "with_loop": {**after, "recovered_after_days": 0},
                "without_loop": {**after, "recovered_after_days": None},
            },
        },
        **given,
    }


def test_the_page_shows_both_systems_and_says_which_recovered() -> None:
    page = Page(to_html(simulation_document(outcome())))
    assert len(page.of("img")) == 3
    assert outside(page) == []
    assert "The system with the loop had recovered 0 days later" in page.said
    assert "The system without it did not recover" in page.said
    assert "<b>v2" in page.said
    assert "6 h" in page.said


def test_a_world_that_did_not_change_has_a_page_too() -> None:
    series = {"with_loop": [0.9, None, 0.9], "without_loop": [0.9, None, 0.9]}
    nothing = {"days": DAYS, **series, "of_the_new_pattern": {name: [None] * 3 for name in series}}
    quiet = outcome(
        changed_at=None, drift={"found_at": None, "hours": None, "rejected": []}, pr_auc=nothing, verdicts=[], events=[]
    )
    page = Page(to_html(simulation_document(quiet)))
    assert len(page.of("img")) == 2
    assert "Nothing changed that the answers could have recovered from." in page.said


def test_of_very_many_events_the_first_are_shown_and_their_number_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "MOST_EVENTS", 20)
    event = outcome()["events"][0]
    page = Page(to_html(simulation_document(outcome(events=[event] * 21))))
    assert "the first 20 of 21" in page.said
