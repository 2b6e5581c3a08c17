"""Feature vectors: the offline build of a whole table and the online one of a micro-batch.

Both assemble the same columns from the same functions; they differ in where histories and risk come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.arrivals import Arrivals
from sentinel_core.features.attempts import NAMES, attempt_features, first_attempts, put_attempts
from sentinel_core.features.blocks import Histories, columns_of, events_block, ordered_blocks, row_block
from sentinel_core.features.calendar import calendar
from sentinel_core.features.catalog import CATALOGUE, POSITION
from sentinel_core.features.entities import DEVICE, ENTITY_KINDS, MICROS_PER_DAY, TOUCHED, USER, EntityKind
from sentinel_core.features.events import Bool, Events, Int, Stamps
from sentinel_core.features.kernel import Block, history_features
from sentinel_core.features.risk import RISK_NAMES, RiskHistory, RiskTable, ServedTables, served_midnight
from sentinel_core.features.transaction import transaction_features

CHUNK_ROWS: Final = 4096
PARTITION_ROWS: Final = 2**19
"""Rows whose arrays the allocator keeps and reuses: larger ones are mapped anew each time, page by page."""
RISK: Final = "risk"


def _span(names: Sequence[str]) -> slice:
    return slice(POSITION[names[0]], POSITION[names[-1]] + 1)


PARTS: Final[Mapping[str, slice]] = {
    **{
        kind.name: _span([f.name for f in CATALOGUE if f.entity == kind.name and f.group != RISK])
        for kind in ENTITY_KINDS
    },
    RISK: _span(RISK_NAMES),
}
"""The columns of the vector that the histories of each entity kind fill, by its name, and that daily tables fill."""
_TOUCHED_ONLINE: Final = replace(DEVICE, lateness_us=10 * MICROS_PER_DAY)
"""Limits for a block of several kinds, which have their cap in common.

The store has left out what came late, and no window reaches to where a history ends: wider limits change nothing, and
a lazily trimmed history needs no sorting out.
"""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Feature vectors of rows.

    `values`: float32, shape (n, len(CATALOGUE)), finite, in the catalogue's order. `late`: bool, shape (n,), rows that
    came too late and were built as cold starts. `risk_as_of`: int64 µs, shape (n,), the midnight of the risk table
    used (0: none).
    """

    values: NDArray[np.float32]
    late: Bool
    risk_as_of: Int


@dataclass(frozen=True, slots=True)
class Touches:
    """What the entities that a micro-batch touched knew, an element for each entity of each row.

    `rows` are places of rows, `kinds` places in `TOUCHED`, `time` (µs) is what the entity noted for the row, and
    `histories[i]` the records (`TOUCH`) that arrived before it.
    """

    rows: Int
    kinds: Int
    time: Int
    histories: Sequence[NDArray[Any]]


def build_offline(
    events: Events,
    risk: RiskHistory | ServedTables | None,
    *,
    kind: EntityKind = USER,
    risk_as_of: Int | None = None,
    stamps: Mapping[str, Stamps] | None = None,
    threads: int = 1,
) -> Vectors:
    """Build the vector of every event of a table, in its order; each row sees only what arrived before it.

    `risk_as_of` (µs, shape (n,), 0 for the empty table) names the midnights that were used online; without it each
    row takes the table that serves its time. Without `risk` every row takes the empty table. `stamps` holds, by the
    name of an entity kind, what was noted online; without it entities saw the rows in the order of the table.
    `threads` build the parts of different entities side by side: NumPy computes without the interpreter's lock.
    """
    n = len(events)
    values = np.empty((n, len(CATALOGUE)), dtype=np.float32)
    as_of = np.zeros(n, dtype=np.int64)
    if risk is not None:
        as_of = served_midnight(events.time) if risk_as_of is None else risk_as_of
    with ThreadPoolExecutor(threads) as pool:
        late = pool.submit(_put_histories, values[:, PARTS[kind.name]], events, kind, history_features)
        parts: list[Future[Any]] = [
            pool.submit(_put_attempts, values[:, PARTS[touched.name]], events, touched, stamps or {})
            for touched in TOUCHED
        ]
        parts.append(pool.submit(_put_plain, values, events, risk, as_of))
        for part in parts:
            part.result()
        return Vectors(values, late.result(), as_of)


def build_part(events: Events, kind: EntityKind) -> tuple[NDArray[np.float32], Bool]:
    """Build the columns `PARTS[kind.name]` of some events, all of each of their entities: float32, shape (n, width).

    Whatever the rest of the table is, they are those of `build_offline`. Also returns which rows are late.
    """
    columns = PARTS[kind.name]
    values = np.empty((len(events), columns.stop - columns.start), dtype=np.float32)
    if kind.name == USER.name:
        return values, _put_histories(values, events, kind, history_features)
    return values, _put_attempts(values, events, kind, {})


