"""Feature vectors: the offline build of a whole table and the online one of a micro-batch.

Both assemble the same columns from the same functions; they differ in where histories and risk come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.arrivals import Arrivals
from sentinel_core.features.blocks import Histories, ordered_blocks, row_block
from sentinel_core.features.calendar import calendar
from sentinel_core.features.catalog import CATALOGUE, POSITION
from sentinel_core.features.entities import USER, EntityKind
from sentinel_core.features.events import Bool, Events, Int
from sentinel_core.features.kernel import history_features
from sentinel_core.features.risk import RiskHistory, RiskTable, served_midnight
from sentinel_core.features.transaction import transaction_features

CHUNK_ROWS: Final = 4096


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


def build_offline(
    events: Events, risk: RiskHistory | None, *, kind: EntityKind = USER, risk_as_of: Int | None = None
) -> Vectors:
    """Build the vector of every event of a table, in its order; each row sees only what arrived before it.

    `risk_as_of` (µs, shape (n,), 0 for the empty table) names the midnights that were used online; without it each
    row takes the table that serves its time. Without `risk` every row takes the empty table.
    """
    n = len(events)
    values = np.empty((n, len(CATALOGUE)), dtype=np.float32)
    if risk is None:
        as_of = np.zeros(n, dtype=np.int64)
        by_risk = RiskTable.empty().lookup(events.merchant, events.country)
    else:
        as_of = served_midnight(events.time) if risk_as_of is None else risk_as_of
        by_risk = risk.lookup(events, as_of)
    _put(values, slice(None), by_risk)
    _put(values, slice(None), {**transaction_features(events), **calendar(events.time)})
    late = _put_histories(values, events, kind)
    return Vectors(values, late, as_of)


def build_online(
    events: Events, histories: Sequence[NDArray[Any]], risk: RiskTable, *, kind: EntityKind = USER
) -> Vectors:
    """Build the vectors of a micro-batch; `histories[i]` holds the records (`RECORD`) that arrived before row i.

    The histories may hold more than the limits let a row see (a store trims lazily); they are applied here.
    """
    n = len(events)
    values = np.empty((n, len(CATALOGUE)), dtype=np.float32)
    if n == 0:
        return Vectors(values, np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64))
    block, late = row_block(events, Histories.of_records(histories), kind)
    columns = (
        transaction_features(events)
        | calendar(events.time)
        | history_features(block)
        | risk.lookup(events.merchant, events.country)
    )
    _put(values, slice(None), columns)
    return Vectors(values, late, np.full(n, risk.as_of, dtype=np.int64))


def _put_histories(values: NDArray[np.float32], events: Events, kind: EntityKind) -> Bool:
    """Fill in the history features of a table and return which rows are late.

    Every row is answered from its place in order of time; the few whose history is another one are answered again.
    """
    arrivals = Arrivals.of(events, kind)
    for rows, block in ordered_blocks(events.take(arrivals.order), arrivals.starts, kind):
        _put(values, arrivals.order[rows], history_features(block))
    for displaced, histories in arrivals.histories(events, kind):
        block, _ = row_block(events.take(displaced), histories, kind)
        _put(values, displaced, history_features(block))
    block, _ = row_block(events.take(arrivals.late), Histories.none(len(arrivals.late)), kind)
    _put(values, arrivals.late, history_features(block))
    late = np.zeros(len(events), dtype=np.bool_)
    late[arrivals.late] = True
    return late


def _put(values: NDArray[np.float32], rows: Any, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns that lie side by side in the catalogue, in its order; chunk by chunk, to stay in the cache."""
    first = POSITION[next(iter(columns))]
    part = values[:, first : first + len(columns)]
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
