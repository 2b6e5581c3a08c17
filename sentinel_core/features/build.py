"""Feature vectors: the offline build of a whole table and the online one of a micro-batch.

Both assemble the same columns from the same functions; they differ in where histories and risk come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.blocks import Histories, arrival_histories, ordered_blocks, row_block
from sentinel_core.features.calendar import calendar
from sentinel_core.features.catalog import CATALOGUE, POSITION
from sentinel_core.features.entities import USER, EntityKind
from sentinel_core.features.events import Bool, Events, Int
from sentinel_core.features.kernel import history_features
from sentinel_core.features.risk import RiskHistory, RiskTable, served_midnight


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
    late = np.zeros(n, dtype=np.bool_)
    _put(values, slice(None), _own(events))
    if risk is None:
        as_of = np.zeros(n, dtype=np.int64)
        _put(values, slice(None), RiskTable.empty().lookup(events.merchant, events.country))
    else:
        as_of = served_midnight(events.time) if risk_as_of is None else risk_as_of
        _put(values, slice(None), risk.lookup(events, as_of))
    _histories_offline(events, kind, values, late)
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
    _put(values, slice(None), _own(events))
    _put(values, slice(None), history_features(block))
    _put(values, slice(None), risk.lookup(events.merchant, events.country))
    return Vectors(values, late, np.full(n, risk.as_of, dtype=np.int64))


def _own(events: Events) -> dict[str, NDArray[Any]]:
    """Return the features of a transaction by itself."""
    cents = events.cents
    amount = cents / 100.0
    return {
        "amount": amount,
        "amount_log": np.log1p(amount),
        "is_small_amount": cents <= 500,
        "is_round_amount": cents % 1000 == 0,
        "is_bank_transfer": events.is_bank_transfer,
        **calendar(events.time),
    }


def _histories_offline(events: Events, kind: EntityKind, values: NDArray[np.float32], late: Bool) -> None:
    """Fill in the history features: in blocks for users who arrived in order, user by user for the others."""
    if len(events) == 0:
        return
    _, codes = np.unique(events.user, return_inverse=True)
    order = np.lexsort((events.arrival, events.time, codes))
    user, arrival = codes[order], events.arrival[order]
    backwards = (arrival[1:] < arrival[:-1]) & (user[1:] == user[:-1])
    disordered = np.zeros(int(user[-1]) + 1, dtype=np.bool_)
    disordered[user[1:][backwards]] = True
    if disordered.any():
        aside = disordered[user]
        _disordered(events, user[aside], order[aside], kind, values, late)
        user, order = user[~aside], order[~aside]
    for rows, block in ordered_blocks(user, events.take(order), kind):
        _put(values, order[rows], history_features(block))


def _disordered(
    events: Events, user: Int, order: Int, kind: EntityKind, values: NDArray[np.float32], late: Bool
) -> None:
    for rows in np.split(order, np.flatnonzero(user[1:] != user[:-1]) + 1):
        arrived = rows[np.argsort(events.arrival[rows], kind="stable")]
        own = events.take(arrived)
        for group, histories in arrival_histories(own, kind):
            block, is_late = row_block(own.take(group), histories, kind)
            _put(values, arrived[group], history_features(block))
            late[arrived[group]] = is_late


def _put(values: NDArray[np.float32], rows: Any, columns: Mapping[str, NDArray[Any]]) -> None:
    for name, column in columns.items():
        values[rows, POSITION[name]] = column
