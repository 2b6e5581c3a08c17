"""What belongs into a history, for many entities at once: the rules of scripts/history.lua on arrays.

Pure functions over arrays of records. Codes number the entities; rows of one stand together, in arrival order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import USER, EntityKind
from sentinel_core.settings import Settings

_LAG_BYTES: Final = 6
"""How long the last field of a record is, which tells how far it lies behind the newest before it."""
_REACH: Final = 2**62


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """Limits of an entity kind's histories: window + lateness and lateness in µs, cap in records, idle life in ms.

    A history may hold `spare` records beyond the cap; half of them stay when it is cut.
    """

    retention_us: int
    lateness_us: int
    cap: int
    life_ms: int
    spare: int = 256

    @classmethod
    def of(cls, kind: EntityKind, settings: Settings) -> HistoryLimits:
        """Take the windows from the catalogue, and a user's cap from the settings.

        An idle history expires when nothing in it can count any more, plus twice the lateness.
        """
        retention = kind.longest_window_us + kind.lateness_us
        life_ms = (retention + 2 * kind.lateness_us) // 1000
        if kind.name == USER.name:
            return cls(retention, kind.lateness_us, settings.user_history_cap, life_ms)
        return cls(retention, kind.lateness_us, kind.cap, life_ms, spare=64)

    @property
    def life_us(self) -> int:
        """After how long an idle history is gone, in µs: an event this much older than the newest counts nowhere."""
        return self.life_ms * 1000

    def arguments(self, *, movable_us: int = 0) -> tuple[int, ...]:
        """Return what scripts/history.lua takes behind the record."""
        return self.retention_us, self.lateness_us, self.cap, self.spare, self.life_ms, movable_us


@dataclass(frozen=True, slots=True)
class Arranged:
    """Records by user and arrival, and how many were left out as late, too old or beyond the cap."""

    codes: NDArray[np.int64]
    records: NDArray[Any]
    late: int = 0
    old: int = 0
    capped: int = 0

    def keep(self, mask: NDArray[np.bool_]) -> Arranged:
        """Leave out the rows where `mask` is false."""
        if mask.all():
            return self
        return replace(self, codes=self.codes[mask], records=self.records[mask])


def arrange(codes: NDArray[np.int64], records: NDArray[Any]) -> Arranged:
    """Sort by entity and arrival number (equal ones as given), keep the first record of each id of an entity."""
    arrivals = records["arrival"]
    in_order = bool((arrivals[1:] >= arrivals[:-1]).all())
    order = np.argsort(codes, kind="stable") if in_order else np.lexsort((arrivals, codes))
    rows = Arranged(codes[order], records[order])
    ids = np.sort(records["id_hash"])
    if (ids[1:] != ids[:-1]).all():
        return rows
    return rows.keep(_first_of_each_id(rows.codes, rows.records["id_hash"]))


def _first_of_each_id(codes: NDArray[np.int64], ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
    by_id = np.lexsort((np.arange(len(codes)), ids, codes))
    same = (codes[by_id][1:] == codes[by_id][:-1]) & (ids[by_id][1:] == ids[by_id][:-1])
    first = np.ones(len(codes), np.bool_)
    first[by_id[1:][same]] = False
    return first


def finish(arranged: Arranged, limits: HistoryLimits, trusted: NDArray[np.bool_] | None = None) -> Arranged:
    """Leave out what is late, too old or beyond the cap; write each record's lag behind the newest before it, in place.

    `trusted` rows were judged when they arrived and are never late. Nothing is dropped that the kernel
    could look at: the lateness stays behind the horizon and half the spare records behind the cap.
    """
    rows = arranged
    newest = running_max(rows.codes, rows.records["time"])
    timely = newest - rows.records["time"] <= limits.lateness_us
    if trusted is not None:
        timely |= trusted
    rows = replace(rows.keep(timely), late=int((~timely).sum()))
    newest = newest[timely]
    if not len(rows.codes):
        return rows
    last = np.flatnonzero(np.r_[rows.codes[1:] != rows.codes[:-1], True])
    sizes = np.diff(np.r_[-1, last])
    horizon = np.repeat(newest[last], sizes) - limits.retention_us - limits.lateness_us
    # Only from the front, as the script does: a record behind a kept one stays.
    fresh = running_max(rows.codes, (rows.records["time"] >= horizon).astype(np.int64)) > 0
    records = rows.records
    lag = (newest - records["time"]).astype("<u8")
    packed = records.view(np.uint8).reshape(-1, records.dtype.itemsize)
    packed[:, -_LAG_BYTES:] = lag.view(np.uint8).reshape(-1, 8)[:, :_LAG_BYTES]
    rows = replace(rows, old=int((~fresh).sum())).keep(fresh)
    within = _newest(rows.codes, records["time"][fresh], limits.cap + limits.spare // 2)
    return replace(rows, capped=int((~within).sum())).keep(within)


def _newest(codes: NDArray[np.int64], time_us: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
    """Mark the `limit` newest rows of each user by time; of simultaneous ones those that arrived later."""
    within = np.ones(len(codes), np.bool_)
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    sizes = np.diff(np.r_[starts, len(codes)])
    for start, size in zip(starts[sizes > limit].tolist(), sizes[sizes > limit].tolist(), strict=True):
        order = np.argsort(time_us[start : start + size], kind="stable")
        within[start + order[: size - limit]] = False
    return within


def running_max(codes: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the maximum so far within each run of equal codes, exactly.

    Codes must not decrease. Runs are set apart by more than the span of the values, in pieces small enough for 64 bits.
    """
    result = np.empty(len(values), np.int64)
    if not len(values):
        return result
    low = int(values.min())
    span = int(values.max()) - low + 1
    rank = np.cumsum(np.r_[0, codes[1:] != codes[:-1]])
    runs = int(rank[-1]) + 1
    step = min(max(1, _REACH // span), runs)
    edges = np.searchsorted(rank, np.arange(0, runs + step, step))
    for start, end in pairwise(edges.tolist()):
        shift = (rank[start:end] - rank[start]) * span
        result[start:end] = np.maximum.accumulate(values[start:end] - low + shift) - shift + low
    return result


def arrival_numbers(codes: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return arrival numbers for rows of a file: as if each had arrived when it happened, in row order for each user.

    That is the event's time in µs, raised where needed so that the numbers of a user strictly increase. They
    lie on the same scale as live ones, which are the server's clock in µs.
    """
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    starts = np.flatnonzero(np.r_[True, sorted_codes[1:] != sorted_codes[:-1]])
    position = np.arange(len(codes)) - np.repeat(starts, np.diff(np.r_[starts, len(codes)]))
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = running_max(sorted_codes, time_us[order] - position) + position
    return numbers
