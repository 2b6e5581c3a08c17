"""What may be simulated, and by which settings the simulated system runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sentinel_core.errors import DataError
from sentinel_core.flows.simulation.plan import BEGIN, SCENARIOS, Plan, operated
from sentinel_core.schema import to_micros
from sentinel_core.settings import load_settings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scenario": "suden"}, r"expected a scenario of none, gradual, .*got 'suden'\. Did you mean 'sudden'"),
        ({"days": 181}, r"expected 2 to 180 days, got 181\."),
        ({"days": 1}, r"expected 2 to 180 days, got 1\."),
        ({"rows_a_day": 10}, r"expected 500 to 1,000,000 rows a day, got 10\."),
        ({"days": 10, "change_day": 11}, r"expected 0 to 10 change day, got 11\."),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_the_range(given: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Plan(**{"scenario": "none", **given})  # type: ignore[arg-type]


def test_the_world_changes_after_a_third_of_the_days_and_in_the_scenario_none_never() -> None:
    assert Plan("none").changed_at is None
    assert Plan("none").ramp() is None
    assert Plan("sudden", days=30).changed_at == BEGIN + timedelta(days=10)
    ramp = Plan("sudden", days=30, change_day=0).ramp()
    assert ramp is not None
    assert (ramp.begin, ramp.full) == (to_micros(BEGIN), to_micros(BEGIN))
    slow = Plan("gradual").ramp()
    assert slow is not None
    assert slow.full - slow.begin == SCENARIOS["gradual"].days * 86_400_000_000


def test_the_simulated_system_sends_nothing_and_waits_for_labels_as_long_as_they_take(tmp_path: Path) -> None:
    ours = load_settings(None, home=tmp_path, notify_urls="jsons://user:secret@example/", retrain_min_frauds=7)
    assert ours.label_window == timedelta(days=60)  # cached there, and another one here
    found = operated(ours, Plan("none", explore_share=0.05))
    assert found.notify_urls is None
    assert found.label_window == timedelta(days=7)
    assert found.cohort_age_days == (7, 30, 60)
    assert (found.explore_share, found.retrain_min_frauds, found.home) == (0.05, 7, ours.home)
    assert found.threshold_policy == "lowest_cost"
    budget = load_settings(None, home=tmp_path, threshold_policy="alert_budget")
    assert operated(budget, Plan("none")).threshold_policy == "alert_budget"
