"""Order of arrival against order of time: which rows came late, and which saw another history than their place tells.

A row's history is what arrived before it. For most rows that is exactly what precedes them in order of
(time, arrival); a row that came out of order, and those that came while another one was still missing, are
`displaced`, and their histories are put together one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.blocks import Histories
from sentinel_core.features.entities import EntityKind
from sentinel_core.features.events import Events, Hash, Int
from sentinel_core.features.grouping import group_begins, grouped

GATHERED_EVENTS: Final = 500_000
"""Events of displaced rows' histories that are held at a time."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Events of one entity kind, arranged.

    `order`: row numbers by (entity, time, arrival) without the late ones; `starts`: where each entity begins in it.
    `rank`: the place of each element of `order` in the order of (entity, arrival). `newest`: by that rank, the place
    in `order` of the newest event before. `displaced`: ranks. `late`: row numbers.
    """

    order: Int
    starts: Int
    rank: Int
    newest: Int
    displaced: Int
    late: Int

    @classmethod
    def of(cls, events: Events, kind: EntityKind) -> Arrivals:
        """Arrange events; a row is late where it lies more than L behind the newest event that arrived before it."""
        order, arrived, starts = _arrange(events, events.entity(kind))
        time = events.time[order]
        ahead = _newest_before(arrived)
        first = np.zeros(len(order), dtype=np.bool_)
        first[starts] = True
        # Places and ranks of an entity are the same range of numbers, so that an entity's first rank is its start.
        is_late = ~first & (time[ahead] - time[arrived] > kind.lateness_us)
        if not is_late.any():
            return cls._ordered(order, arrived, starts, order[:0])
        late = order[arrived[is_late]]
        kept = np.ones(len(events), dtype=np.bool_)
        kept[late] = False
        rows = np.flatnonzero(kept)
        order, arrived, starts = _arrange(events.take(rows), events.entity(kind)[rows])
        return cls._ordered(rows[order], arrived, starts, late)

    @classmethod
    def _ordered(cls, order: Int, arrived: Int, starts: Int, late: Int) -> Arrivals:
        place = np.arange(len(order), dtype=np.int64)
        newest = _newest_before(arrived)
        rank = np.empty_like(place)
        rank[arrived] = place
        displaced = np.flatnonzero((arrived != place) | (newest != place - 1))
        return cls(order, starts, rank, newest, displaced, late)

    def histories(self, events: Events, kind: EntityKind) -> Iterator[tuple[NDArray[np.int64], Histories]]:
        """Yield the displaced rows in groups: row numbers, and the history of each; the limits are applied here."""
        reach = kind.longest_window_us + kind.lateness_us
        place = np.empty_like(self.rank)
        place[self.rank] = np.arange(len(self.rank))
        begins = self.starts[np.searchsorted(self.starts, self.displaced, side="right") - 1]
        time = events.time[self.order]
        rows: list[int] = []
        seen: list[Int] = []
        size = 0
        for rank, begin in zip(self.displaced.tolist(), begins.tolist(), strict=True):
            at, newest = int(place[rank]), int(self.newest[rank])
            held = slice(begin, newest + 1)
            horizon = max(int(time[at]), int(time[newest])) - reach if newest >= begin else 0
            first = begin + int(time[held].searchsorted(horizon, side="right"))
            before = first + np.flatnonzero(self.rank[first : newest + 1] < rank)
            rows.append(int(self.order[at]))
            seen.append(self.order[before[-kind.cap :]])
            size += len(seen[-1])
            if size >= GATHERED_EVENTS:
                yield np.array(rows), Histories.gather(events, seen, kind)
                rows, seen, size = [], [], 0
        if rows:
            yield np.array(rows), Histories.gather(events, seen, kind)


def _arrange(events: Events, entity: Hash) -> tuple[Int, Int, Int]:
    """Return row numbers by (entity, time, arrival), the places in it by (entity, arrival), and each entity's start.

    Entities stand in any order.
    """
    if _in_order(events.time) and _in_order(events.arrival):
        order = grouped(entity)
    else:
        order = np.lexsort((events.arrival, events.time, entity))
    sorted_entity, arrival = entity[order], events.arrival[order]
    begins = group_begins(sorted_entity)
    starts = np.flatnonzero(begins)
    if ((arrival[1:] < arrival[:-1]) & ~begins[1:]).any():
        return order, np.lexsort((arrival, np.cumsum(begins))), starts
    return order, np.arange(len(order), dtype=np.int64), starts


def _in_order(values: Int) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _newest_before(arrived: Int) -> Int:
    """Return, by rank, the place of the newest event before: the one rank lower for an entity's first.

    Places grow from entity to entity, so that one running maximum serves all of them.
    """
    newest = np.empty_like(arrived)
    newest[:1] = -1
    np.maximum.accumulate(arrived[:-1], out=newest[1:])
    return newest
