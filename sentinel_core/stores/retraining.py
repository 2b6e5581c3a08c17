"""The table `retraining_decisions`, append-only, and what is counted for a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, select, text

from sentinel_core.stores.tables import drift_reports, retraining_decisions
from sentinel_core.stores.trainings import Training

_NEVER: Final = {"then": "-infinity", "then_recorded": "-infinity", "then_matured": "-infinity"}
# A training on a file or on generated rows had what was known by its clock, wherever that was recorded.
_NEW_TRANSACTIONS: Final = """
    SELECT count(*) FROM transactions
    WHERE arrived_at <= :now AND timestamp <= :now AND created_at <= :now AND
"""
_RECORDED: Final = text(f"{_NEW_TRANSACTIONS} created_at > :then_recorded")
_HAPPENED: Final = text(f"{_NEW_TRANSACTIONS} timestamp > :then")

_CANDIDATE: Final = """
    SELECT t.transaction_id, t.timestamp, t.created_at FROM transactions AS t {join}
    WHERE t.timestamp <= :matured AND t.arrived_at <= :now AND t.created_at <= :now AND {what}
"""
_HAS_LABEL: Final = "EXISTS (SELECT 1 FROM labels AS l WHERE l.transaction_id = t.transaction_id)"
_JOINED: Final = "JOIN labels AS l ON l.transaction_id = t.transaction_id"
_LABEL: Final = """
    SELECT l.is_fraud FROM labels AS l
    WHERE l.transaction_id = c.transaction_id AND l.labelled_at <= {as_of} AND l.created_at <= {recorded_by}
    ORDER BY l.labelled_at DESC, l.id DESC LIMIT 1
"""
# Each way in which a label can be new, for itself: so that every one of them finds its index.
_NEW_LABELS: Final = text(
    f"""
    WITH candidates AS (
        {_CANDIDATE.format(join="", what=f"t.timestamp > :then_matured AND {_HAS_LABEL}")}
        UNION {_CANDIDATE.format(join="", what=f"t.created_at > :then_recorded AND {_HAS_LABEL}")}
        UNION {_CANDIDATE.format(join=_JOINED, what="l.labelled_at > :then")}
        UNION {_CANDIDATE.format(join=_JOINED, what="l.created_at > :then_recorded")}
    )
    SELECT count(*) FILTER (WHERE known.is_fraud AND COALESCE(NOT had.is_fraud, true)) AS frauds,
           count(*) FILTER (WHERE known.is_fraud IS DISTINCT FROM had.is_fraud) AS labels
    FROM candidates AS c
    JOIN LATERAL ({_LABEL.format(as_of=":now", recorded_by=":now")}) AS known ON true
    LEFT JOIN LATERAL ({_LABEL.format(as_of=":then", recorded_by=":then_recorded")}) AS had
        ON c.timestamp <= :then_matured AND c.created_at <= :then_recorded
    """  # noqa: S608 (constants)
)
_MATURING: Final = text(
    f"""
    SELECT c.timestamp FROM (
        SELECT DISTINCT t.transaction_id, t.timestamp
        FROM labels AS l JOIN transactions AS t ON t.transaction_id = l.transaction_id
        WHERE l.labelled_at > :matured AND l.labelled_at <= :now AND l.is_fraud
          AND t.timestamp > :matured AND t.timestamp <= :now AND t.arrived_at <= :now AND t.created_at <= :now
    ) AS c
    JOIN LATERAL ({_LABEL.format(as_of=":now", recorded_by=":now")}) AS known ON known.is_fraud
    ORDER BY c.timestamp OFFSET :skip LIMIT 1
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class RetrainingDecision:
    """One decision: what a check decided when, why, and by which figures; `run_id` names the training it asked for."""

    decision: Literal["train", "deferred", "not_needed"]
    reason: str
    figures: Mapping[str, Any]
    created_at: datetime
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewLabels:
    """Matured labels that a training did not have: frauds, and all that are new or say something else."""

    frauds: int
    labels: int


def record_decision(conn: Connection, decision: RetrainingDecision) -> int:
    """Append one decision, return its number."""
    row = insert(retraining_decisions).values(asdict(decision)).returning(retraining_decisions.c.id)
    return int(conn.execute(row).scalar_one())


def list_decisions(
    conn: Connection, *, now: datetime, limit: int = 100, decision: str | None = None
) -> list[dict[str, Any]]:
    """Return the decisions up to `now`, the newest first; those of one kind where it is given."""
    query = select(retraining_decisions).where(retraining_decisions.c.created_at <= now)
    if decision is not None:
        query = query.where(retraining_decisions.c.decision == decision)
    query = query.order_by(retraining_decisions.c.id.desc()).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]


def count_transactions(conn: Connection, since: Training | None, *, now: datetime) -> int:
    """Count the transactions known at `now` that a training did not have; all of them without one.

    Of a training from the database those recorded since, of another those that happened since.
    """
    query = _RECORDED if since is None or since.recorded_by else _HAPPENED
    return int(conn.execute(query, _times(since, now)).scalar_one())


def count_labels(conn: Connection, since: Training | None, *, now: datetime, maturity: timedelta) -> NewLabels:
    """Count the labels that a training at `now` would have of rows older than `maturity`, and the given one had not.

    The latest label of each transaction counts, as it was known and recorded. What nobody labelled is not counted: a
    payment that was declined never becomes anything by waiting, and an approved one only legitimate.
    """
    row = conn.execute(_NEW_LABELS, {**_times(since, now), "matured": now - maturity}).one()
    return NewLabels(row.frauds, row.labels)


def nth_maturing(conn: Connection, n: int, *, now: datetime, maturity: timedelta) -> datetime | None:
    """Return when the n-th fraud (from 1) that is reported but too young will have matured; None where they are fewer.

    Should a later label say otherwise, it will be later.
    """
    values = {"now": now, "matured": now - maturity, "skip": n - 1}
    found: datetime | None = conn.execute(_MATURING, values).scalar_one_or_none()
    return None if found is None else found + maturity


def newest_drift(conn: Connection, model_version: str, *, now: datetime) -> tuple[str, datetime] | None:
    """Return the verdict of a model's newest drift check up to `now` with the end of its window; None before one."""
    query = (
        select(drift_reports.c.verdict, drift_reports.c.window_end)
        .where(drift_reports.c.model_version == model_version, drift_reports.c.window_end <= now)
        .order_by(drift_reports.c.id.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else (row.verdict, row.window_end)


def _times(since: Training | None, now: datetime) -> dict[str, Any]:
    if since is None:
        return {**_NEVER, "now": now}
    recorded = since.recorded_by or now
    return {"then": since.as_of, "then_recorded": recorded, "then_matured": since.matured_before, "now": now}
