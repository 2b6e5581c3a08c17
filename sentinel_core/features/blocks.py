"""Kernel blocks from events: whole histories of entities in order, and one history a row otherwise.

Both forms apply the same limits. A row at time t sees, of its own entity, what arrived before it and is not later
than t. Of that, a history keeps the events newer than max(t, the newest) − W − L, and of those the newest C.
A row more than L behind the newest event before it is late: it sees nothing and is in no later history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import EntityKind
from sentinel_core.features.events import Bool, Events, Int
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
    columns = _columns(events, kind)
    return Block(key, columns, key, columns, floor, end)


def _columns(events: Events, kind: EntityKind) -> dict[str, NDArray[Any]]:
    return {name: getattr(events, name) for name in kind.seen}


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories of rows laid end to end: row i owns `lengths[i]` events, simultaneous ones in order of arrival.

    `columns` holds what the kernel looks at in the records of a kind, by name.
    """

    lengths: Int
    time: Int
    columns: Mapping[str, NDArray[Any]]

    @classmethod
    def of_records(cls, histories: Sequence[NDArray[Any]], kind: EntityKind) -> Histories:
        """Take one contiguous array of the kind's records a row."""
        lengths = np.array([len(history) for history in histories], dtype=np.int64)
        # Joining bytes is 300 times faster than joining structured arrays, which NumPy does field by field.
        if len(histories) == 1:
            records = histories[0]
        else:
            records = np.frombuffer(b"".join(cast("Sequence[bytes]", histories)), dtype=kind.record)
        return cls(lengths, records["time"], {name: records[name] for name in kind.seen})

    @classmethod
    def gather(cls, events: Events, seen: Sequence[Int], kind: EntityKind) -> Histories:
        """Take one array of row numbers of `events` a row."""
        lengths = np.array([len(rows) for rows in seen], dtype=np.int64)
        rows = np.concatenate(seen)
        return cls(lengths, events.time[rows], {name: getattr(events, name)[rows] for name in kind.seen})

    @classmethod
    def none(cls, rows: int, kind: EntityKind) -> Histories:
        """Give each of some rows an empty history."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(np.zeros(rows, dtype=np.int64), nothing, dict.fromkeys(kind.seen, nothing))


def row_block(rows: Events, histories: Histories, kind: EntityKind) -> tuple[Block, Bool]:
    """Return a block in which every row has a history of its own, and which rows are late (bool, shape (rows,)).

    The histories may hold more than the limits let a row see; the limits are applied here. Keys stay below 2⁶³ for
    up to a million rows.
    """
    reach = kind.longest_window_us + kind.lateness_us
    # Relative to their row, events lie in (−reach, L] once the limits are applied: no row reaches into another's keys.
    row_key = np.arange(len(rows), dtype=np.int64) * (reach + kind.lateness_us + 1)
    key = (row_key - rows.time).repeat(histories.lengths) + histories.time
    upto = histories.lengths.cumsum()
    first = upto - histories.lengths
    if _is_plain(key, row_key, first, upto, reach):
        end, late = upto, np.zeros(len(rows), dtype=np.bool_)
    else:
        key, histories, late = _limited(key, row_key, histories, kind)
        upto = histories.lengths.cumsum()
        first = upto - histories.lengths
        end = key.searchsorted(row_key, side="right")
    floor = np.maximum(first, upto - kind.cap)
    block = Block(
        key=key,
        columns=histories.columns,
        row_key=row_key,
        row=_columns(rows, kind),
        floor=floor,
        end=np.maximum(end, floor),
        owner=np.arange(len(rows)).repeat(histories.lengths),
    )
    return block, late


def _is_plain(key: Int, row_key: Int, first: Int, upto: Int, reach: int) -> bool:
    """Whether every history is in order of time, ends no later than its row and begins within its reach."""
    held = np.flatnonzero(upto > first)
    mine = row_key[held]
    within = (key[first[held]] > mine - reach) & (key[upto[held] - 1] <= mine)
    return bool(within.all() and (key[1:] >= key[:-1]).all())


def _limited(key: Int, row_key: Int, histories: Histories, kind: EntityKind) -> tuple[Int, Histories, Bool]:
    """Leave out what a row may not see for its age or the row's lateness, and sort the rest by key."""
    n = len(row_key)
    row = np.arange(n).repeat(histories.lengths)
    relative = key - row_key[row]
    newest = np.zeros(n, dtype=np.int64)
    np.maximum.at(newest, row, relative)
    late = newest > kind.lateness_us
    seen = np.flatnonzero((relative > newest[row] - kind.longest_window_us - kind.lateness_us) & ~late[row])
    # Equal keys stay in order of arrival.
    seen = seen[key[seen].argsort(kind="stable")]
    limited = Histories(
        np.bincount(row[seen], minlength=n),
        histories.time[seen],
        {name: column[seen] for name, column in histories.columns.items()},
    )
    return key[seen], limited, late
