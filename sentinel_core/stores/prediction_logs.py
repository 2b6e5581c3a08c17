"""The table `prediction_logs`: every answer that was given, one uncached row for each transaction; and its totals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

_INSERT: Final = text(
    """
    WITH fresh AS (
        INSERT INTO prediction_logs (event_id, transaction_id, prediction_time_ms, fraud_score, prediction, confidence,
                                     model_version, variant, cache_hit, degraded, created_at)
        SELECT p.event_id, p.transaction_id, p.prediction_time_ms, p.fraud_score, p.prediction, p.confidence,
               p.model_version, COALESCE(p.variant, 'champion'), COALESCE(p.cache_hit, false),
               COALESCE(p.degraded, false), COALESCE(p.answered_at, now())
        FROM json_to_recordset(CAST(:answered AS json)) AS p (
            event_id text, transaction_id text, prediction_time_ms double precision, fraud_score double precision,
            prediction boolean, confidence text, model_version text, variant text, cache_hit boolean, degraded boolean,
            answered_at timestamptz)
        ORDER BY p.transaction_id
        ON CONFLICT DO NOTHING
        RETURNING date_trunc('hour', created_at, 'UTC') AS hour, model_version, prediction, degraded, cache_hit,
                  fraud_score
    )
    INSERT INTO prediction_hours AS h (hour, model_version, predictions, flagged, degraded, cache_hits, score_sum)
    SELECT hour, model_version, count(*), count(*) FILTER (WHERE prediction), count(*) FILTER (WHERE degraded),
           count(*) FILTER (WHERE cache_hit), sum(fraud_score)
    FROM fresh GROUP BY hour, model_version ORDER BY hour, model_version
    ON CONFLICT (hour, model_version) DO UPDATE SET
        predictions = h.predictions + excluded.predictions, flagged = h.flagged + excluded.flagged,
        degraded = h.degraded + excluded.degraded, cache_hits = h.cache_hits + excluded.cache_hits,
        score_sum = h.score_sum + excluded.score_sum
    """
)


_BY_MODEL: Final = text(
    """
    SELECT sum(predictions) AS predictions, sum(flagged) AS flagged, sum(degraded) AS degraded,
           sum(score_sum) / sum(predictions) AS mean_score, min(hour) AS first_hour, max(hour) AS last_hour
    FROM prediction_hours WHERE model_version = :version
    """
)
_NEWEST: Final = text(
    """
    SELECT transaction_id, fraud_score, prediction, degraded, created_at FROM prediction_logs
    WHERE model_version = :version AND NOT cache_hit AND created_at >= :hour
          AND created_at < CAST(:hour AS timestamptz) + interval '1 hour'
    ORDER BY created_at DESC LIMIT :limit
    """
)


def predictions_of(conn: Connection, model_version: str, *, limit: int) -> dict[str, Any]:
    """Return how many answers a model gave, from when to when, and at most `limit` of its last hour, newest first.

    Counts come from the totals by hour and the rows from one hour of the log, however long that is.
    """
    totals = dict(conn.execute(_BY_MODEL, {"version": model_version}).mappings().one())
    if not totals["predictions"]:
        return {"predictions": 0, "newest": []}
    counts = {name: int(totals[name]) for name in ("predictions", "flagged", "degraded")}
    hours = {name: totals[name] for name in ("mean_score", "first_hour", "last_hour")}
    found = conn.execute(_NEWEST, {"version": model_version, "hour": totals["last_hour"], "limit": limit})
    return {**counts, **hours, "newest": [dict(row) for row in found.mappings()]}


def insert_logs(conn: Connection, answered: Sequence[bytes]) -> None:
    """Insert logs from the bodies of `answered` entries, and count them in the totals of their hour.

    An event that is there, and a second uncached answer to a transaction, are left out and not counted. The
    transactions must exist.
    """
    conn.execute(_INSERT, {"answered": (b"[" + b",".join(answered) + b"]").decode()})
