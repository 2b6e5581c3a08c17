"""What counts as a false alarm, as found and as recovered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sentinel_core.flows.simulation.outcome import describe
from sentinel_core.flows.simulation.plan import BEGIN, Plan
from sentinel_core.schema import to_micros

DAY = timedelta(days=1)
A_DAY = 40
DAYS = 20
CHANGE = 5


@dataclass
class World:
    """Rows every day of which one in four is fraud; the new pattern is what changes."""

    time: Any
    is_fraud: Any
    new: Any

    def between(self, start: datetime, end: datetime) -> Any:
        return np.flatnonzero((self.time > to_micros(start)) & (self.time <= to_micros(end)))


@pytest.fixture
def world() -> World:
    n = DAYS * A_DAY
    time = to_micros(BEGIN) + (np.arange(n) + 1) * (86_400_000_000 // A_DAY)
    fraud = np.arange(n) % 4 == 0
    return World(time, fraud, fraud & (np.arange(n) >= CHANGE * A_DAY))


def outcome(
    world: World,
    good: range | tuple[int, ...],
    *,
    scenario: str = "new_fraud_pattern",
    verdicts: Any = (),
    events: Any = (),
) -> dict[str, Any]:
    """Describe a system whose scores are perfect on the days of `good` and worthless on the others."""
    score = np.where(world.is_fraud, 0.9, 0.1)
    worthless = np.where(world.is_fraud, 0.1, 0.9)
    of_day = np.arange(len(score)) // A_DAY
    score = np.where(np.isin(of_day, list(good)), score, worthless)
    none = np.zeros(len(score), np.bool_)
    system: Any = SimpleNamespace(
        world=world,
        score=score,
        flagged=none,
        explored=none,
        verdicts=list(verdicts),
        events=list(events),
        settings=SimpleNamespace(label_window=7 * DAY),
    )
    alone = np.where(of_day < CHANGE, np.where(world.is_fraud, 0.9, 0.1), worthless)
    return describe(Plan(scenario, days=DAYS, change_day=CHANGE), system, alone, seconds=1.0)


def test_a_system_recovers_on_the_day_from_which_on_it_is_as_good_as_before(world: World) -> None:
    found = outcome(world, (*range(CHANGE), *range(14, DAYS)))["pr_auc"]
    assert found["former"] == 1.0
    assert found["first_mature_labels_at"] == (BEGIN + (CHANGE + 7) * DAY).isoformat()
    after = found["after_the_change"]
    assert after["with_loop"]["recovered_after_days"] == 2
    assert after["with_loop"]["before_labels_mature"] < 0.5
    assert after["with_loop"]["from_3_days_after"] == 1.0
    assert after["without_loop"]["recovered_after_days"] is None


def test_one_good_day_is_no_recovery(world: World) -> None:
    found = outcome(world, (*range(CHANGE), 13))["pr_auc"]
    assert found["after_the_change"]["with_loop"]["recovered_after_days"] is None


def test_the_new_pattern_is_judged_beside_legitimate_rows_alone(world: World) -> None:
    found = outcome(world, range(DAYS))["pr_auc"]["of_the_new_pattern"]
    assert found["with_loop"] == [None] * CHANGE + [1.0] * (DAYS - CHANGE)


def said(day: float, verdict: str) -> dict[str, Any]:
    return {"at": (BEGIN + timedelta(days=day)).isoformat(), "verdict": verdict, "rejected": ["amount"]}


def test_drift_is_a_false_alarm_before_the_change_and_found_after_it(world: World) -> None:
    verdicts = [said(1, "drift"), said(2, "suspected"), said(CHANGE, "drift"), said(CHANGE + 0.25, "drift")]
    verdicts += [said(CHANGE + 0.5, "not_enough_data")]
    found = outcome(world, range(DAYS), verdicts=verdicts)
    assert (found["windows"], found["false_alarms"]) == (4, 2)
    assert found["drift"] == {"found_at": verdicts[3]["at"], "hours": 6.0, "rejected": ["amount"]}
    quiet = outcome(world, range(DAYS), scenario="none", verdicts=verdicts)
    assert (quiet["false_alarms"], quiet["drift"]["found_at"]) == (3, None)


def test_alerts_count_once_and_the_first_training_is_no_retraining(world: World) -> None:
    at = BEGIN.isoformat()
    events = [
        {"at": at, "kind": "retraining", "what": "v1", "promoted": True},
        {"at": at, "kind": "alert firing", "what": "drift", "rule": "drift"},
        {"at": at, "kind": "alert resolved", "what": "drift", "rule": "drift"},
        {"at": at, "kind": "retraining", "what": "v2", "promoted": False},
        {"at": at, "kind": "retraining", "what": "v3", "promoted": True},
    ]
    found = outcome(world, range(DAYS), events=events)
    assert (found["alerts"], found["alerts_by_rule"]) == (1, {"drift": 1})
    assert (found["retrainings"], found["promotions"]) == (2, 1)
