"""The live figures: traffic, scores and latency of a time window, and how right the answers were where labels came.

The cost is bounded: counts read one index over the window, the rest at most `SAMPLE` newest rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

SAMPLE: Final = 20_000
WINDOW: Final = timedelta(hours=24)

_TRAFFIC: Final = text(
    """
    WITH recent AS (
        SELECT fraud_score, prediction, prediction_time_ms, cache_hit, degraded, created_at FROM prediction_logs
        WHERE created_at > :start AND created_at <= :now ORDER BY created_at DESC LIMIT :sample
    )
    SELECT (SELECT count(*) FROM prediction_logs WHERE created_at > :start AND created_at <= :now) AS predictions,
           count(*) AS sampled, avg(CAST(prediction AS int)) AS fraud_rate, avg(fraud_score) AS mean_score,
           avg(CAST(degraded AS int)) AS degraded_rate, avg(CAST(cache_hit AS int)) AS cache_hit_rate,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY prediction_time_ms) AS latency,
           max(created_at) AS newest
    FROM recent
    """
)
_LABELLED: Final = text(
    """
    WITH recorded AS (SELECT * FROM labels WHERE labelled_at <= :now ORDER BY id DESC LIMIT :sample),
    latest AS (
        SELECT DISTINCT ON (transaction_id) transaction_id, is_fraud FROM recorded
        ORDER BY transaction_id, labelled_at DESC, id DESC
    )
    SELECT count(*) FILTER (WHERE p.prediction AND l.is_fraud) AS true_positives,
           count(*) FILTER (WHERE p.prediction AND NOT l.is_fraud) AS false_positives,
           count(*) FILTER (WHERE NOT p.prediction AND l.is_fraud) AS false_negatives,
           count(*) FILTER (WHERE NOT p.prediction AND NOT l.is_fraud) AS true_negatives
    FROM latest AS l JOIN prediction_logs AS p ON p.transaction_id = l.transaction_id AND NOT p.cache_hit
    """
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The answers of a window (start, now]: `predictions` counts all, the other figures the `sampled` newest of them.

    Rates are shares from 0 to 1, latencies milliseconds inside the service; None where there was no traffic.
    """

    start: datetime
    now: datetime
    predictions: int
    sampled: int
    fraud_rate: float | None
    mean_score: float | None
    degraded_rate: float | None
    cache_hit_rate: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class Labelled:
    """The decisions whose truth is known, by the newest labels: the confusion matrix, nothing more.

    Transactions that were declined and never labelled are not in it.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


def traffic(conn: Connection, *, now: datetime, window: timedelta = WINDOW, sample: int = SAMPLE) -> Traffic:
    """Return the traffic of the window that ends at `now`."""
    start = now - window
    row = conn.execute(_TRAFFIC, {"start": start, "now": now, "sample": sample}).mappings().one()
    p50, p95, p99 = row["latency"] or (None, None, None)
    rates = {
        name: None if row[name] is None else float(row[name])
        for name in ("fraud_rate", "mean_score", "degraded_rate", "cache_hit_rate")
    }
    return Traffic(
        start=start,
        now=now,
        predictions=row["predictions"],
        sampled=row["sampled"],
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        latency_p99_ms=p99,
        newest=row["newest"],
        **rates,
    )


def labelled(conn: Connection, *, now: datetime, sample: int = SAMPLE) -> Labelled:
    """Return the confusion matrix over the `sample` labels recorded last and known at `now`; the latest one counts."""
    return Labelled(**conn.execute(_LABELLED, {"now": now, "sample": sample}).mappings().one())
