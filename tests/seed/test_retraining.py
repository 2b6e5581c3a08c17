"""Retraining: each trigger just beyond its bound. A trigger asks; whether a training can learn anything new decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sentinel_core.monitoring.drop import LIMIT, Drop
from sentinel_core.monitoring.retraining import Bounds, Figures, decide
from sentinel_core.settings import load_settings

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)
AT_EVERY_BOUND = Figures(last_start=NOW - DAY, last_completed=NOW - DAY, transactions=10_000, frauds=500, labels=500)
"""Exactly 24 hours and 10,000 transactions after the last training; enough new frauds are known."""


def lower(metric: str) -> dict[str, Drop]:
    return {metric: Drop(metric, -0.2, -0.12, 400, True, "more than a tenth lower for certain")}


def test_the_bounds_are_the_defaults() -> None:
    settings = load_settings(None)
    assert (settings.retrain_after_hours, settings.retrain_after_transactions) == (24.0, 10_000)
    assert (settings.retrain_after_drop, LIMIT) == (0.10, -0.10)
    assert (Bounds().after_hours, Bounds().after_transactions) == (24.0, 10_000)


def test_at_the_bounds_nothing_asks() -> None:
    assert decide(AT_EVERY_BOUND, Bounds(), now=NOW).decision == "not_needed"


@pytest.mark.parametrize(
    ("figures", "trigger"),
    [
        (replace(AT_EVERY_BOUND, last_completed=NOW - DAY - SECOND), "hours"),
        (replace(AT_EVERY_BOUND, transactions=10_001), "transactions"),
        (replace(AT_EVERY_BOUND, drops=lower("precision")), "precision drop"),
        (replace(AT_EVERY_BOUND, drops=lower("recall")), "recall drop"),
    ],
)
def test_beyond_a_bound_a_training_starts(figures: Figures, trigger: str) -> None:
    found = decide(figures, Bounds(), now=NOW)
    assert found.decision == "train"
    assert [one.name for one in found.triggers if one.holds] == [trigger]


def test_force_retrain_starts_one_by_hand() -> None:
    assert decide(AT_EVERY_BOUND, Bounds(), now=NOW, forced=True).decision == "train"


def test_a_trigger_asks_and_whether_it_can_learn_decides() -> None:
    asking = replace(AT_EVERY_BOUND, transactions=2_000_000, frauds=0, labels=0)
    found = decide(asking, Bounds(), now=NOW)
    assert found.decision == "deferred"
    assert "2,000,000 new transactions" in found.reason
    assert "nothing new can be learned yet: 0 newly matured frauds" in found.reason
    assert decide(asking, Bounds(), now=NOW, forced=True).decision == "train"
