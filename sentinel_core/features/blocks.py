"""Kernel blocks from events: whole histories of users who arrived in order, and one history a row otherwise.

Both forms apply the same limits. A row at time t sees, of its own user, what arrived before it and is not later
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
MAX_EVENTS: Final = 1_000_000
"""Events of one block: what fits into a processor's cache beats what fits into memory."""


def ordered_blocks(user: Int, events: Events, kind: EntityKind) -> Iterator[tuple[slice, Block]]:
    """Yield blocks over events sorted by (user, time, arrival) that arrived in that order.

    `user` numbers the users from 0, ascending. Each block comes with the slice of rows that it answers.
    """
    n = len(events)
    if n == 0:
        return
    origin = int(events.time.min())
    stride = int(events.time.max()) - origin + kind.longest_window_us + kind.lateness_us + 1
    users_a_block = max(1, MAX_KEY // stride)
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    bounds = np.append(starts, n)
    at = 0
    while at < len(starts):
        upto = int(np.searchsorted(bounds, bounds[at] + MAX_EVENTS, side="right")) - 1
        upto = min(max(upto, at + 1), at + users_a_block)
        rows = slice(int(bounds[at]), int(bounds[upto]))
        local = np.repeat(np.arange(upto - at, dtype=np.int64), np.diff(bounds[at : upto + 1]))
        first = (bounds[at:upto] - bounds[at])[local]
        yield rows, _ordered(events.take(rows), local * stride, first, origin, kind)
        at = upto


def _ordered(events: Events, base: Int, first: Int, origin: int, kind: EntityKind) -> Block:
    key = base + (events.time - origin)
    end = np.arange(len(key), dtype=np.int64)
    horizon = np.searchsorted(key, key - (kind.longest_window_us + kind.lateness_us), side="right")
    floor = np.maximum(np.maximum(first, horizon), end - kind.cap)
    return Block(
        key, events.cents, events.device, events.country, key, events.cents, events.device, events.country, floor, end
    )


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories of rows laid end to end: row i owns `lengths[i]` events, in order of arrival."""

    lengths: Int
    time: Int
    cents: Int
    device: Hash
    country: Hash

    @classmethod
    def of_records(cls, histories: Sequence[NDArray[Any]]) -> Histories:
        """Take one array of `RECORD` a row."""
        lengths = np.fromiter((len(history) for history in histories), dtype=np.int64, count=len(histories))
        records = histories[0] if len(histories) == 1 else np.concatenate(histories)
        return cls(lengths, records["time"], records["cents"], records["device"], records["country"])


def row_block(rows: Events, histories: Histories, kind: EntityKind) -> tuple[Block, Bool]:
    """Return a block in which every row has a history of its own, and which rows are late (bool, shape (rows,)).

    The histories may hold more than the limits let a row see; the limits are applied here.
    """
    n, reach = len(rows), kind.longest_window_us + kind.lateness_us
    row = np.repeat(np.arange(n, dtype=np.int64), histories.lengths)
    relative = histories.time - rows.time[row]
    newest = np.zeros(n, dtype=np.int64)
    np.maximum.at(newest, row, relative)
    late = newest > kind.lateness_us
    visible = (relative > newest[row] - reach) & ~late[row]
    selected: NDArray[Any] | slice = slice(None) if visible.all() else np.flatnonzero(visible)
    row, relative = row[selected], relative[selected]
    stride = reach + 2
    key = row * stride + np.maximum(relative, -kind.longest_window_us - 1)
    cents, device, country = histories.cents[selected], histories.device[selected], histories.country[selected]
    if (relative[1:] < relative[:-1])[row[1:] == row[:-1]].any():
        order = np.lexsort((relative, row))
        key, cents, device, country = key[order], cents[order], device[order], country[order]
    row_key = np.arange(n, dtype=np.int64) * stride
    upto = np.cumsum(np.bincount(row, minlength=n))
    first = np.concatenate(([0], upto[:-1]))
    floor = np.maximum(first, upto - kind.cap)
    end = np.maximum(np.searchsorted(key, row_key, side="right"), floor)
    block = Block(
        key, np.ascontiguousarray(cents), device, country, row_key, rows.cents, rows.device, rows.country, floor, end
    )
    return block, late


def arrival_histories(events: Events, kind: EntityKind) -> Iterator[tuple[NDArray[np.int64], Histories]]:
    """Yield, for one user's events in order of arrival, groups of row numbers with the history of each.

    The exact way for a user whose events arrived out of order: linear in the history for each row.
    """
    reach = kind.longest_window_us + kind.lateness_us
    times, position = np.empty(len(events), dtype=np.int64), np.empty(len(events), dtype=np.int64)
    held, newest = 0, np.iinfo(np.int64).min
    group: list[int] = []
    seen: list[NDArray[np.int64]] = []
    size = 0
    for number, time in enumerate(events.time.tolist()):
        late = held > 0 and newest - time > kind.lateness_us
        first = int(np.searchsorted(times[:held], max(newest, time) - reach, side="right"))
        # A late row keeps one event of its history: the newest, by which `row_block` finds it late too.
        group.append(number)
        seen.append(position[held - 1 : held].copy() if late else position[max(first, held - kind.cap) : held].copy())
        size += len(seen[-1])
        if size >= MAX_EVENTS:
            yield np.array(group), _gather(events, seen)
            group, seen, size = [], [], 0
        if late:
            continue
        at = int(np.searchsorted(times[:held], time, side="right"))
        times[at + 1 : held + 1] = times[at:held].copy()
        position[at + 1 : held + 1] = position[at:held].copy()
        times[at], position[at] = time, number
        held, newest = held + 1, max(newest, time)
    if group:
        yield np.array(group), _gather(events, seen)


def _gather(events: Events, seen: list[NDArray[np.int64]]) -> Histories:
    lengths = np.fromiter((len(rows) for rows in seen), dtype=np.int64, count=len(seen))
    rows = np.concatenate(seen)
    return Histories(lengths, events.time[rows], events.cents[rows], events.device[rows], events.country[rows])
