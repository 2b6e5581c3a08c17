"""The published risk table: one hash, so that workers learn by a few bytes whether there is a newer one."""

from __future__ import annotations

from typing import Final

import redis

from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import script, store_errors

RISK_AS_OF: Final = "as_of"
RISK_TABLE: Final = "table"


def publish_risk(client: redis.Redis, settings: Settings, table: bytes, as_of_us: int) -> bool:
    """Publish a risk table of midnight `as_of_us` (µs); false where a newer one is there, which stays.

    `table` is what `RiskTable.to_bytes` gives. The same midnight again replaces the table. Raises `StoreError`.
    """
    with store_errors("publish a risk table"):
        done = client.eval(script("publish_risk"), 1, Keys.of(settings).risk, as_of_us, table)
    return bool(done)


def load_risk(client: redis.Redis, settings: Settings) -> tuple[int, bytes] | None:
    """Return midnight (µs) and bytes of the published table, or None where there is none. Raises `StoreError`."""
    with store_errors("return its risk table"):
        as_of, table = client.hmget(Keys.of(settings).risk, [RISK_AS_OF, RISK_TABLE])
    if as_of is None or not isinstance(table, bytes):
        return None
    return int(as_of), table
