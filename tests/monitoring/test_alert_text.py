"""The message about an alert holds what somebody who is woken by it needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sentinel_core.monitoring.alert_text import shown, summarise

FIRING: dict[str, Any] = {
    "id": 17,
    "rule": "alert_share",
    "severity": "high",
    "state": "firing",
    "metric": "alert_share_ratio",
    "value": 4.2,
    "threshold": 3.0,
    "actor": "alert_check",
    "reason": "alert_share_ratio is 4.2 times",
    "created_at": datetime(2026, 3, 1, 12, 5, tzinfo=UTC),
    "details": {
        "description": "Alerts against the baseline of the hour",
        "unit": "times",
        "comparison": ">",
        "window": "1h",
        "count": 12_345,
        "counted": "predictions",
        "since": "2026-03-01T12:00:00+00:00",
        "what_to_do": "Look at the flagged transactions.",
    },
}


def test_it_says_metric_value_threshold_since_when_and_what_to_do() -> None:
    message = summarise(FIRING)
    assert message.title == "[high] alert_share is firing"
    assert message.tone == "failure"
    assert message.body.splitlines() == [
        "Alerts against the baseline of the hour (alert_share_ratio): 4.2 times (12,345 predictions)",
        "Threshold: > 3 times, window 1h",
        "Since: 2026-03-01 12:00 UTC",
        "What to do: Look at the flagged transactions.",
        'Acknowledge: sentinel alerts acknowledge 17 --reason "…"',
        "Alert 17.",
    ]


def test_the_end_says_how_long_it_lasted() -> None:
    ended = {
        **FIRING,
        "id": 18,
        "state": "resolved",
        "value": 1.1,
        "created_at": datetime(2026, 3, 2, 13, 30, tzinfo=UTC),
        "details": {**FIRING["details"], "alert_id": 17},
    }
    message = summarise(ended)
    assert (message.title, message.tone) == ("Resolved: alert_share", "success")
    assert message.body.splitlines() == [
        "Alerts against the baseline of the hour (alert_share_ratio): 1.1 times (12,345 predictions)",
        "Threshold: > 3 times, window 1h",
        "From 2026-03-01 12:00 UTC to 2026-03-02 13:30 UTC, 1 d 1 h 30 min",
        "Alert 17.",
    ]


def test_a_rule_that_is_gone_says_so() -> None:
    gone = {
        **FIRING,
        "state": "resolved",
        "value": None,
        "reason": "the rule is no longer configured",
        "details": {**FIRING["details"], "count": None, "alert_id": 17},
    }
    assert "the rule is no longer configured" in summarise(gone).body.splitlines()


def test_what_others_recorded_is_told_by_its_reason() -> None:
    given = {
        **FIRING,
        "severity": "medium",
        "reason": "champion and challenger miss the floors",
        "actor": "fraud_training",
        "value": None,
        "threshold": None,
        "details": {"champion": "v1"},
    }
    message = summarise(given)
    assert message.tone == "warning"
    assert message.body.splitlines()[:3] == [
        "champion and challenger miss the floors",
        "Since: 2026-03-01 12:05 UTC",
        "What to do: look at what recorded it: fraud_training",
    ]


def test_figures_are_written_in_their_units() -> None:
    assert [shown(0.5, "share"), shown(1234.0, "count"), shown(0.0, "verdict"), shown(0.123456, "score")] == [
        *("50%", "1,234", "no drift", "0.1235"),
    ]
