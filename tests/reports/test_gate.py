"""A verdict is shown with its figures; one of another release is shown as far as it is understood."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel_core.reports.document import Facts, Table, Text
from sentinel_core.reports.gate import gate_section, outcome

CHECK = {"name": "roc_auc", "value": 0.97, "low": 0.96, "high": 0.98, "bound": 0.9, "passed": True}
VERDICT: dict[str, Any] = {
    "profile": "synthetic",
    "outcome": "reject",
    "reason": "not enough: f1",
    "champion": "v20260101_000000",
    "attempt": 2,
    "superior": ["pr_auc", "cost_saved"],
    "alert": None,
    "holdout": {"rows": 20_000, "frauds": 400},
    "checks": [
        CHECK,
        {**CHECK, "name": "f1", "passed": False, "rule": "low > bound", "note": "p 0.01"},
        {**CHECK, "name": "new users", "value": None, "low": None, "high": None, "passed": None},
    ],
}


def blocks(verdict: dict[str, Any], kind: type) -> list[Any]:
    """Return the blocks of a kind in a verdict's section."""
    return [block for block in gate_section(verdict).blocks if isinstance(block, kind)]


def test_the_decision_its_reason_and_every_check_are_shown() -> None:
    (facts,) = blocks(VERDICT, Facts)
    assert dict(facts.facts) == {
        "Decision": "reject",
        "Reason": "not enough: f1",
        "Profile of the floors": "synthetic",
        "Compared with": "v20260101_000000",
        "Attempt on this hold-out": "2",
        "Superior in": "pr_auc and cost_saved",
        "Hold-out": "20,000 rows, 400 frauds",
    }
    (table,) = blocks(VERDICT, Table)
    assert table.rows == (
        ("roc_auc", "0.9700", "0.9600", "0.9800", "value > 0.9000", "passed", "–"),
        ("f1", "0.9700", "0.9600", "0.9800", "low > 0.9000", "failed", "p 0.01"),
    )
    assert blocks(VERDICT, Text) == [Text("Not judged, with too few frauds: new users.")]


@pytest.mark.parametrize(
    "verdict",
    [
        {},
        {"passed": True, "surprise": {"a": [1]}, "checks": None},
        {"outcome": "hold", "checks": [], "holdout": "none"},
        {"outcome": "hold", "checks": [{"passed": False}, {"name": "x", "passed": True, "value": True, "more": 1}, 3]},
    ],
)
def test_what_a_verdict_lacks_or_has_besides_stops_no_report(verdict: dict[str, Any]) -> None:
    assert gate_section(verdict).title == "Gate"
    assert outcome(verdict) in {"promote", "hold", "reject"}
