"""The table `prediction_logs`: every answer that was given, one uncached row for each transaction; and its totals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

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


def insert_logs(conn: Connection, answered: Sequence[bytes]) -> None:
    """Insert logs from the bodies of `answered` entries, and count them in the totals of their hour.

    An event that is there, and a second uncached answer to a transaction, are left out and not counted. The
    transactions must exist.
    """
    conn.execute(_INSERT, {"answered": (b"[" + b",".join(answered) + b"]").decode()})
