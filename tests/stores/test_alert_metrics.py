"""Each metric is read as its description says, from the real tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, text

from sentinel_core.monitoring.alert_metrics import METRICS
from sentinel_core.monitoring.alerting import Reading
from sentinel_core.schema import Label
from sentinel_core.stores.alert_metrics import READERS, read_metric
from sentinel_core.stores.dead_letters import DeadLetter, add_dead_letters
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.model_metrics import ModelMetrics, record_metrics
from sentinel_core.stores.recording import write_batch
from sentinel_core.stores.tables import drift_reports, prediction_hours
from tests.monitoring.test_rules import rule
from tests.stores.makers import DAY, NOW, accepted_event, answered_event

HOUR = timedelta(hours=1)


def read(engine: Engine, metric: str, *, now: datetime = NOW, window: str = "1h") -> Reading:
    with engine.connect() as conn:
        return read_metric(conn, rule(metric=metric, window=window), model_name="fraud_detector", now=now)


def score(conn: Connection, name: str, number: int, *, minutes: float = 1, **answer: Any) -> None:
    at = (NOW - timedelta(minutes=minutes)).isoformat()
    given = {"answered_at": at, **answer}
    write_batch(conn, [accepted_event(name, number), answered_event(name, number, answer=given)], now=NOW)


def add_hour(conn: Connection, at: datetime, predictions: int, flagged: int, version: str = "v1") -> None:
    rest = {"degraded": 0, "cache_hits": 0, "score_sum": 0.0}
    told = {"hour": at, "model_version": version, "predictions": predictions, "flagged": flagged}
    conn.execute(insert(prediction_hours).values(told | rest))


def add_drift(conn: Connection, verdict: str, at: datetime, reason: str = "it says so", **evidently: Any) -> None:
    told = {"model_version": "v1", "verdict": verdict, "reason": reason, "sample_size": 500, "created_at": at}
    conn.execute(insert(drift_reports).values(told | {"window_start": at - HOUR, "window_end": at} | evidently))


def test_every_metric_is_read_and_every_reader_is_known() -> None:
    assert set(READERS) == set(METRICS)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_an_empty_database_has_no_figure_and_says_why(engine: Engine, metric: str) -> None:
    found = read(engine, metric)
    if metric == "dead_letters":
        assert found.value == 0
    else:
        assert found.value is None
        assert found.why


def test_traffic_of_the_window(engine: Engine) -> None:
    with engine.begin() as conn:
        for n in range(10):
            answer = {"prediction": n < 2, "fraud_score": 0.5, "prediction_time_ms": n + 1.0, "degraded": n == 0}
            score(conn, f"t{n}", n, **answer)
        score(conn, "yesterday", 50, minutes=24 * 60, prediction=True)
    values = {name: read(engine, name) for name in METRICS if METRICS[name].counted == "predictions"}
    assert {name: one.count for name, one in values.items()} == dict.fromkeys(values, 10)
    assert values["fraud_rate"].value == pytest.approx(0.2)
    assert values["mean_score"].value == pytest.approx(0.5)
    assert values["degraded_rate"].value == pytest.approx(0.1)
    assert values["latency_p50_ms"].value == pytest.approx(5.5)
    assert values["latency_p99_ms"].value == pytest.approx(9.91)
    assert read(engine, "predictions").value == 10
    assert read(engine, "predictions", now=NOW + 7 * DAY) == Reading(0.0, NOW + 7 * DAY)
    assert read(engine, "fraud_rate", now=NOW + 7 * DAY).why == "there was no traffic"


def test_the_share_of_alerts_against_the_same_hour_of_earlier_weeks(engine: Engine) -> None:
    with engine.begin() as conn:
        for days in range(1, 29):
            for hours in (0, 1, 5):
                add_hour(conn, NOW - days * DAY - hours * HOUR, 1000, 20 if hours < 2 else 900)
        add_hour(conn, NOW - HOUR, 600, 50)
        add_hour(conn, NOW, 300, 25)
        add_hour(conn, NOW, 100, 25, version="v2")
        add_hour(conn, NOW - 40 * DAY, 10_000, 10_000)
    found = read(engine, "alert_share_ratio", now=NOW + timedelta(minutes=20))
    assert (found.value, found.count) == (pytest.approx(100 / 20), 1000)
    assert found.facts["share"]["expected"] == pytest.approx(20)
    assert read(engine, "alert_share_ratio", now=NOW - 3 * HOUR).why == "there was no traffic"


def test_labelled_answers_go_by_when_the_label_became_known(engine: Engine) -> None:
    truths = {"tp": (True, True), "fp": (True, False), "fn": (False, True), "tn": (False, False), "old": (True, False)}
    with engine.begin() as conn:
        for n, (name, (flagged, _)) in enumerate(truths.items()):
            score(conn, name, n, prediction=flagged)
        labels = [
            Label(transaction_id=name, is_fraud=fraud, labelled_at=NOW + (-30 if name == "old" else 0) * DAY)
            for name, (_, fraud) in truths.items()
        ]
        record_labels(conn, labels, now=NOW)
    found = {name: read(engine, name, window="7d") for name in ("precision", "recall", "f1")}
    assert {name: (one.value, one.count) for name, one in found.items()} == {
        "precision": (0.5, 2),
        "recall": (0.5, 2),
        "f1": (0.5, 3),
    }
    assert read(engine, "precision", window="90d").count == 3
    assert read(engine, "precision", now=NOW - DAY, window="7d").value is None


def test_the_newest_verdict_on_drift_counts_while_it_is_fresh(engine: Engine) -> None:
    with engine.begin() as conn:
        add_drift(conn, "drift", NOW - 2 * HOUR)
        add_drift(conn, "no_drift", NOW - HOUR)
        add_drift(conn, "drift", NOW + HOUR)
    assert (read(engine, "drift", window="3h").value, read(engine, "drift", window="3h").at) == (0.0, NOW - HOUR)
    assert read(engine, "drift", window="3h", now=NOW - HOUR - HOUR / 2).value == 1.0
    late = read(engine, "drift", window="3h", now=NOW + 5 * HOUR)
    assert (late.value, late.why) == (None, "the newest check of drift is of 2026-03-01 13:00 UTC")
    with engine.begin() as conn:
        add_drift(conn, "suspected", NOW + 2 * HOUR)
        add_drift(conn, "not_enough_data", NOW + 3 * HOUR, reason="12 rows in 24 hours")
    assert read(engine, "drift", window="3h", now=NOW + 2 * HOUR).value == 0.0
    found = read(engine, "drift", window="3h", now=NOW + 3 * HOUR)
    assert (found.value, found.why) == (
        None,
        "the newest check of drift says not_enough_data: 12 rows in 24 hours",
    )


def test_each_verdict_on_drift_is_a_metric_of_its_own(engine: Engine) -> None:
    with engine.begin() as conn:
        add_drift(conn, "no_drift", NOW - 3 * HOUR)
        add_drift(conn, "no_drift", NOW - 2 * HOUR, evidently_verdict="drift", evidently_share=0.6)
        add_drift(conn, "drift", NOW - HOUR, evidently_verdict="no_drift", evidently_share=0.1)
        add_drift(conn, "drift", NOW, evidently_reason="Evidently failed: ValueError: why")
        add_drift(conn, "not_enough_data", NOW + HOUR, reason="12 rows in 24 hours")

    def verdicts(at: datetime) -> tuple[float | None, float | None]:
        ours, theirs = (read(engine, name, window="3h", now=at).value for name in ("drift", "drift_evidently"))
        return ours, theirs

    assert verdicts(NOW - 2 * HOUR) == (0.0, 1.0)
    assert verdicts(NOW - HOUR) == (1.0, 0.0)
    assert verdicts(NOW) == (1.0, None)
    said = "the newest check of drift has no verdict of Evidently: "
    assert read(engine, "drift_evidently", window="3h").why == f"{said}Evidently failed: ValueError: why"
    old = read(engine, "drift_evidently", window="3h", now=NOW - 3 * HOUR)
    assert (old.value, old.why) == (None, f"{said}an earlier release made it")
    for name in ("drift", "drift_evidently"):
        unjudged = read(engine, name, window="3h", now=NOW + HOUR)
        assert (unjudged.value, unjudged.why[-20:]) == (None, ": 12 rows in 24 hours"[-20:])
    facts = read(engine, "drift_evidently", window="3h", now=NOW - HOUR).facts["drift"]
    assert (facts["verdict"], facts["evidently_verdict"], facts["evidently_share"]) == ("drift", "no_drift", 0.1)


def test_refused_events_of_the_window(engine: Engine) -> None:
    with engine.begin() as conn:
        letters = [DeadLetter("events", f"{n}-0", "accepted", f"t{n}", b"x", "why") for n in range(3)]
        add_dead_letters(conn, letters)
        now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    assert read(engine, "dead_letters", now=now).value == 3
    assert read(engine, "dead_letters", now=now + 2 * HOUR).value == 0
    assert read(engine, "dead_letters", now=now - HOUR).value == 0


def measured(day: int, known: datetime, *, provisional: bool = False, approved: bool = False) -> ModelMetrics:
    figure = {"value": 0.6, "low": 0.5, "high": 0.7}
    names = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc")
    details = {
        "first_day": f"2026-01-{day:02}",
        "cohort_day": f"2026-01-{day:02}",
        "age_days": 7 if provisional else 60,
        "known_at": known.isoformat(),
        "provisional": provisional,
        "errs": {},
        "on_approved_traffic": approved,
        "counts": {"alerts": 300, "frauds": 250, "rows": 9000},
        "intervals": {name: figure | {"value": 0.6 if provisional else 0.8 + day / 100} for name in names},
    }
    split = "live_7d_pooled" if provisional else "live_60d_pooled"
    return ModelMetrics("v1", "fraud_detector", split, 9000, NOW, details=details)


def test_live_figures_are_those_of_the_newest_mature_days(engine: Engine) -> None:
    with engine.begin() as conn:
        record_metrics(conn, measured(1, NOW - 3 * DAY))
        record_metrics(conn, measured(4, NOW - DAY))
        record_metrics(conn, measured(20, NOW - DAY, provisional=True))
    found = {name: read(engine, f"live_{name}", window="7d") for name in ("precision", "recall", "f1", "pr_auc")}
    assert [one.value for one in found.values()] == pytest.approx([0.84] * 4)
    assert [one.count for one in found.values()] == [300, 250, 250, 250]
    assert found["precision"].at == NOW - DAY
    assert read(engine, "live_precision", window="7d", now=NOW + 10 * DAY).value is None
    # `known_at` lies ahead of an earlier look.
    assert read(engine, "live_precision", window="7d", now=NOW - 4 * DAY).value is None


def test_recall_on_approved_traffic_is_none(engine: Engine) -> None:
    with engine.begin() as conn:
        record_metrics(conn, measured(4, NOW - DAY, approved=True))
    assert read(engine, "live_precision", window="7d").value is not None
    for name in ("live_recall", "live_f1", "live_pr_auc"):
        found = read(engine, name, window="7d")
        assert (found.value, found.why) == (None, "it is known on approved traffic alone")
