"""When genuine customers pay: outings of one or a few payments, by each one's hours and weekdays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.difficulty import Difficulty
from sentinel_core.synthetic.population import HOUR_US, PROFILES, Population, hour_weights
from sentinel_core.synthetic.stream import GIFT, MICRO, NEW_PHONE
from sentinel_core.synthetic.vocabulary import IntArray
from sentinel_core.synthetic.world import DAY_US, Clock

FOLD_US: Final = 84 * DAY_US
"""Twelve weeks: moves a session that the clocks of a trip put outside the window back in, at the same weekday."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many payments a session has: one, with chance `more` a geometric number (`stop`) beyond it, `most` in all."""

    more: float
    stop: float
    most: int


OUTING: Final = Size(0.28, 0.5, 8)
MICRO_RUN: Final = Size(1.0, 0.40, 10)
SETUP: Final = Size(1.0, 0.7, 4)
OUTING_GAP: Final = (360.0, 1.0, 7200.0)
"""Median seconds, log-scale sigma and longest time between two payments of one outing."""
QUICK_GAP: Final = (6.0, 75.0)
"""Least seconds and mean seconds beyond it between the payments of a micro-subscription run or a phone's set-up."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions, one row each: user of the block, kind (0 or a hard negative's code), size, begin (µs), on a trip.

    `row_session` and `row_time` spell them out by payment.
    """

    user: IntArray
    kind: npt.NDArray[np.int8]
    away: npt.NDArray[np.bool_]
    row_session: IntArray
    row_time: IntArray


def row_counts(rows: int, frauds: int, lookalikes: int, hard: Difficulty) -> dict[int, int]:
    """Split genuine rows into ordinary (0), gift and micro-subscription ones; lookalikes come out of the gifts."""
    total = hard.hard_negatives_per_fraud * frauds
    gift = max(round(total * hard.gift_share) - lookalikes, 0)
    micro = round(total * hard.micro_share)
    gift, micro = min(gift, rows // 4), min(micro, rows // 4)
    return {0: rows - gift - micro, GIFT: gift, MICRO: micro}


def make_sessions(rng: np.random.Generator, pop: Population, clock: Clock, counts: dict[int, int]) -> Sessions:
    """Draw sessions with exactly `counts` rows of each kind; phones' set-ups come out of the ordinary ones."""
    owner, generation = np.nonzero((pop.phones >= clock.start) & (pop.phones < clock.end - DAY_US))
    setups = _extra(rng, len(owner), SETUP) + 1
    keep = np.cumsum(setups) <= counts[0]
    owner, generation, setups = owner[keep], generation[keep], setups[keep]
    outings = _sizes(rng, counts[0] - int(setups.sum()), OUTING)
    micros = _sizes(rng, counts[MICRO], MICRO_RUN)
    numbers = [len(outings), counts[GIFT], len(micros), len(owner)]
    size = np.concatenate([outings, np.ones(counts[GIFT], np.int64), micros, setups])
    kind = np.repeat(np.array([0, GIFT, MICRO, NEW_PHONE], np.int8), numbers)
    share = pop.rate / pop.rate.sum()
    user = np.concatenate([*(np.repeat(np.arange(len(pop)), rng.multinomial(n, share)) for n in numbers[:3]), owner])
    row_session = np.repeat(np.arange(len(user)), size)
    offset = _offsets(rng, kind, size, row_session)
    length = offset[np.cumsum(size) - 1]
    setup = kind == NEW_PHONE
    at = pop.phones[owner, generation] + rng.integers(60_000, 2 * HOUR_US // 1000, len(owner)) * 1000
    begin = np.concatenate([_begins(rng, pop, user[~setup], length[~setup], clock), at])
    away = pop.travels(user, begin) & ~setup
    there = v.CITY_COUNTRY[pop.trip_city[user[away]]]
    begin[away] -= v.UTC_OFFSET_US[there] - v.UTC_OFFSET_US[pop.country[user[away]]]
    begin = np.where(begin < clock.start, begin + FOLD_US, begin)
    begin = np.where(begin + length >= clock.end, begin - FOLD_US, begin)
    return Sessions(user, kind, away, row_session, begin[row_session] + offset)


def _extra(rng: np.random.Generator, n: int, size: Size) -> IntArray:
    more = np.minimum(rng.geometric(size.stop, n), size.most - 1)
    return more if size.more == 1.0 else np.where(rng.random(n) < size.more, more, 0)


def _sizes(rng: np.random.Generator, rows: int, size: Size) -> IntArray:
    """Draw session sizes that sum to exactly `rows`; the last one is cut."""
    sizes = 1 + _extra(rng, rows, size)
    total = np.cumsum(sizes)
    last = int(np.searchsorted(total, rows))
    sizes = sizes[: last + 1]
    if rows:
        sizes[-1] -= total[last] - rows
    return sizes


def _begins(rng: np.random.Generator, pop: Population, user: IntArray, length: IntArray, clock: Clock) -> IntArray:
    """Draw when sessions begin, by each user's weekdays and hours; those that do not fit the window are drawn again."""
    begin = np.empty(len(user), dtype=np.int64)
    missing = np.arange(len(user))
    while len(missing):
        begin[missing] = _local_times(rng, pop.profile[user[missing]], clock)
        begin[missing] -= v.UTC_OFFSET_US[pop.country[user[missing]]]
        fits = (begin[missing] >= clock.start) & (begin[missing] + length[missing] < clock.end)
        missing = missing[~fits]
    return begin


def _local_times(rng: np.random.Generator, profile: IntArray, clock: Clock) -> IntArray:
    """Draw local times, in whole milliseconds, over all days that touch the window, by each profile."""
    days = clock.days + 3
    first_day = clock.start // DAY_US - 1
    weekday = (first_day + np.arange(days) + 3) % 7
    table = hour_weights()[:, weekday, :].reshape(len(PROFILES), -1)
    table = np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)
    table[:, -1] = 1.0
    flat = (table + np.arange(len(PROFILES))[:, None]).ravel()
    slot = np.searchsorted(flat, profile + rng.random(len(profile)), side="right") - profile * days * 24
    within = rng.integers(0, 3_600_000, len(profile)) * 1000
    return first_day * DAY_US + slot * HOUR_US + within


def _offsets(rng: np.random.Generator, kind: npt.NDArray[np.int8], size: IntArray, of: IntArray) -> IntArray:
    """Give each row's time since its session began, in µs, whole milliseconds."""
    starts = np.cumsum(size) - size
    follows = np.ones(len(of), dtype=bool)
    follows[starts] = False
    rows = np.nonzero(follows)[0]
    median, sigma, longest = OUTING_GAP
    walk = np.minimum(median * np.exp(sigma * rng.standard_normal(len(rows))), longest)
    quick = QUICK_GAP[0] + QUICK_GAP[1] * rng.standard_exponential(len(rows))
    gap = np.zeros(len(of), dtype=np.int64)
    gap[rows] = (np.where(kind[of[rows]] != 0, quick, walk) * 1000).astype(np.int64) * 1000
    total = np.cumsum(gap)
    offset: IntArray = total - total[starts][of]
    return offset
