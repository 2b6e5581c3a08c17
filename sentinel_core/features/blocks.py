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
MAX_EVENTS: Final = 2**15
"""Events of one block, where no single entity has more: arrays that fit a processor's cache."""


def ordered_blocks(events: Events, order: Int, starts: Int, kind: EntityKind) -> Iterator[tuple[slice, Block]]:
    """Yield blocks over `order`, rows of `events` by (entity, time, arrival), each with the slice that it answers.

    `starts` says where each entity begins. Every row sees the rows of its entity above it.
    """
    n = len(order)
    if n == 0:
        return
    time = events.time[order]
    columns = {name: getattr(events, name)[order] for name in kind.seen}
    origin = int(time.min())
    stride = int(time.max()) - origin + kind.longest_window_us + kind.lateness_us + 1
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
        part = {name: column[rows] for name, column in columns.items()}
        yield rows, _ordered(base.repeat(sizes) + time[rows], part, first.repeat(sizes), kind)
        at = upto


def _ordered(key: Int, columns: Mapping[str, NDArray[Any]], first: Int, kind: EntityKind) -> Block:
    end = np.arange(len(key), dtype=np.int64)
    horizon = key.searchsorted(key - (kind.longest_window_us + kind.lateness_us), side="right")
    floor = np.maximum(np.maximum(first, horizon), end - kind.cap)
    return Block(key, columns, key, columns, floor, end)


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


def row_block(time: Int, row: Mapping[str, NDArray[Any]], histories: Histories, kind: EntityKind) -> tuple[Block, Bool]:
    """Return a block in which every row has a history of its own, and which rows are late (bool, shape (rows,)).

    `time` (µs) and `row` (what `EntityKind.seen` names) have an element a row. The histories may hold more than the
    limits let a row see; the limits are applied here. Keys stay below 2⁶³ for up to a million rows.
    """
    reach = kind.longest_window_us + kind.lateness_us
    places = np.arange(len(time), dtype=np.int64)
    owner = places.repeat(histories.lengths)
    # How far an event lies behind its row: in (−reach, L] once the limits are applied, so that no row reaches into
    # another's keys.
    relative = histories.time - time.take(owner)
    row_key = places * (reach + kind.lateness_us + 1)
    key = relative + row_key.take(owner)
    upto = histories.lengths.cumsum()
    if _is_plain(relative, key, reach):
        end, late = upto, np.zeros(len(time), dtype=np.bool_)
    else:
        seen, late = _limited(relative, key, owner, len(time), kind)
        key, owner = key[seen], owner[seen]
        histories = Histories(
            np.bincount(owner, minlength=len(time)),
            histories.time[seen],
            {name: column[seen] for name, column in histories.columns.items()},
        )
        upto = histories.lengths.cumsum()
        end = key.searchsorted(row_key, side="right")
    floor = np.maximum(upto - histories.lengths, upto - kind.cap)
    end = np.maximum(end, floor)
    return Block(key, histories.columns, row_key, row, floor, end, owner), late


def events_block(rows: Events, histories: Histories, kind: EntityKind) -> Block:
    """Return the block of events that have a history of their own each, as `row_block` does."""
    block, _ = row_block(rows.time, columns_of(rows, kind), histories, kind)
    return block


def columns_of(rows: Events, kind: EntityKind) -> dict[str, NDArray[Any]]:
    """Return what the kernel looks at in rows of a kind, by name."""
    return {name: getattr(rows, name) for name in kind.seen}


def _is_plain(relative: Int, key: Int, reach: int) -> bool:
    """Whether every history is in order of time, ends no later than its row and begins within its reach."""
    if len(key) == 0:
        return True
    return bool(relative.max() <= 0 and relative.min() > -reach and (key[1:] >= key[:-1]).all())


def _limited(relative: Int, key: Int, owner: Int, rows: int, kind: EntityKind) -> tuple[Int, Bool]:
    """Return which events a row may see for their age and the row's lateness, by key, and which rows are late."""
    newest = np.zeros(rows, dtype=np.int64)
    np.maximum.at(newest, owner, relative)
    late = newest > kind.lateness_us
    seen = np.flatnonzero((relative > newest[owner] - kind.longest_window_us - kind.lateness_us) & ~late[owner])
    # Equal keys stay in order of arrival.
    return seen[key[seen].argsort(kind="stable")], late
