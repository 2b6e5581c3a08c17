"""Live figures in the table `model_metrics`: one row for each model, cohort and age, told apart by their split."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

NEWEST: Final = 1_000
"""How many of the newest rows the newest figures are looked for in: the cost does not grow with the table."""
COLUMN: Final = {"f1": "f1_score"}
"""The figures that are called otherwise in the table and over HTTP."""
_FACTS: Final = (
    *("first_day", "cohort_day", "age_days", "known_at", "provisional", "errs", "on_approved_traffic", "counts"),
)
_COHORTS: Final = text(
    """
    SELECT model_version, details FROM model_metrics
    WHERE model_name = :name AND split ~ '^live_[0-9]+d$' AND details ->> 'cohort_day' >= :since
    ORDER BY details ->> 'cohort_day', CAST(details ->> 'age_days' AS integer), model_version
    """
)
_POOLED: Final = text(
    """
    SELECT DISTINCT ON (model_version, split) model_version, details
    FROM (SELECT * FROM model_metrics ORDER BY id DESC LIMIT :newest) AS newest
    WHERE model_name = :name AND split ~ '^live_[0-9]+d_pooled$'
    ORDER BY model_version, split, id DESC
    """
)
_MEASURED: Final = text(
    """
    SELECT split, max(details ->> 'cohort_day') AS day FROM model_metrics
    WHERE model_name = :name AND split ~ '^live_[0-9]+d$' GROUP BY split
    """
)
_UNPOOLED: Final = text(
    """
    SELECT model_version, age, day FROM (
        SELECT model_version, CAST(details ->> 'age_days' AS integer) AS age,
               max(details ->> 'cohort_day') FILTER (WHERE split ~ '^live_[0-9]+d$') AS day,
               max(details ->> 'cohort_day') FILTER (WHERE split ~ '^live_[0-9]+d_pooled$') AS pooled
        FROM model_metrics WHERE model_name = :name AND split ~ '^live_[0-9]+d' GROUP BY 1, 2
    ) AS ends
    WHERE day > COALESCE(pooled, '') ORDER BY age, model_version
    """
)
_DRIFTING: Final = text(
    """
    SELECT model_version, verdict, window_end FROM (
        SELECT DISTINCT ON (model_version) model_version, verdict, window_end FROM drift_reports
        WHERE verdict IN ('drift', 'suspected', 'no_drift') AND model_version IS NOT NULL AND window_end <= :now
        ORDER BY model_version, id DESC
    ) AS judged WHERE verdict <> 'no_drift'
    """
)


def split_of(age: int, *, pooled: bool = False) -> str:
    """Return the split under which figures at an age are stored.

    >>> split_of(7), split_of(30, pooled=True)
    ('live_7d', 'live_30d_pooled')
    """
    return f"live_{age}d_pooled" if pooled else f"live_{age}d"


def last_measured(conn: Connection, model_name: str) -> dict[str, date]:
    """Return the newest cohort day that was measured, by split."""
    return {row.split: date.fromisoformat(row.day) for row in conn.execute(_MEASURED, {"name": model_name})}


def cohort_metrics(conn: Connection, model_name: str, *, since: date) -> list[dict[str, Any]]:
    """Return the figures of each cohort day from `since` on, by day, age and model version; see `described`."""
    rows = conn.execute(_COHORTS, {"name": model_name, "since": since.isoformat()})
    return [described(row) for row in rows.mappings()]


def newest_metrics(conn: Connection, model_name: str) -> list[dict[str, Any]]:
    """Return the newest pooled figures of each model version at each age, among the `NEWEST` rows of the table."""
    rows = conn.execute(_POOLED, {"name": model_name, "newest": NEWEST})
    return [described(row) for row in rows.mappings()]


def described(row: RowMapping) -> dict[str, Any]:
    """Return a stored row as it is read: facts, and each figure as {"value", "low", "high"} or None."""
    details = row["details"]
    figures = {COLUMN.get(name, name): figure for name, figure in details["intervals"].items()}
    return {"model_version": row["model_version"], **{name: details[name] for name in _FACTS}, **figures}


def unpooled(conn: Connection, model_name: str) -> list[tuple[str, int, date]]:
    """Return the model versions, ages and newest cohort days that no pooled figures end with."""
    rows = conn.execute(_UNPOOLED, {"name": model_name})
    return [(row.model_version, row.age, date.fromisoformat(row.day)) for row in rows]


def first_answer(conn: Connection) -> datetime | None:
    """Return when the first answer was given; None before."""
    found: datetime | None = conn.execute(text("SELECT min(created_at) FROM prediction_logs")).scalar_one()
    return found


def drifting(conn: Connection, *, now: datetime) -> dict[str, tuple[str, datetime]]:
    """Return the models whose newest judged window says drift or suspected, each with that and the window's end.

    Windows that could not be judged change nothing.
    """
    rows = conn.execute(_DRIFTING, {"now": now})
    return {row.model_version: (row.verdict, row.window_end) for row in rows}
