"""The table `prediction_logs`: every answer that was given, one uncached row for each transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, text

_INSERT: Final = text(
    """
    INSERT INTO prediction_logs (event_id, transaction_id, prediction_time_ms, fraud_score, prediction, confidence,
                                 model_version, variant, cache_hit, degraded, created_at)
    SELECT p.event_id, p.transaction_id, p.prediction_time_ms, p.fraud_score, p.prediction, p.confidence,
           p.model_version, COALESCE(p.variant, 'champion'), COALESCE(p.cache_hit, false), COALESCE(p.degraded, false),
           COALESCE(p.answered_at, now())
    FROM json_to_recordset(CAST(:answered AS json)) AS p (
        event_id text, transaction_id text, prediction_time_ms double precision, fraud_score double precision,
        prediction boolean, confidence text, model_version text, variant text, cache_hit boolean, degraded boolean,
        answered_at timestamptz)
    ORDER BY p.transaction_id
    ON CONFLICT DO NOTHING
    """
)


def insert_logs(conn: Connection, answered: Sequence[bytes]) -> int:
    """Insert logs from the bodies of `answered` entries, return how many are new.

    An event that is there, and a second uncached answer to a transaction, are left out. The transactions must exist.
    """
    return conn.execute(_INSERT, {"answered": (b"[" + b",".join(answered) + b"]").decode()}).rowcount
