"""Rules of a file: the example and the defaults load, and what is wrong is named with what is known in its place."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from sentinel_core.errors import SettingsError
from sentinel_core.local.paths import project_root
from sentinel_core.monitoring.alert_metrics import METRICS
from sentinel_core.monitoring.default_rules import default_rules
from sentinel_core.monitoring.rules import WINDOWS, Rule, read_rules

GIVEN: dict[str, Any] = {
    "name": "slow",
    "metric": "latency_p99_ms",
    "comparison": ">",
    "threshold": 100,
    "window": "1h",
    "severity": "medium",
}


def rule(**fields: Any) -> Rule:
    (made,) = read_rules({"rules": [GIVEN | fields]}, "rules.toml")
    return made


def test_the_five_of_the_mission_hold_without_a_file() -> None:
    rules = {one.name: one for one in default_rules()}
    told = {
        name: (one.metric.name, one.comparison, one.threshold, one.severity, one.window) for name, one in rules.items()
    }
    assert told == {
        "fraud_rate": ("fraud_rate", ">", 0.5, "critical", "1h"),
        "precision": ("precision", "<", 0.7, "high", "7d"),
        "latency": ("latency_p99_ms", ">", 100.0, "medium", "1h"),
        "drift": ("drift", ">=", 1.0, "high", "3h"),
        "alert_share": ("alert_share_ratio", ">", 3.0, "high", "1h"),
    }
    # None of them fires on a handful: a verdict on drift has its own minimum.
    assert all(one.at_least >= 100 for name, one in rules.items() if name != "drift")


def test_the_example_loads_and_begins_with_the_defaults() -> None:
    path = project_root() / "examples" / "alerts.toml"
    rules = read_rules(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    assert rules[:5] == default_rules()
    assert len(rules) == 10
    assert rules[5].at_least == 500
    assert "on-call" in rules[5].what_to_do


def test_what_is_not_given_comes_from_the_metric() -> None:
    made = rule()
    assert (made.at_least, made.fires_after, made.resolves_after, made.resolves_at) == (100, 2, 3, 100.0)
    assert made.what_to_do == METRICS["latency_p99_ms"].what_to_do
    assert rule(at_least=0, resolves_at=80) == replace(made, at_least=0, resolves_at=80.0)


@pytest.mark.parametrize("comparison", [">", ">=", "<", "<="])
def test_a_value_is_never_breached_and_clear_at_once(comparison: str) -> None:
    made = rule(comparison=comparison, threshold=10, resolves_at=8 if ">" in comparison else 12)
    between = {value for value in range(20) if not made.breached(value) and not made.cleared(value)}
    assert between >= ({9} if ">" in comparison else {11})
    assert not [value for value in range(20) if made.breached(value) and made.cleared(value)]
    assert made.breached(10) == ("=" in comparison)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric": "latency_p999"}, r"expected a known metric in rules.toml, rule 'slow': fraud_rate .*dead_letters"),
        ({"metric": "latency_p999_ms"}, r"got 'latency_p999_ms'\. Did you mean 'latency_p99_ms'\?"),
        ({"comparison": "=>"}, r"expected a known comparison .*: > >= < <=; got '=>'"),
        ({"severity": "hihg"}, r"severity .*: critical high medium low; got 'hihg'\. Did you mean 'high'\?"),
        ({"window": "5m"}, r"expected a known window .*: 1h 3h 6h 12h 24h 7d 14d 30d 90d; got '5m'"),
        ({"window": 60}, r"got 60"),
        ({"treshold": 1}, r"the fields: .*; got 'treshold'\. Did you mean 'threshold'\?"),
        ({"threshold": "100"}, r"expected threshold in .* to be a number, got '100'"),
        ({"threshold": float("nan")}, r"to be a number, got nan"),
        ({"resolves_at": 120}, r"on the good side of the threshold in .* \(> 100\), got 120"),
        ({"fires_after": 0}, r"fires_after in .* a whole number of at least 1, got 0"),
        ({"resolves_after": 1.5}, r"resolves_after .* got 1.5"),
        ({"at_least": True}, r"at_least .* got True"),
        ({"name": "slow answers"}, r"a name of 1 to 64 letters"),
        ({"what_to_do": 7}, r"what_to_do .* to be text"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        rule(**fields)


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_what_is_missing_is_named(missing: str) -> None:
    given = {key: value for key, value in GIVEN.items() if key != missing}
    with pytest.raises(SettingsError, match=rf"expected {missing} in rules\.toml, rule"):
        read_rules({"rules": [given]}, "rules.toml")


def test_a_file_is_a_list_of_rules_each_once() -> None:
    assert read_rules({}, "rules.toml") == ()
    with pytest.raises(SettingsError, match=r"expected each rule in rules\.toml once, got 'slow' twice"):
        read_rules({"rules": [GIVEN, GIVEN]}, "rules.toml")
    with pytest.raises(SettingsError, match=r"the tables: rules; got 'rule'\. Did you mean 'rules'\?"):
        read_rules({"rule": [GIVEN]}, "rules.toml")
    with pytest.raises(SettingsError, match=r"expected \[\[rules\]\] in rules\.toml"):
        read_rules({"rules": GIVEN}, "rules.toml")


def test_every_metric_says_what_it_is_and_what_to_do() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.description and metric.what_to_do.endswith(".")
        assert bool(metric.counted) == bool(metric.at_least)
        # A share or a percentile of a handful says nothing.
        assert metric.at_least or metric.unit in ("count", "verdict")
    assert min(WINDOWS.values()).total_seconds() == 3600
