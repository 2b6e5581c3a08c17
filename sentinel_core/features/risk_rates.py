"""What all labels say, midnight by midnight, from counts by day: all that tables of some merchants need of the others.

A risk table smooths by the rate over all merchants and holds every country. Both follow from counts by country, day of
the event and day of the label, which are few however many rows a file has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import MICROS_PER_DAY
from sentinel_core.features.events import Bool, Events, Hash, Int
from sentinel_core.features.risk import LONGEST_DAYS, WINDOW_DAYS, DayRates, keyed, rate_of, smoothed


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How many labels there are by country, day of the event, day of knowledge, and kind; an element a combination.

    `upto` and `known_upto` (µs) are the last moments of the two days; those of events end at midnight − label delay,
    where windows of tables begin and end, those of labels at midnight.
    """

    country: Hash
    upto: Int
    known_upto: Int
    is_fraud: Bool
    count: Int

    @classmethod
    def of(cls, events: Events, is_fraud: NDArray[np.int8], known_at: Int, delay_us: int) -> LabelCounts:
        """Count the labels of events: is_fraud 1, 0 or -1 for a row without one, known_at in µs."""
        rows = np.flatnonzero(is_fraud >= 0)
        return cls(
            events.country[rows],
            _day_end(events.time[rows] + delay_us) - delay_us,
            _day_end(known_at[rows]),
            is_fraud[rows] > 0,
            np.ones(len(rows), dtype=np.int64),
        )._summed()

    @classmethod
    def merged(cls, parts: Iterable[LabelCounts]) -> LabelCounts:
        """Add up the counts of several sets of events."""
        listed = list(parts)
        return cls(*(np.concatenate([getattr(part, f.name) for part in listed]) for f in fields(cls)))._summed()

    def _summed(self) -> LabelCounts:
        keys = (self.is_fraud, self.known_upto, self.upto, self.country)
        order = np.lexsort(keys)
        fresh = np.ones(len(order), dtype=np.bool_)
        fresh[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
        starts = np.flatnonzero(fresh)
        rows = order[starts]
        count = np.add.reduceat(self.count[order], starts) if len(starts) else self.count
        return LabelCounts(self.country[rows], self.upto[rows], self.known_upto[rows], self.is_fraud[rows], count)


def daily_rates(counts: LabelCounts, delay_us: int, midnights: Iterable[int]) -> Mapping[int, DayRates]:
    """Return what all labels said at each midnight (µs), equal to the last bit to `RiskHistory` over all of them."""
    keys, country = np.unique(counts.country, return_inverse=True)
    return {as_of: _rates(counts, keys, country, as_of, delay_us) for as_of in midnights}


def _rates(counts: LabelCounts, keys: Hash, country: Int, as_of: int, delay_us: int) -> DayRates:
    shifted = as_of - delay_us
    known = (counts.upto <= shifted) & (counts.known_upto <= as_of)
    count, fraud = (
        {days: _by_country(counts, country, rows, shifted - days * MICROS_PER_DAY) for days in WINDOW_DAYS}
        for rows in (np.flatnonzero(known), np.flatnonzero(known & counts.is_fraud))
    )
    rate = {days: rate_of(fraud[days], count[days]) for days in WINDOW_DAYS}
    by_country = smoothed(fraud[LONGEST_DAYS], count[LONGEST_DAYS], rate[LONGEST_DAYS])
    return DayRates(rate, *keyed(keys, [by_country]))


def _by_country(counts: LabelCounts, country: Int, rows: Int, after: int) -> Int:
    """Add up the counts of rows after a moment: one element a country, and a last 0 for those without any."""
    rows = rows[counts.upto[rows] > after]
    total = np.zeros(int(country.max(initial=-1)) + 2, dtype=np.int64)
    np.add.at(total, country[rows], counts.count[rows])
    return total


def _day_end(moment: Int) -> Int:
    """Return the first midnight that is not before a moment (µs): days are (M − 1 d, M]."""
    return -(-moment // MICROS_PER_DAY) * MICROS_PER_DAY
