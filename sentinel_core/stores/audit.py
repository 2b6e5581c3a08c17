"""The table `audit`: who did what to the system by hand, and why. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from sentinel_core.stores.tables import audit


def record_act(
    conn: Connection,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> int:
    """Append one act, return its number."""
    values = {"actor": actor, "action": action, "subject": subject, "reason": reason, "created_at": at}
    row = insert(audit).values(values | {"details": dict(details or {})}).returning(audit.c.id)
    return int(conn.execute(row).scalar_one())


def list_acts(conn: Connection, *, subject: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest acts, newest first; those on one subject where it is given."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    return [dict(row) for row in conn.execute(query).mappings()]
