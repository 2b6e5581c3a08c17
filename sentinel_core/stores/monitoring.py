"""The live figures: traffic, scores and latency of a time window, and how right the answers were where labels came.

The cost does not grow with the log: totals come from the table `prediction_hours`, latencies from at most `SAMPLE`
newest rows, decisions from at most `SAMPLE` newest labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from sentinel_core.schema import TIMESTAMP_MIN

SAMPLE: Final = 10_000
WINDOW: Final = timedelta(hours=24)

_TOTALS: Final = text(
    """
    SELECT date_trunc('hour', CAST(:start AS timestamptz), 'UTC') AS start,
           COALESCE(sum(predictions), 0) AS predictions, COALESCE(sum(flagged), 0) AS flagged,
           COALESCE(sum(degraded), 0) AS degraded, COALESCE(sum(cache_hits), 0) AS cache_hits,
           COALESCE(sum(score_sum), 0) AS score_sum,
           (SELECT COALESCE(sum(predictions), 0) FROM prediction_hours) AS since_the_beginning
    FROM prediction_hours
    WHERE hour >= date_trunc('hour', CAST(:start AS timestamptz), 'UTC') AND hour <= :now
    """
)
_LATENCY: Final = text(
    """
    WITH recent AS (
        SELECT prediction_time_ms, created_at FROM prediction_logs
        WHERE created_at >= :start AND created_at <= :now ORDER BY created_at DESC LIMIT :sample
    )
    SELECT count(*) AS sampled, max(created_at) AS newest,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY prediction_time_ms) AS latency
    FROM recent
    """
)
# The decision is looked up label by label: a join would be planned as a scan of the whole log.
_LABELLED: Final = text(
    """
    WITH recorded AS (
        SELECT * FROM labels WHERE labelled_at > :since AND labelled_at <= :now ORDER BY id DESC LIMIT :sample
    ),
    latest AS (
        SELECT DISTINCT ON (transaction_id) transaction_id, is_fraud FROM recorded
        ORDER BY transaction_id, labelled_at DESC, id DESC
    ),
    decided AS (
        SELECT is_fraud, (SELECT p.prediction FROM prediction_logs AS p
                          WHERE p.transaction_id = l.transaction_id AND NOT p.cache_hit) AS flagged
        FROM latest AS l
    )
    SELECT count(*) FILTER (WHERE flagged AND is_fraud) AS true_positives,
           count(*) FILTER (WHERE flagged AND NOT is_fraud) AS false_positives,
           count(*) FILTER (WHERE NOT flagged AND is_fraud) AS false_negatives,
           count(*) FILTER (WHERE NOT flagged AND NOT is_fraud) AS true_negatives
    FROM decided
    """
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The answers of the window [start, now], and of all time (`total`).

    `start` is a full hour. Rates are shares from 0 to 1; latencies are milliseconds inside the service, over the
    `sampled` newest answers. Rates and latencies are None where there was no traffic.
    """

    start: datetime
    now: datetime
    total: int
    predictions: int
    fraud_rate: float | None
    mean_score: float | None
    degraded_rate: float | None
    cache_hit_rate: float | None
    sampled: int
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
    """Return the traffic of the window that ends at `now` and begins with the hour in which `now - window` lies."""
    totals = conn.execute(_TOTALS, {"start": now - window, "now": now}).mappings().one()
    start, predictions = totals["start"], int(totals["predictions"])
    recent = conn.execute(_LATENCY, {"start": start, "now": now, "sample": sample}).mappings().one()
    p50, p95, p99 = recent["latency"] or (None, None, None)

    def share(name: str) -> float | None:
        return float(totals[name]) / predictions if predictions else None

    return Traffic(
        start=start,
        now=now,
        total=int(totals["since_the_beginning"]),
        predictions=predictions,
        fraud_rate=share("flagged"),
        mean_score=share("score_sum"),
        degraded_rate=share("degraded"),
        cache_hit_rate=share("cache_hits"),
        sampled=recent["sampled"],
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        latency_p99_ms=p99,
        newest=recent["newest"],
    )


def labelled(conn: Connection, *, now: datetime, window: timedelta | None = None, sample: int = SAMPLE) -> Labelled:
    """Return the confusion matrix over the `sample` labels recorded last and known at `now`; the latest one counts.

    With a `window` over those of them that became known within it.
    """
    since = TIMESTAMP_MIN if window is None else now - window
    return Labelled(**conn.execute(_LABELLED, {"since": since, "now": now, "sample": sample}).mappings().one())
