"""Trainings in the table `audit`: each says when it begins, on what it stands, and how it ended.

The one record of every training, whoever started it: the DAG, the command line or a check. What began and did not end
may be under way; whether it is, `is_held` (a process) and Airflow (a run of the DAG) know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, select, text

from sentinel_core.stores.audit import record_act
from sentinel_core.stores.tables import audit

Holder = Literal["airflow", "process"]
BEGUN: Final = "training begun"
SNAPSHOT: Final = "training snapshot"
ENDED: Final = "training ended"
NOT_STARTED: Final = "training not started"

_TRAININGS: Final = text(
    """
    SELECT b.id AS number, b.details ->> 'run' AS run, b.details ->> 'holder' AS holder, b.created_at AS begun_at,
           b.details ->> 'source' AS source, s.details ->> 'snapshot' AS snapshot,
           CAST(s.details ->> 'as_of' AS timestamptz) AS as_of,
           CAST(s.details ->> 'recorded_by' AS timestamptz) AS recorded_by,
           CAST(s.details ->> 'matured_before' AS timestamptz) AS matured_before,
           e.created_at AS ended_at, e.details ->> 'outcome' AS outcome, e.details ->> 'version' AS version
    FROM audit AS b
    LEFT JOIN LATERAL (SELECT a.details FROM audit AS a
                       WHERE a.subject = b.subject AND a.action = :snapshot AND a.created_at >= b.created_at
                         AND CAST(a.details ->> 'training' AS bigint) = b.id ORDER BY a.id DESC LIMIT 1) AS s ON true
    LEFT JOIN LATERAL (SELECT a.created_at, a.details FROM audit AS a
                       WHERE a.subject = b.subject AND a.action = :ended AND a.created_at >= b.created_at
                         AND a.created_at <= :now
                         AND CAST(a.details ->> 'training' AS bigint) = b.id ORDER BY a.id LIMIT 1) AS e ON true
    WHERE b.subject = :subject AND b.action = :begun AND b.created_at <= :now
      AND (CAST(:outcome AS text) IS NULL OR e.details ->> 'outcome' = :outcome)
      AND (CAST(:run AS text) IS NULL OR b.details ->> 'run' = :run)
    ORDER BY b.id DESC LIMIT :limit
    """
)


@dataclass(frozen=True, slots=True)
class Training:
    """One training. `run` is the DAG run's id, or the one that a process gave itself.

    `matured_before`, None until there is a snapshot, is the event time up to which its rows counted; of them it knew
    what was known at `as_of`, and where it read the database only what had been recorded by `recorded_by`. `outcome` is
    completed (its model was judged, whatever the verdict), failed, or None where it has not ended, or died.
    """

    number: int
    run: str
    holder: Holder
    begun_at: datetime
    source: str
    snapshot: str | None = None
    as_of: datetime | None = None
    recorded_by: datetime | None = None
    matured_before: datetime | None = None
    ended_at: datetime | None = None
    outcome: Literal["completed", "failed"] | None = None
    version: str | None = None


def lock_of(model_name: str) -> str:
    """Return the name of the lock that a process holds while it trains."""
    return f"a training of {model_name}"


def note_begin(conn: Connection, model_name: str, *, run: str, holder: Holder, source: str, now: datetime) -> int:
    """Note that a training begins; return the number that its other notes carry."""
    facts = {"run": run, "holder": holder, "source": source}
    return record_act(
        conn, actor=holder, action=BEGUN, subject=model_name, reason=f"on {source} data", at=now, details=facts
    )


def note_snapshot(
    conn: Connection,
    model_name: str,
    number: int,
    *,
    snapshot: str,
    as_of: datetime,
    recorded_by: datetime | None,
    matured_before: datetime,
    now: datetime,
) -> None:
    """Note on what a training stands; see `Training`."""
    facts = {
        "training": number,
        "snapshot": snapshot,
        "as_of": as_of.isoformat(),
        "recorded_by": recorded_by and recorded_by.isoformat(),
        "matured_before": matured_before.isoformat(),
    }
    reason = f"labels as known at {as_of:%Y-%m-%d %H:%M} UTC"
    record_act(conn, actor="training", action=SNAPSHOT, subject=model_name, reason=reason, at=now, details=facts)


def note_end(
    conn: Connection,
    model_name: str,
    number: int,
    *,
    outcome: Literal["completed", "failed"],
    reason: str,
    now: datetime,
    version: str | None = None,
) -> None:
    """Note how a training ended; the first note counts."""
    facts = {"training": number, "outcome": outcome, "version": version}
    record_act(conn, actor="training", action=ENDED, subject=model_name, reason=reason, at=now, details=facts)


def note_not_started(conn: Connection, model_name: str, run: str, *, reason: str, now: datetime) -> None:
    """Note that a training which was decided on never began."""
    facts = {"run": run}
    record_act(conn, actor="training", action=NOT_STARTED, subject=model_name, reason=reason, at=now, details=facts)


def was_not_started(conn: Connection, model_name: str, run: str) -> bool:
    """Whether that was noted of a run."""
    query = select(audit.c.id).where(
        audit.c.subject == model_name, audit.c.action == NOT_STARTED, audit.c.details["run"].as_string() == run
    )
    return conn.execute(query.limit(1)).first() is not None


def last_training(
    conn: Connection, model_name: str, *, now: datetime, completed: bool = False, run: str | None = None
) -> Training | None:
    """Return the last training that had begun by `now`; the last completed one, or the last of a run, on request."""
    found = _read(conn, model_name, now, 1, "completed" if completed else None, run)
    return found[0] if found else None


def list_trainings(conn: Connection, model_name: str, *, now: datetime, limit: int = 100) -> list[Training]:
    """Return the trainings that had begun by `now`, the newest first."""
    return _read(conn, model_name, now, limit)


def _read(
    conn: Connection, model_name: str, now: datetime, limit: int, outcome: str | None = None, run: str | None = None
) -> list[Training]:
    values: dict[str, Any] = {"subject": model_name, "now": now, "limit": limit, "outcome": outcome, "run": run}
    values |= {"begun": BEGUN, "snapshot": SNAPSHOT, "ended": ENDED}
    return [Training(**row) for row in conn.execute(_TRAININGS, values).mappings()]
