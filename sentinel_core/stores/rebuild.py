"""Histories from PostgreSQL into Redis: a lost Redis costs minutes, not knowledge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import redis
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from sentinel_core.features.entities import RECORD_VERSION, USER, EntityKind
from sentinel_core.features.events import hash_texts
from sentinel_core.settings import Settings
from sentinel_core.stores.histories import HistoryLoad, load_histories

_ROWS: Final = """
    SELECT {entity}, transaction_id, {time}, CAST(amount * 100 AS bigint), {arrival},
           COALESCE(payload_hash, '0'), device_id, location_country, merchant_id, user_id
    FROM transactions
    WHERE {held} AND (CAST(:since AS timestamptz) IS NULL OR timestamp > :since)
    ORDER BY {entity}, {arrival}, transaction_id
    """
_TIME: Final = "CAST(extract(epoch FROM timestamp) * 1000000 AS bigint)"
_NEWEST: Final = text("SELECT max(timestamp) FROM transactions")


def read_histories(
    conn: Connection, *, kind: EntityKind = USER, since: datetime | None = None, chunk_rows: int = 100_000
) -> Iterator[tuple[list[str], NDArray[Any]]]:
    """Yield what belongs into histories, by entity and arrival: ids and records of the kind, of equal length.

    Rows are those with `timestamp` > `since`, without late ones; an entity may go on in the next chunk. Of devices,
    addresses and merchants only what the newest transaction could still look at is read.
    """
    result = conn.execute(
        _query(kind),
        {"since": since if kind == USER else _horizon(conn, kind, since)},
        execution_options={"stream_results": True, "max_row_buffer": chunk_rows},
    )
    for rows in result.partitions(chunk_rows):
        entities, ids, times, cents, arrivals, payloads, devices, countries, merchants, users = zip(*rows, strict=True)
        records = np.zeros(len(entities), kind.record)
        records["time"], records["cents"], records["arrival"] = times, cents, arrivals
        texts = {"id_hash": ids, "device": devices, "country": countries, "merchant": merchants, "user": users}
        for name in kind.record.names or ():
            if name in texts:
                records[name] = hash_texts(texts[name])
        if kind == USER:
            records["payload_hash"] = np.fromiter((int(payload, 16) for payload in payloads), np.uint64, len(entities))
        records["version"] = RECORD_VERSION
        yield list(entities), records


def rebuild_histories(
    conn: Connection,
    client: redis.Redis,
    settings: Settings,
    *,
    kind: EntityKind = USER,
    since: datetime | None = None,
) -> HistoryLoad:
    """Load the histories of all entities of a kind from PostgreSQL into Redis; what is there stays.

    It may run at any time. Raises `StoreError` where Redis is away; running it again goes on from there.
    """
    total = HistoryLoad()
    last: str | None = None
    for entities, records in read_histories(conn, kind=kind, since=since):
        done = load_histories(client, settings, entities, records, kind=kind)
        total = total.plus(done, continued=entities[0] == last)
        last = entities[-1]
    return total


def _query(kind: EntityKind) -> Any:
    if kind == USER:
        parts = {"time": _TIME, "arrival": f"COALESCE(user_arrival, {_TIME})", "held": "NOT late"}
    else:
        arrival = f"{kind.name}_arrival"
        noted = f"COALESCE(CAST(noted_us ->> '{kind.name}' AS bigint), {_TIME})"
        parts = {"time": noted, "arrival": arrival, "held": f"{arrival} IS NOT NULL"}
    return text(_ROWS.format(entity=kind.column, **parts))


def _horizon(conn: Connection, kind: EntityKind, since: datetime | None) -> datetime | None:
    newest = conn.execute(_NEWEST).scalar_one()
    if newest is None:
        return since
    horizon: datetime = newest - timedelta(microseconds=kind.longest_window_us + 2 * kind.lateness_us)
    return horizon if since is None else max(since, horizon)
