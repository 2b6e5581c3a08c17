"""History: a snapshot's transactions and labels go to PostgreSQL, its users' histories to Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from sentinel_core.datasets.events import label_arrays, micros, to_events
from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.features.entities import ENTITY_KINDS, USER, EntityKind
from sentinel_core.flows import Progress, silent
from sentinel_core.schema import to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.histories import load_histories
from sentinel_core.stores.history_load import TRANSACTION_COLUMNS, load_labels, load_transactions
from sentinel_core.stores.history_rules import HistoryLimits, arrival_numbers, running_max
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.rebuild import rebuild_histories
from sentinel_core.stores.redis_clients import make_client

if TYPE_CHECKING:
    import pandas as pd

BLOCK: Final = 100_000
Arrays = dict[str, NDArray[Any]]


def load_history(settings: Settings, snapshot: str, *, now: datetime, progress: Progress = silent) -> dict[str, int]:
    """Load a snapshot into PostgreSQL and the online histories; return how many rows were given and new.

    Each event counts as having arrived when it happened, and as recorded at `now`. Of the labels only those known then
    are loaded. All of
    PostgreSQL's part is one transaction; loading again changes nothing. Raises `StoreError` where a store is away,
    `DataError` where PostgreSQL refuses a row.
    """
    taken = load_snapshot(settings.home, snapshot)
    source = str(taken.manifest["source"]["kind"])
    frame = taken.frame()
    arrivals = {kind.name: _arrivals(frame, kind) for kind in ENTITY_KINDS}
    client = make_client(settings)
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            progress(f"{len(frame):,} transactions into PostgreSQL")
            columns = _columns(frame, arrivals)
            transactions = load_transactions(conn, list(columns), _rows(columns), now=now)
            labels = load_labels(conn, _rows(_labels(frame, settings, now, source)), now=now)
            # What reads next shall not be planned for the tables as they were before.
            conn.execute(text("ANALYZE transactions, labels"))
        progress(f"{len(frame):,} events into the histories in Redis")
        users = _load_histories(client, settings, frame, arrivals)
    finally:
        engine.dispose()
        client.close()
    return {
        "transactions": transactions.given,
        "new_transactions": transactions.inserted,
        "labels": labels.given,
        "new_labels": labels.inserted,
        "users": users,
    }


def rebuild_history(settings: Settings, *, progress: Progress = silent) -> dict[str, int]:
    """Load the histories of all entities from PostgreSQL into Redis, and return how many of each kind were loaded.

    What is there stays, so it may run beside a service. Raises `StoreError` where a store is away: running it again
    goes on from there.
    """
    client = make_client(settings)
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            loaded = {}
            for kind in ENTITY_KINDS:
                progress(f"histories of each {kind.name} into Redis")
                loaded[kind.name] = rebuild_histories(conn, client, settings, kind=kind).entities
            return loaded
    finally:
        engine.dispose()
        client.close()


def _load_histories(client: Any, settings: Settings, frame: pd.DataFrame, arrivals: Arrays) -> int:
    """Load what online histories can still look at, of every kind; return how many users have one."""
    users = 0
    for kind in ENTITY_KINDS:
        arrival, time = arrivals[kind.name], micros(frame["timestamp"])
        # What lies further back would have expired by the newest event.
        since = time.max() - HistoryLimits.of(kind, settings).life_us
        rows = np.flatnonzero((arrival >= 0) & (time > since))
        chosen = frame.iloc[rows]
        records = to_events(chosen).records(kind=kind)
        records["arrival"] = arrival[rows]
        if len(rows):
            loaded = load_histories(client, settings, chosen[kind.column].astype(str).to_list(), records, kind=kind)
            users = loaded.entities if kind == USER else users
    return users


def _arrivals(frame: pd.DataFrame, kind: EntityKind) -> NDArray[np.int64]:
    """Return each row's arrival number at its entity of a kind, -1 where it is unknown or would note nothing.

    The user's own histories note late rows too: as such.
    """
    import pandas as pd

    numbers = np.full(len(frame), -1, np.int64)
    if kind.column not in frame:
        return numbers
    codes, time = pd.factorize(frame[kind.column])[0].astype(np.int64), micros(frame["timestamp"])
    rows = np.flatnonzero(codes >= 0)
    if kind != USER:
        rows = rows[~_late(codes[rows], time[rows], kind)]
    numbers[rows] = arrival_numbers(codes[rows], time[rows])
    return numbers


def _late(codes: NDArray[np.int64], time: NDArray[np.int64], kind: EntityKind) -> NDArray[np.bool_]:
    order = np.argsort(codes, kind="stable")
    late = np.zeros(len(codes), np.bool_)
    late[order] = running_max(codes[order], time[order]) - time[order] > kind.lateness_us
    return late


def _columns(frame: pd.DataFrame, arrivals: Arrays) -> Arrays:
    """Name the columns of the table `transactions` that the frame can fill, as texts and numbers that COPY reads."""
    import pandas as pd

    columns: Arrays = {}
    for name in TRANSACTION_COLUMNS:
        if name == "timestamp":
            columns[name] = _iso(micros(frame["timestamp"]))
        elif name == "amount":
            columns[name] = np.char.mod("%.2f", frame["amount"].to_numpy(np.float64))
        elif name in frame:
            values = np.array(frame[name], dtype=object)
            values[frame[name].isna().to_numpy()] = None
            columns[name] = values
    users = pd.factorize(frame["user_id"])[0].astype(np.int64)
    columns |= {"arrived_at": _iso(arrivals["user"]), "late": _late(users, micros(frame["timestamp"]), USER)}
    return columns | {f"{name}_arrival": _nullable(numbers) for name, numbers in arrivals.items()}


def _labels(frame: pd.DataFrame, settings: Settings, now: datetime, source: str) -> Arrays:
    is_fraud, known_at = label_arrays(frame, settings.label_delay)
    known = np.flatnonzero((is_fraud >= 0) & (known_at <= to_micros(now)))
    return {
        "transaction_id": np.array(frame["transaction_id"], dtype=object)[known],
        "is_fraud": is_fraud[known] > 0,
        "labelled_at": _iso(known_at[known]),
        "source": np.full(len(known), source, dtype=object),
    }


def _nullable(numbers: NDArray[np.int64]) -> NDArray[Any]:
    values = numbers.astype(object)
    values[numbers < 0] = None
    return values


def _iso(time_us: NDArray[np.int64]) -> NDArray[Any]:
    return np.char.add(np.datetime_as_string(time_us.view("datetime64[us]")), "Z")


def _rows(columns: Arrays) -> Iterator[tuple[Any, ...]]:
    """Give rows of Python values, a block at a time: as lists a whole data set would take many times its size."""
    length = len(next(iter(columns.values())))
    for start in range(0, length, BLOCK):
        block = [values[start : start + BLOCK].tolist() for values in columns.values()]
        yield from zip(*block, strict=True)
