"""Histories from PostgreSQL into Redis: a lost Redis costs minutes, not knowledge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import numpy as np
import redis
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from sentinel_core.features.entities import RECORD, RECORD_VERSION
from sentinel_core.features.events import hash_texts
from sentinel_core.settings import Settings
from sentinel_core.stores.histories import HistoryLoad, load_histories

_ROWS: Final = text(
    """
    SELECT user_id, transaction_id, CAST(extract(epoch FROM timestamp) * 1000000 AS bigint),
           CAST(amount * 100 AS bigint),
           COALESCE(user_arrival, CAST(extract(epoch FROM timestamp) * 1000000 AS bigint)),
           COALESCE(payload_hash, '0'), device_id, location_country, merchant_id
    FROM transactions
    WHERE NOT late AND (CAST(:since AS timestamptz) IS NULL OR timestamp > :since)
    ORDER BY user_id, 5, transaction_id
    """
)


def read_histories(
    conn: Connection, *, since: datetime | None = None, chunk_rows: int = 100_000
) -> Iterator[tuple[list[str], NDArray[Any]]]:
    """Yield what belongs into histories, by user and arrival: user_ids and `RECORD` rows of equal length.

    Rows are those with `timestamp` > `since`, without late ones; a user may go on in the next chunk.
    """
    result = conn.execute(
        _ROWS, {"since": since}, execution_options={"stream_results": True, "max_row_buffer": chunk_rows}
    )
    for rows in result.partitions(chunk_rows):
        users, ids, times, cents, arrivals, payloads, devices, countries, merchants = zip(*rows, strict=True)
        records = np.zeros(len(users), RECORD)
        records["time"], records["cents"], records["arrival"] = times, cents, arrivals
        records["payload_hash"] = np.fromiter((int(payload, 16) for payload in payloads), np.uint64, len(users))
        for name, texts in (("id_hash", ids), ("device", devices), ("country", countries), ("merchant", merchants)):
            records[name] = hash_texts(texts)
        records["version"] = RECORD_VERSION
        yield list(users), records


def rebuild_histories(
    conn: Connection, client: redis.Redis, settings: Settings, *, since: datetime | None = None
) -> HistoryLoad:
    """Load the histories of all users from PostgreSQL into Redis; what is there stays, so it may run at any time.

    Raises `StoreError` where Redis is away; running it again goes on from there.
    """
    total = HistoryLoad()
    last: str | None = None
    for users, records in read_histories(conn, since=since):
        done = load_histories(client, settings, users, records)
        total = total.plus(done, continued=users[0] == last)
        last = users[-1]
    return total
