"""The table `alerts`: what somebody should look at, and when it ended. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select

from sentinel_core.stores.tables import alerts

Severity = Literal["critical", "high", "medium", "low"]
State = Literal["firing", "resolved", "acknowledged"]


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
    """Return the newest alerts, newest first."""
    rows = conn.execute(select(alerts).order_by(alerts.c.id.desc()).limit(limit))
    return [dict(row) for row in rows.mappings()]
