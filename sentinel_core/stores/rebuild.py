"""Histories from PostgreSQL into Redis: a lost Redis costs minutes, not knowledge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import redis
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from sentinel_core.features.entities import RECORD_VERSION, USER, EntityKind
from sentinel_core.features.events import hash_distinct
from sentinel_core.settings import Settings
from sentinel_core.stores.histories import HistoryLoad, load_histories
from sentinel_core.stores.history_rules import HistoryLimits

_ROWS: Final = """
    SELECT {entity} AS entity, transaction_id AS id_hash, {time} AS time, CAST(amount * 100 AS bigint) AS cents,
           {arrival} AS arrival, {columns}
    FROM transactions
    WHERE {held} AND timestamp > {since}
    ORDER BY {entity} COLLATE "C", {arrival}, transaction_id COLLATE "C"
    """
_TIME: Final = "CAST(extract(epoch FROM timestamp) * 1000000 AS bigint)"
_NEWEST: Final = text("SELECT max(timestamp) FROM transactions")
_SOURCES: Final = {"user": "user_id", "device": "device_id", "country": "location_country", "merchant": "merchant_id"}
"""The columns of the table that hashes of a record come from."""
_NUMBERS: Final = ("time", "cents", "arrival")
_BLOCK_BYTES: Final = 16_000_000


def read_histories(
    conn: Connection, settings: Settings, *, kind: EntityKind = USER, since: datetime | None = None
) -> Iterator[tuple[list[str], NDArray[Any]]]:
    """Yield what belongs into histories, by entity and arrival: ids and records of the kind, of equal length.

    Rows are those with `timestamp` > `since`, without late ones, as far as histories of idle entities would still be
    there at the newest transaction; an entity may go on in the next block. COPY and Arrow carry them: as Python
    values they would take ten times as long.
    """
    import pyarrow as pa
    import pyarrow.csv

    newest = conn.execute(_NEWEST).scalar_one()
    if newest is None:
        return
    horizon = newest - timedelta(microseconds=HistoryLimits.of(kind, settings).life_us)
    types = dict.fromkeys(_NUMBERS, pa.int64())
    convert = pyarrow.csv.ConvertOptions(
        column_types=types | dict.fromkeys(("entity", "payload", "id_hash", *_texts(kind)), pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with tempfile.TemporaryFile() as file:
        query = _query(kind, horizon if since is None else max(since, horizon))
        conn.connection.cursor().copy_expert(f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)", file)
        file.seek(0)
        reading = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES)
        for block in pyarrow.csv.open_csv(file, reading, parse, convert):
            yield block.column("entity").to_pylist(), _records(block, kind)


def _records(block: Any, kind: EntityKind) -> NDArray[Any]:
    records = np.zeros(len(block), kind.record)
    for name in _NUMBERS:
        records[name] = block.column(name).to_numpy(zero_copy_only=False)
    for name in ("id_hash", *_texts(kind)):
        distinct = block.column(name).dictionary_encode()
        words = np.append(hash_distinct(distinct.dictionary.to_pylist()), np.uint64(0))
        # The place of null is the last.
        records[name] = words[distinct.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)]
    if "payload" in block.schema.names:
        payloads = block.column("payload").to_pylist()
        records["payload_hash"] = np.fromiter((int(payload, 16) for payload in payloads), np.uint64, len(payloads))
    records["version"] = RECORD_VERSION
    return records


def _texts(kind: EntityKind) -> list[str]:
    return [name for name in kind.record.names or () if name in _SOURCES]


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
    for entities, records in read_histories(conn, settings, kind=kind, since=since):
        done = load_histories(client, settings, entities, records, kind=kind)
        total = total.plus(done, continued=entities[0] == last)
        last = entities[-1]
    return total


def _query(kind: EntityKind, since: datetime) -> str:
    columns = [f"{_SOURCES[name]} AS {name}" for name in _texts(kind)]
    if kind == USER:
        columns.append("COALESCE(payload_hash, '0') AS payload")
        parts = {"time": _TIME, "arrival": f"COALESCE(user_arrival, {_TIME})", "held": "NOT late"}
    else:
        arrival = f"{kind.name}_arrival"
        noted = f"COALESCE(CAST(noted_us ->> '{kind.name}' AS bigint), {_TIME})"
        parts = {"time": noted, "arrival": arrival, "held": f"{arrival} IS NOT NULL"}
    moment = f"timestamptz '{since.isoformat()}'"
    return _ROWS.format(entity=kind.column, columns=", ".join(columns), since=moment, **parts)
