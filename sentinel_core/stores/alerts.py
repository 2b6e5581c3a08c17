"""The table `alerts`: what somebody should look at, who took note of it, and when it ended. Append-only.

A row that says firing opens an incident and gives it its number. The rows that say acknowledged or resolved name that
number in their details: `{"alert_id": 17}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, select, text

from sentinel_core.stores.postgres import take_turns
from sentinel_core.stores.tables import alerts

Severity = Literal["critical", "high", "medium", "low"]
State = Literal["firing", "resolved", "acknowledged"]
CHECK: Final = "alert_check"
"""The actor of alerts that a rule made: they end by themselves. What others recorded ends when it is acknowledged."""
NUMBER_MAX: Final = 2**63 - 1
_INCIDENTS: Final = """
    SELECT f.id, f.rule, f.severity, f.metric, f.value, f.threshold, f.actor, f.reason, f.details,
           f.created_at AS fired_at, a.created_at AS acknowledged_at, a.actor AS acknowledged_by,
           a.reason AS acknowledged_because, r.created_at AS resolved_at, r.reason AS resolved_because,
           CASE WHEN r.id IS NOT NULL THEN 'resolved' WHEN a.id IS NOT NULL THEN 'acknowledged' ELSE 'firing' END
               AS state,
           r.id IS NULL AND (a.id IS NULL OR f.actor = :check) AS open
    FROM alerts AS f
    LEFT JOIN LATERAL (
        SELECT * FROM alerts WHERE rule = f.rule AND state = 'acknowledged' AND details ->> 'alert_id' = f.id::text
        ORDER BY id LIMIT 1
    ) AS a ON true
    LEFT JOIN LATERAL (
        SELECT * FROM alerts WHERE rule = f.rule AND state = 'resolved' AND details ->> 'alert_id' = f.id::text
        ORDER BY id LIMIT 1
    ) AS r ON true
    WHERE f.state = 'firing'
"""
_FROM: Final = f"SELECT * FROM ({_INCIDENTS}) AS one"  # noqa: S608
_NEWEST: Final = text(f"{_FROM} ORDER BY id DESC LIMIT :limit")
_OPEN: Final = text(f"{_FROM} WHERE open ORDER BY id DESC LIMIT :limit")
_ONE: Final = text(
    f"""
    {_FROM} WHERE id = (
        SELECT CASE state WHEN 'firing' THEN id ELSE CAST(details ->> 'alert_id' AS bigint) END
        FROM alerts WHERE id = :id
    )
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One change of state of a rule: which figure crossed which threshold, who says so and why."""

    rule: str
    severity: Severity
    state: State
    metric: str
    actor: str
    reason: str
    created_at: datetime
    value: float | None = None
    threshold: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def record_alert(conn: Connection, alert: Alert) -> int:
    """Append one alert, return its number."""
    return int(conn.execute(insert(alerts).values(asdict(alert)).returning(alerts.c.id)).scalar_one())


def list_alerts(conn: Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest rows, newest first."""
    rows = conn.execute(select(alerts).order_by(alerts.c.id.desc()).limit(limit))
    return [dict(row) for row in rows.mappings()]


def list_incidents(conn: Connection, *, only_open: bool = False, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest incidents, newest first: each as its firing row, with who acknowledged it and when it ended.

    `state` is firing, acknowledged or resolved. Open are those that have not ended; see `CHECK`.
    """
    rows = conn.execute(_OPEN if only_open else _NEWEST, {"check": CHECK, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def get_incident(conn: Connection, number: int) -> dict[str, Any] | None:
    """Return the incident that a row of the table belongs to, or None where there is no such row."""
    if not 0 < number <= NUMBER_MAX:
        return None
    row = conn.execute(_ONE, {"check": CHECK, "id": number}).mappings().one_or_none()
    return None if row is None else dict(row)


def acknowledge(
    conn: Connection, number: int, *, actor: str, reason: str, now: datetime, details: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Write down that somebody took note of an incident; return it as it is now, or None where there is none.

    The first to acknowledge counts: a second call changes nothing and returns the same, as does one on an incident that
    is resolved.
    """
    take_turns(conn, f"acknowledging alert {number}")
    incident = get_incident(conn, number)
    if incident is None or incident["state"] != "firing":
        return incident
    told = {name: incident[name] for name in ("rule", "severity", "metric", "value", "threshold")}
    facts = {**(details or {}), "alert_id": incident["id"]}
    record_alert(conn, Alert(**told, state="acknowledged", actor=actor, reason=reason, created_at=now, details=facts))
    return get_incident(conn, number)
