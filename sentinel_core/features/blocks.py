"""Kernel blocks from events: whole histories of entities in order, and one history a row otherwise.

Both forms apply the same limits. A row at time t sees, of its own entity, what arrived before it and is not later
than t. Of that, a history keeps the events newer than max(t, the newest) − W − L, and of those the newest C.
A row more than L behind the newest event before it is late: it sees nothing and is in no later history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import EntityKind
from sentinel_core.features.events import Bool, Events, Hash, Int
from sentinel_core.features.kernel import Block

MAX_KEY: Final = 2**62
MAX_EVENTS: Final = 2**16
"""Events of one block, where no single entity has more: arrays that fit a processor's cache."""


def ordered_blocks(events: Events, starts: Int, kind: EntityKind) -> Iterator[tuple[slice, Block]]:
    """Yield blocks over events sorted by (entity, time, arrival), each with the slice of rows that it answers.

    `starts` says where each entity begins. Every row sees the rows of its entity above it.
    """
    n = len(events)
    if n == 0:
        return
    origin = int(events.time.min())
    stride = int(events.time.max()) - origin + kind.longest_window_us + kind.lateness_us + 1
    entities_a_block = max(1, MAX_KEY // stride)
    bounds = np.append(starts, n)
    at = 0
    while at < len(starts):
        upto = int(bounds.searchsorted(bounds[at] + MAX_EVENTS, side="right")) - 1
        upto = min(max(upto, at + 1), at + entities_a_block)
        rows = slice(int(bounds[at]), int(bounds[upto]))
        sizes = np.diff(bounds[at : upto + 1])
        base = np.arange(upto - at, dtype=np.int64) * stride - origin
        first = bounds[at:upto] - bounds[at]
        yield rows, _ordered(events.take(rows), base.repeat(sizes), first.repeat(sizes), kind)
        at = upto


def _ordered(events: Events, base: Int, first: Int, kind: EntityKind) -> Block:
    key = base + events.time
    end = np.arange(len(key), dtype=np.int64)
    horizon = key.searchsorted(key - (kind.longest_window_us + kind.lateness_us), side="right")
    floor = np.maximum(np.maximum(first, horizon), end - kind.cap)
    return Block(
        key, events.cents, events.device, events.country, key, events.cents, events.device, events.country, floor, end
    )


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories of rows laid end to end: row i owns `lengths[i]` events, simultaneous ones in order of arrival."""

    lengths: Int
    time: Int
    cents: Int
    device: Hash
    country: Hash

    @classmethod
    def of_records(cls, histories: Sequence[NDArray[Any]]) -> Histories:
        """Take one array of `RECORD` a row."""
        lengths = np.array([len(history) for history in histories], dtype=np.int64)
        records = histories[0] if len(histories) == 1 else np.concatenate(histories)
        return cls(lengths, records["time"], records["cents"], records["device"], records["country"])

    @classmethod
    def gather(cls, events: Events, seen: Sequence[Int]) -> Histories:
        """Take one array of row numbers of `events` a row."""
        lengths = np.array([len(rows) for rows in seen], dtype=np.int64)
        rows = np.concatenate(seen)
        return cls(lengths, events.time[rows], events.cents[rows], events.device[rows], events.country[rows])

    @classmethod
    def none(cls, rows: int) -> Histories:
        """Give each of some rows an empty history."""
        nothing, nobody = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
        return cls(np.zeros(rows, dtype=np.int64), nothing, nothing, nobody, nobody)


def row_block(rows: Events, histories: Histories, kind: EntityKind) -> tuple[Block, Bool]:
    """Return a block in which every row has a history of its own, and which rows are late (bool, shape (rows,)).

    The histories may hold more than the limits let a row see; the limits are applied here. Keys stay below 2⁶³ for
    up to a million rows.
    """
    n, reach = len(rows), kind.longest_window_us + kind.lateness_us
    stride = reach + kind.lateness_us + 1
    row_key = np.arange(n, dtype=np.int64) * stride
    row = np.arange(n).repeat(histories.lengths)
    relative = histories.time - rows.time[row]
    cents, device, country = histories.cents, histories.device, histories.country
    late = np.zeros(n, dtype=np.bool_)
    in_order = len(relative) == 0 or (relative.max() <= 0 and relative.min() > -reach)
    if not in_order:
        newest = np.zeros(n, dtype=np.int64)
        np.maximum.at(newest, row, relative)
        late = newest > kind.lateness_us
        seen = np.flatnonzero((relative > newest[row] - reach) & ~late[row])
        row, relative, cents, device, country = row[seen], relative[seen], cents[seen], device[seen], country[seen]
    # Relative times lie in (−reach, L] by now: no row reaches into another's keys.
    key = row_key[row] + relative
    if (key[1:] < key[:-1]).any():
        order = key.argsort(kind="stable")
        key, cents, device, country = key[order], cents[order], device[order], country[order]
    upto = np.bincount(row, minlength=n).cumsum()
    first = np.zeros_like(upto)
    first[1:] = upto[:-1]
    floor = np.maximum(first, upto - kind.cap)
    end = upto if in_order else np.maximum(key.searchsorted(row_key, side="right"), floor)
    return Block(key, cents, device, country, row_key, rows.cents, rows.device, rows.country, floor, end), late