def join_parts(events: Events, parts: Iterable[tuple[str, Any, NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Join parts to the vectors of events: each with its name in `PARTS`, the places of its rows, and its values.

    What a row tells by itself is filled in here; a row that no part of an entity kind holds has no such entity.
    """
    values = np.zeros((len(events), len(CATALOGUE)), dtype=np.float32)
    _put(values, slice(None), {**transaction_features(events), **calendar(events.time)})
    for name, rows, part in parts:
        values[rows, PARTS[name]] = part
    return values


def build_online(
    events: Events,
    histories: Sequence[NDArray[Any]],
    risk: RiskTable,
    *,
    kind: EntityKind = USER,
    touches: Touches | None = None,
) -> Vectors:
    """Build the vectors of a micro-batch; `histories[i]` holds the records (`RECORD`) that arrived before row i.

    `touches` tells what its entities knew; of an entity that is missing there, though the row names it, the row is the
    first attempt. Histories may hold more than the limits let a row see (a store trims lazily); they are applied here.
    """
    n = len(events)
    values = np.empty((n, len(CATALOGUE)), dtype=np.float32)
    if n == 0:
        return Vectors(values, np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64))
    block, late = row_block(events.time, columns_of(events, kind), Histories.of_records(histories, kind), kind)
    columns = (
        transaction_features(events)
        | calendar(events.time)
        | history_features(block)
        | risk.lookup(events.merchant, events.country)
    )
    _put(values, slice(None), columns)
    _put_touches(values, events, touches)
    return Vectors(values, late, np.full(n, risk.as_of, dtype=np.int64))


def _put_touches(values: NDArray[np.float32], events: Events, touches: Touches | None) -> None:
    """Fill in what the entities of a micro-batch saw, all kinds in one block."""
    known = 0 if touches is None else len(touches.rows)
    if known < len(TOUCHED) * len(events):
        for kind in TOUCHED:
            _put(values[:, PARTS[kind.name]], slice(None), first_attempts(events, kind))
    if touches is not None and known:
        seen = {name: getattr(events, name).take(touches.rows) for name in _TOUCHED_ONLINE.seen}
        block, _ = row_block(
            touches.time, seen, Histories.of_records(touches.histories, _TOUCHED_ONLINE), _TOUCHED_ONLINE
        )
        put_attempts(values[:, POSITION[NAMES[0][0]] :], block, touches.rows, touches.kinds)


def _put_plain(
    values: NDArray[np.float32], events: Events, risk: RiskHistory | ServedTables | None, as_of: Int
) -> None:
    """Fill in what needs no history: the transaction, the calendar, and what was known at midnight."""
    _put(values, slice(None), {**transaction_features(events), **calendar(events.time)})
    if risk is None:
        _put(values[:, PARTS[RISK]], slice(None), RiskTable.empty().lookup(events.merchant, events.country))
    else:
        _put(values[:, PARTS[RISK]], slice(None), risk.lookup(events, as_of))


def _put_attempts(values: NDArray[np.float32], events: Events, kind: EntityKind, stamps: Mapping[str, Stamps]) -> Bool:
    """Fill in what the entities of a kind saw, as far as they noted the rows; return which of those are late."""
    noted = stamps.get(kind.name)
    known = events.entity(kind) != 0
    rows = np.flatnonzero(known if noted is None else known & (noted.arrival >= 0))
    seen = events if len(rows) == len(events) else events.take(rows)
    if noted is not None:
        seen = replace(seen, time=noted.time[rows], arrival=noted.arrival[rows])
    if len(rows) < len(events):
        _put(values, slice(None), first_attempts(events, kind))
    return _put_histories(values, seen, kind, partial(attempt_features, kind=kind), rows)


def _put_histories(
    values: NDArray[np.float32],
    events: Events,
    kind: EntityKind,
    features: Callable[[Block], Mapping[str, NDArray[Any]]],
    rows: Int | None = None,
) -> Bool:
    """Fill in the history features of a table and return which rows are late; `rows` names those of `values`.

    Of a large table some entities are done at a time, so that time and memory stay linear in its rows.
    """
    count = len(events) // PARTITION_ROWS + 1
    if count == 1:
        return _put_partition(values, events, kind, features, rows)
    partition = ((events.entity(kind) >> np.uint64(32)) % np.uint64(count)).astype(np.uint16)
    late = np.zeros(len(events), dtype=np.bool_)
    for number in range(count):
        own = np.flatnonzero(partition == number)
        late[own] = _put_partition(values, events.take(own), kind, features, own if rows is None else rows[own])
    return late


def _put_partition(
    values: NDArray[np.float32],
    events: Events,
    kind: EntityKind,
    features: Callable[[Block], Mapping[str, NDArray[Any]]],
    rows: Int | None,
) -> Bool:
    """Answer every row from its place in order of time, and the few whose history is another one once more."""
    arrivals = Arrivals.of(events, kind)

    def put(places: Int, block: Block) -> None:
        _put(values, places if rows is None else rows[places], features(block))

    for part, block in ordered_blocks(events, arrivals.order, arrivals.starts, kind):
        put(arrivals.order[part], block)
    for displaced, histories in arrivals.histories(events, kind):
        put(displaced, events_block(events.take(displaced), histories, kind))
    put(arrivals.late, events_block(events.take(arrivals.late), Histories.none(len(arrivals.late), kind), kind))
    late = np.zeros(len(events), dtype=np.bool_)
    late[arrivals.late] = True
    return late


def _put(values: NDArray[np.float32], rows: Any, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns side by side from the first of `values` on; chunk by chunk, to stay in the cache."""
    part = values[:, : len(columns)]
    if isinstance(rows, slice):
        part = part[rows]
        for start in range(0, len(part), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            for target, column in zip(part[chunk].T, columns.values(), strict=True):
                target[...] = column[chunk]
        return
    matrix = np.empty((len(columns), len(rows)), dtype=np.float32)
    for target, column in zip(matrix, columns.values(), strict=True):
        target[...] = column
    part[rows] = matrix.T
