from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text

from sentinel_core.schema import Label
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.monitoring import Labelled, labelled, traffic
from sentinel_core.stores.recording import write_batch
from tests.stores.makers import DAY, NOW, accepted_event, answered_event


def score(engine: Engine, name: str, number: int, *, flagged: bool, minutes: float, ms: float = 1.0) -> None:
    at = (NOW - timedelta(minutes=minutes)).isoformat()
    answer = {
        "prediction": flagged,
        "fraud_score": 0.9 if flagged else 0.1,
        "prediction_time_ms": ms,
        "answered_at": at,
    }
    with engine.begin() as conn:
        write_batch(conn, [accepted_event(name, number), answered_event(name, number, answer=answer)], now=NOW)


def test_the_traffic_of_a_window(engine: Engine) -> None:
    latencies = [float(ms) for ms in range(1, 101)]
    for n, ms in enumerate(latencies):
        score(engine, f"t{n}", n, flagged=n < 10, minutes=n, ms=ms)
    score(engine, "old", 200, flagged=True, minutes=24 * 60 + 1)
    score(engine, "t0", 300, flagged=True, minutes=5)
    with engine.connect() as conn:
        figures = traffic(conn, now=NOW)
        sampled = traffic(conn, now=NOW, sample=10)
        hour = traffic(conn, now=NOW, window=timedelta(hours=1))
    assert (figures.start, figures.total, figures.predictions, figures.fraud_rate) == (NOW - DAY, 101, 100, 0.1)
    assert figures.mean_score == pytest.approx(0.18)
    expected = np.percentile(latencies, [50, 95, 99]).tolist()
    assert [figures.latency_p50_ms, figures.latency_p95_ms, figures.latency_p99_ms] == pytest.approx(expected)
    assert (figures.sampled, figures.degraded_rate, figures.cache_hit_rate, figures.newest) == (100, 0, 0, NOW)
    assert (sampled.predictions, sampled.sampled, sampled.latency_p99_ms) == (100, 10, pytest.approx(9.91))
    assert (hour.predictions, hour.start) == (61, NOW - timedelta(hours=1))


def test_the_totals_are_those_of_the_log(engine: Engine) -> None:
    for n in range(30):
        score(engine, f"t{n}", n, flagged=n % 3 == 0, minutes=n * 7)
    by_hour = """
        SELECT date_trunc('hour', created_at, 'UTC'), model_version, count(*), count(*) FILTER (WHERE prediction),
               count(*) FILTER (WHERE degraded), count(*) FILTER (WHERE cache_hit), round(sum(fraud_score)::numeric, 9)
        FROM prediction_logs GROUP BY 1, 2 ORDER BY 1, 2
    """
    kept = """
        SELECT hour, model_version, predictions, flagged, degraded, cache_hits, round(score_sum::numeric, 9)
        FROM prediction_hours ORDER BY 1, 2
    """
    with engine.connect() as conn:
        counted = [tuple(row) for row in conn.execute(text(by_hour))]
        assert [tuple(row) for row in conn.execute(text(kept))] == counted
        assert len(counted) == 5


def test_no_traffic_has_no_rates(engine: Engine) -> None:
    with engine.connect() as conn:
        figures = traffic(conn, now=NOW)
        matrix = labelled(conn, now=NOW)
    assert (figures.predictions, figures.fraud_rate, figures.latency_p99_ms, figures.newest) == (0, None, None, None)
    assert matrix == Labelled(0, 0, 0, 0)


def test_the_latest_known_label_of_a_scored_transaction_counts(engine: Engine) -> None:
    truths = {"tp": True, "fp": True, "fn": False, "tn": False, "unlabelled": True, "later": True}
    for n, (name, flagged) in enumerate(truths.items()):
        score(engine, name, n, flagged=flagged, minutes=n)
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("never scored", 50)], now=NOW)
        given = [("tp", False, 0), ("tp", True, 1), ("fp", False, 1), ("fn", True, 1), ("tn", False, 1)]
        given += [("later", True, 30), ("never scored", True, 1)]
        labels = [Label(transaction_id=i, is_fraud=f, labelled_at=NOW + d * DAY) for i, f, d in given]
        record_labels(conn, labels, now=NOW)
        assert labelled(conn, now=NOW + 2 * DAY) == Labelled(1, 1, 1, 1)
        assert labelled(conn, now=NOW + 30 * DAY) == Labelled(2, 1, 1, 1)
        assert labelled(conn, now=NOW + 30 * DAY, sample=2) == Labelled(1, 0, 0, 0)
