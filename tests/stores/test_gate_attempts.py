from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from sentinel_core.stores.alerts import Alert, list_alerts, record_alert
from sentinel_core.stores.gate_attempts import GateAttempt, attempt_of, attempts_on, record_attempt
from tests.stores.makers import DAY, NOW

FIRST = GateAttempt(
    model_name="fraud_detector",
    model_version="v1",
    champion_version=None,
    lineage="ours",
    holdout_start=NOW - 20 * DAY,
    holdout_end=NOW,
    label_day=(NOW - DAY).date(),
    number=1,
    error_rate=0.05,
    outcome="promote",
    verdict={"checks": []},
    created_at=NOW,
)


def test_attempts_on_rows_are_those_of_the_same_history_that_share_time_and_were_not_held(engine: Engine) -> None:
    others = {
        "v2": {"outcome": "reject", "champion_version": "v1"},
        "v3": {"outcome": "hold"},
        "v4": {"lineage": "theirs"},
        "v5": {"model_name": "another"},
        "before": {"holdout_start": NOW - 90 * DAY, "holdout_end": NOW - 10 * DAY},
        "after": {"holdout_start": NOW, "holdout_end": NOW + DAY},
        "last": {"holdout_start": NOW - timedelta(microseconds=1), "holdout_end": NOW + DAY},
    }
    with engine.begin() as conn:
        for one in (FIRST, *(replace(FIRST, model_version=name, **given) for name, given in others.items())):  # type: ignore[arg-type]
            record_attempt(conn, one)

        def on(start: int, end: int) -> list[str]:
            found = attempts_on(conn, "fraud_detector", "ours", NOW + start * DAY, NOW + end * DAY)
            return [row["model_version"] for row in found]

        assert on(-10, 0) == ["v1", "v2", "last"]
        assert on(-11, 0) == ["v1", "v2", "before", "last"]
        assert on(0, 1) == ["after", "last"]
        assert on(1, 2) == []


def test_a_version_has_one_attempt_and_its_verdict_comes_back_as_it_was(engine: Engine) -> None:
    verdict = {"outcome": "promote", "checks": [{"name": "pr_auc", "value": 0.1 + 0.2, "low": None}]}
    with engine.begin() as conn:
        record_attempt(conn, replace(FIRST, verdict=verdict))
        found = attempt_of(conn, "fraud_detector", "v1")
        assert found is not None
        assert (found["verdict"], found["label_day"]) == (verdict, FIRST.label_day)
        assert attempt_of(conn, "fraud_detector", "v2") is None
        with pytest.raises(IntegrityError, match="uq_gate_attempts_model_name_model_version"), conn.begin_nested():
            record_attempt(conn, FIRST)
        with pytest.raises(IntegrityError, match="outcome_known"), conn.begin_nested():
            record_attempt(conn, replace(FIRST, model_version="v9", outcome="maybe"))  # type: ignore[arg-type]


def test_alerts_are_listed_the_newest_first(engine: Engine) -> None:
    alert = Alert("both fail", "high", "firing", "floors", "fraud_training", "neither reaches the floors", NOW)
    with engine.begin() as conn:
        for n in range(2):
            record_alert(conn, replace(alert, details={"n": n}, created_at=NOW + n * DAY))
        assert [row["details"] for row in list_alerts(conn)] == [{"n": 1}, {"n": 0}]
        assert [row["details"] for row in list_alerts(conn, limit=1)] == [{"n": 1}]
