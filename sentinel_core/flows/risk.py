"""Risk: the daily table of merchant and country risk, from what PostgreSQL knew at midnight, published to Redis."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sentinel_core.datasets.events import to_events
from sentinel_core.errors import EmptyDataError
from sentinel_core.features.calendar import midnight
from sentinel_core.features.risk import RECENCY_DAYS, RiskHistory
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.database import known_labels, read_transactions
from sentinel_core.schema import MICROS_PER_SECOND, from_micros, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.redis_clients import make_client
from sentinel_core.stores.risk import publish_risk

REACH_DAYS: Final = RECENCY_DAYS
"""How far back from midnight a table looks; the 30-day window behind the label delay lies within it."""


def refresh_risk(settings: Settings, *, now: datetime, progress: Progress = silent) -> dict[str, Any]:
    """Publish the table of the last midnight (UTC) before `now`; return {"as_of", "merchants", "published"}.

    Only labels known by that midnight count. Where a newer table is there, or PostgreSQL holds no transaction yet,
    nothing is published. Raises `StoreError` where a store is away.
    """
    as_of_us = int(midnight(to_micros(now)))
    as_of = from_micros(as_of_us)
    reach = timedelta(days=max(REACH_DAYS, settings.label_delay_days + 30))
    try:
        frame = read_transactions(settings, as_of, progress, since=as_of - reach)
    except EmptyDataError:
        return {"as_of": as_of.isoformat(), "merchants": 0, "published": False}
    delay_us = int(settings.label_delay.total_seconds() * MICROS_PER_SECOND)
    table = RiskHistory(to_events(frame), known_labels(frame, settings.label_delay), delay_us).at(as_of_us)
    client = make_client(settings)
    try:
        published = publish_risk(client, settings, table.to_bytes(), as_of_us)
    finally:
        client.close()
    progress(f"risk of {len(table.merchants):,} merchants as of {as_of:%Y-%m-%d}")
    return {"as_of": as_of.isoformat(), "merchants": len(table.merchants), "published": published}
