"""The table `prediction_logs`: every answer that was given, one uncached row for each transaction; and its totals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from sentinel_core.stores.outcomes import EXPLORATION

KNOWN: Final = """
    NOT p.cache_hit AND p.created_at <= :as_of
    AND COALESCE(p.recorded_at, p.created_at) <= COALESCE(CAST(:recorded_by AS timestamptz), 'infinity')
"""
"""The answer p had been given by :as_of and recorded by :recorded_by (null: ever), as SQL.

Of an answer without a time of recording, by a release that did not note it, the time that it was given counts.
"""
_EXPLORED: Final = """,
    explored AS (
        -- Of a transaction that was scored twice the first answer counts, here as there.
        INSERT INTO outcomes (transaction_id, outcome, propensity, decided_at, source, created_at)
        SELECT f.transaction_id, 'explored', p.propensity, f.created_at, :exploration, CAST(:now AS timestamptz)
        FROM fresh AS f JOIN given AS p ON p.event_id = f.event_id
        WHERE p.propensity IS NOT NULL ORDER BY f.transaction_id
        ON CONFLICT DO NOTHING
    )"""
_INSERT: Final = """
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST(:answered AS json)) AS g (
            event_id text, transaction_id text, prediction_time_ms double precision, fraud_score double precision,
            prediction boolean, confidence text, model_version text, variant text, cache_hit boolean, degraded boolean,
            answered_at timestamptz, propensity double precision)
    ),
    fresh AS (
        INSERT INTO prediction_logs (event_id, transaction_id, prediction_time_ms, fraud_score, prediction, confidence,
                                     model_version, variant, cache_hit, degraded, created_at, recorded_at)
        SELECT p.event_id, p.transaction_id, p.prediction_time_ms, p.fraud_score, p.prediction, p.confidence,
               p.model_version, COALESCE(p.variant, 'champion'), COALESCE(p.cache_hit, false),
               COALESCE(p.degraded, false), COALESCE(p.answered_at, CAST(:now AS timestamptz)),
               CAST(:now AS timestamptz)
        FROM given AS p
        ORDER BY p.transaction_id
        ON CONFLICT DO NOTHING
        RETURNING date_trunc('hour', created_at, 'UTC') AS hour, model_version, prediction, degraded, cache_hit,
                  fraud_score, event_id, transaction_id, created_at
    ){explored}
    INSERT INTO prediction_hours AS h (hour, model_version, predictions, flagged, degraded, cache_hits, score_sum)
    SELECT hour, model_version, count(*), count(*) FILTER (WHERE prediction), count(*) FILTER (WHERE degraded),
           count(*) FILTER (WHERE cache_hit), sum(fraud_score)
    FROM fresh GROUP BY hour, model_version ORDER BY hour, model_version
    ON CONFLICT (hour, model_version) DO UPDATE SET
        predictions = h.predictions + excluded.predictions, flagged = h.flagged + excluded.flagged,
        degraded = h.degraded + excluded.degraded, cache_hits = h.cache_hits + excluded.cache_hits,
        score_sum = h.score_sum + excluded.score_sum
"""


_TOTALS: Final = text(
    """
    SELECT sum(predictions) AS predictions, sum(flagged) AS flagged, sum(degraded) AS degraded,
           sum(cache_hits) AS cache_hits, sum(score_sum) / sum(predictions) AS mean_score
    FROM prediction_hours WHERE model_version = :version
    """
)
_HOURS: Final = text("SELECT hour FROM prediction_hours WHERE model_version = :version ORDER BY hour DESC")
_OF_HOUR: Final = "created_at >= :hour AND created_at < CAST(:hour AS timestamptz) + interval '1 hour'"
_NEWEST: Final = text(
    f"""
    SELECT transaction_id, fraud_score, prediction, degraded, created_at FROM prediction_logs
    WHERE model_version = :version AND NOT cache_hit AND {_OF_HOUR}
    ORDER BY created_at DESC LIMIT :limit
    """  # noqa: S608 (a constant)
)
_ENDS: Final = text(
    f"""
    SELECT min(created_at) AS first, max(created_at) AS last FROM prediction_logs
    WHERE model_version = :version AND {_OF_HOUR}
    """  # noqa: S608 (a constant)
)


def predictions_of(conn: Connection, model_version: str, *, limit: int) -> dict[str, Any]:
    """Return how many answers a model gave, the first and the last time, and its newest `limit`, newest first.

    Counts come from the totals by hour, and the rest from the hours of the log that hold it, however long that is.
    Repeated answers from the cache are counted, and are not among the newest.
    """
    values = {"version": model_version}
    hours = [row.hour for row in conn.execute(_HOURS, values)]
    if not hours:
        return {"predictions": 0, "newest": []}
    totals = conn.execute(_TOTALS, values).mappings().one()
    counts = {name: int(totals[name]) for name in ("predictions", "flagged", "degraded", "cache_hits")}
    newest: list[dict[str, Any]] = []
    for hour in hours:
        if len(newest) == limit:
            break
        found = conn.execute(_NEWEST, {**values, "hour": hour, "limit": limit - len(newest)})
        newest += [dict(row) for row in found.mappings()]
    ends = {
        "first_at": conn.execute(_ENDS, {**values, "hour": hours[-1]}).one().first,
        "last_at": conn.execute(_ENDS, {**values, "hour": hours[0]}).one().last,
    }
    return {**counts, "mean_score": totals["mean_score"], **ends, "newest": newest}


def insert_logs(conn: Connection, answered: Sequence[bytes], *, now: datetime) -> None:
    """Insert logs from the bodies of `answered` entries, and count them in the totals of their hour.

    An event that is there, and a second uncached answer to a transaction, are left out and not counted. Those that were
    explored get their outcome with the log; both count as recorded at `now`. The transactions must exist.
    """
    bodies = (b"[" + b",".join(answered) + b"]").decode()
    # Without exploration nothing is paid for it.
    explored = '"propensity"' in bodies
    query = text(_INSERT.format(explored=_EXPLORED if explored else ""))
    conn.execute(query, {"answered": bodies, "now": now, **({"exploration": EXPLORATION} if explored else {})})
