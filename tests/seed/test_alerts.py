"""The table of alerts: each fires just above its bound (precision: below), not at it, and can be configured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sentinel_core.flows.alerts import load_rules
from sentinel_core.monitoring.alert_share import Hour, share_ratio
from sentinel_core.monitoring.alerting import Reading, State, step
from sentinel_core.monitoring.default_rules import default_rules
from sentinel_core.monitoring.rules import Rule
from sentinel_core.settings import load_settings

START = datetime(2026, 3, 2, 14, tzinfo=UTC)
MINUTES = timedelta(minutes=5)
TABLE = (
    # rule, metric, bound, a figure that fires, severity
    ("fraud_rate", "fraud_rate", 0.50, 0.5001, "critical"),
    ("precision", "precision", 0.70, 0.6999, "high"),
    ("latency", "latency_p99_ms", 100.0, 100.1, "medium"),
    ("alert_share", "alert_share_ratio", 3.0, 3.001, "high"),
)


def fires(rule: Rule, value: float) -> bool:
    """Whether a rule fires where its figure stays at a value."""
    state, fired = State(), False
    for number in range(rule.fires_after):
        after = step(rule, state, Reading(value, START + number * MINUTES, 10_000), START + number * MINUTES)
        state, fired = after.state, after.change == "firing"
    return fired


def by_name(name: str, rules: tuple[Rule, ...]) -> Rule:
    return next(rule for rule in rules if rule.name == name)


@pytest.mark.parametrize(("name", "metric", "bound", "beyond", "severity"), TABLE)
def test_an_alert_fires_beyond_its_bound_and_not_at_it(
    name: str, metric: str, bound: float, beyond: float, severity: str
) -> None:
    rule = by_name(name, default_rules())
    assert (rule.metric.name, rule.threshold, rule.severity) == (metric, bound, severity)
    assert not fires(rule, bound)
    assert fires(rule, beyond)


def test_drift_that_is_detected_is_a_high_alert() -> None:
    rule = by_name("drift", default_rules())
    assert rule.severity == "high"
    # The figure is 1 where the newest verdict is drift, else 0.
    assert fires(rule, 1.0)
    assert not fires(rule, 0.0)


def test_the_share_of_alerts_is_compared_with_what_the_hour_usually_sees() -> None:
    # Two percent of the alerts at this hour of each day of four weeks.
    past = [Hour(START - timedelta(days=day), 5_000, 100) for day in range(1, 29)]
    usual, thrice, more = (share_ratio([Hour(START, 5_000, alerts)], past).ratio for alerts in (100, 300, 301))
    assert (usual, thrice) == (1.0, 3.0)
    rule = by_name("alert_share", default_rules())
    assert thrice is not None and not fires(rule, thrice)
    assert more is not None and fires(rule, more)


def test_a_file_replaces_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(
        """
        [[rules]]
        name = "fraud_rate"
        metric = "fraud_rate"
        comparison = ">"
        threshold = 0.1
        window = "1h"
        severity = "low"
        """
    )
    (rule,) = load_rules(load_settings(None, alert_rules=path))
    assert fires(rule, 0.11)
    assert not fires(rule, 0.1)
    assert rule.severity == "low"
