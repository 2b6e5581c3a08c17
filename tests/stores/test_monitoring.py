from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine

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
    score(engine, "old", 200, flagged=True, minutes=24 * 60)
    score(engine, "future", 201, flagged=True, minutes=-1)
    with engine.connect() as conn:
        figures = traffic(conn, now=NOW)
        sampled = traffic(conn, now=NOW, sample=10)
        hour = traffic(conn, now=NOW, window=timedelta(hours=1))
    assert (figures.predictions, figures.sampled, figures.fraud_rate) == (100, 100, 0.1)
    assert figures.mean_score == pytest.approx(0.18)
    expected = np.percentile(latencies, [50, 95, 99]).tolist()
    assert [figures.latency_p50_ms, figures.latency_p95_ms, figures.latency_p99_ms] == pytest.approx(expected)
    assert (figures.degraded_rate, figures.cache_hit_rate, figures.newest) == (0, 0, NOW)
    assert (sampled.predictions, sampled.sampled, sampled.fraud_rate) == (100, 10, 1.0)
    assert hour.predictions == 60


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
