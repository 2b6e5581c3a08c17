"""The table `notifications`: which channel took which message, and which did not. Append-only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert, text

from sentinel_core.stores.tables import notifications

_WAITING: Final = text(
    """
    SELECT c.channel, waiting.* FROM unnest(CAST(:channels AS text[])) AS c(channel)
    CROSS JOIN LATERAL (
        SELECT * FROM alerts AS a
        WHERE a.created_at > :since AND a.created_at <= :now AND a.state IN ('firing', 'resolved')
          AND NOT EXISTS (
              SELECT FROM notifications AS n WHERE n.alert_id = a.id AND n.channel = c.channel AND n.state = 'sent'
          )
        ORDER BY a.id LIMIT :limit
    ) AS waiting
    ORDER BY waiting.id
    """
)


def waiting_alerts(
    conn: Connection, channels: Sequence[str], *, now: datetime, reach: timedelta, limit: int
) -> list[dict[str, Any]]:
    """Return the rows of `alerts` of the last `reach` that a channel has not taken yet, oldest first.

    A row comes once for each such `channel`, at most `limit` rows for each.
    """
    values = {"channels": list(channels), "since": now - reach, "now": now, "limit": limit}
    return [dict(row) for row in conn.execute(_WAITING, values).mappings()]


def record_notification(
    conn: Connection, *, alert_id: int, channel: str, sent: bool, attempts: int, reason: str, at: datetime
) -> int:
    """Append how sending to a channel ended, return the row's number."""
    values = {
        "alert_id": alert_id,
        "channel": channel,
        "state": "sent" if sent else "failed",
        "attempts": attempts,
        "reason": reason,
        "created_at": at,
    }
    return int(conn.execute(insert(notifications).values(values).returning(notifications.c.id)).scalar_one())
