"""Merchant and country risk: what was known at midnight, never what came later.

`RiskHistory.at` makes the table of one midnight M from events and labels; offline and online look
features up in tables made by it and by nothing else. The table of day D serves event times from D
01:00 UTC, so that whoever makes it has an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.calendar import midnight
from sentinel_core.features.entities import MICROS_PER_DAY, MICROS_PER_HOUR
from sentinel_core.features.events import Events, Hash, Int, Labels
from sentinel_core.features.grouping import distinct_codes
from sentinel_core.features.risk_table import RECENCY_DAYS, RISK_NAMES, Float32, RiskTable

__all__ = [
    "PRIOR_WEIGHT",
    "RECENCY_DAYS",
    "RISK_NAMES",
    "SERVED_AFTER_US",
    "RiskHistory",
    "RiskTable",
    "ServedTables",
    "served_midnight",
]

SERVED_AFTER_US: Final = MICROS_PER_HOUR
PRIOR_WEIGHT: Final = 20
WINDOW_DAYS: Final = (1, 7, 30)
LONGEST_DAYS: Final = max(WINDOW_DAYS)


def served_midnight(time_us: Any) -> Any:
    """Return the midnight M (µs) of the table that serves an event time: the day's own from 01:00 UTC on."""
    return midnight(time_us - SERVED_AFTER_US)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Label entries in order of event time; merchants and countries by number."""

    time: Int
    known_at: Int
    superseded_at: Int
    merchant: Int
    country: Int

    def take(self, rows: NDArray[Any] | slice) -> _Entries:
        """Return the entries that an index array or a slice selects."""
        return _Entries(*(getattr(self, column.name)[rows] for column in fields(self)))

    def standing(self, after: int, upto: int, as_of: int) -> _Entries:
        """Return those with event time in (after, upto] that stand at `as_of`: known by then, not yet replaced."""
        bounds = self.time.searchsorted([after, upto], side="right")
        window = self.take(slice(int(bounds[0]), int(bounds[1])))
        stands = (window.known_at <= as_of) & (window.superseded_at > as_of)
        return window if stands.all() else window.take(np.flatnonzero(stands))

    def later(self, after: int) -> _Entries:
        """Return those with event time after a moment."""
        return self.take(slice(int(self.time.searchsorted(after, side="right")), None))


@dataclass(frozen=True, slots=True)
class DayRates:
    """What the labels of all merchants say at one midnight: the rate p by days of the window, and risk by country."""

    rate: Mapping[int, float]
    countries: Hash
    country_values: Float32


@dataclass(frozen=True)
class RiskHistory:
    """Every daily table of a set of events and labels; `delay_us` is the label delay.

    Where the events are those of some merchants only, `rates` tells by midnight (µs) what all labels say
    (`risk_rates.daily_rates`): the tables are then those of the whole, as far as these merchants go.
    """

    events: Events
    labels: Labels
    delay_us: int
    rates: Mapping[int, DayRates] | None = None
    _merchants: Hash = field(init=False, repr=False)
    _countries: Hash = field(init=False, repr=False)
    _labelled: _Entries = field(init=False, repr=False)
    _frauds: _Entries = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the label entries by event time, once for all tables."""
        labels = self.labels
        time = self.events.time[labels.row]
        order = np.argsort(time, kind="stable")
        row = labels.row[order]
        merchants, merchant = distinct_codes(self.events.merchant[row])
        countries, country = distinct_codes(self.events.country[row])
        labelled = _Entries(time[order], labels.known_at[order], labels.superseded_at[order], merchant, country)
        object.__setattr__(self, "_merchants", merchants)
        object.__setattr__(self, "_countries", countries)
        object.__setattr__(self, "_labelled", labelled)
        object.__setattr__(self, "_frauds", labelled.take(np.flatnonzero(labels.is_fraud[order])))

    def at(self, as_of: int) -> RiskTable:
        """Return the table of midnight `as_of` (µs): only labels known by then, risks over events up to as_of − delay.

        Where no label is known a risk is 0.
        """
        shifted = as_of - self.delay_us
        longest = shifted - LONGEST_DAYS * MICROS_PER_DAY
        known = self._labelled.standing(longest, shifted, as_of)
        frauds = self._frauds.standing(longest, shifted, as_of)
        recent = self._frauds.standing(shifted, as_of, as_of)
        # One key more than there are: the last row of each matrix is that of a key without entries.
        merchants = len(self._merchants) + 1
        count, fraud = (
            {days: _count(entries.later(shifted - days * MICROS_PER_DAY).merchant, merchants) for days in WINDOW_DAYS}
            for entries in (known, frauds)
        )
        day = self._rates(known, frauds, count, fraud) if self.rates is None else self.rates[as_of]
        risk = {days: smoothed(fraud[days], count[days], day.rate[days]) for days in WINDOW_DAYS}
        by_merchant = [
            *(risk[30], risk[1], risk[7]),
            *(count[1], count[7], count[30]),
            _count(recent.merchant, merchants),
            self._days_since_fraud(as_of, merchants),
        ]
        return RiskTable(as_of, *keyed(self._merchants, by_merchant), day.countries, day.country_values)

    def _rates(self, known: _Entries, frauds: _Entries, count: Mapping[int, Int], fraud: Mapping[int, Int]) -> DayRates:
        """Return what the entries of the longest window, and their counts by merchant, say of all of them."""
        countries = len(self._countries) + 1
        rate = {days: rate_of(fraud[days], count[days]) for days in WINDOW_DAYS}
        by_country = smoothed(_count(frauds.country, countries), _count(known.country, countries), rate[LONGEST_DAYS])
        return DayRates(rate, *keyed(self._countries, [by_country]))

    def lookup(self, rows: Events, as_of: Int) -> dict[str, Float32]:
        """Return each risk feature of rows, each as of its own midnight (µs; 0 takes the empty table)."""
        return _lookup(self.at, rows, as_of)

    def _days_since_fraud(self, as_of: int, merchants: int) -> NDArray[np.float64]:
        """Return the days from each merchant's latest known fraud to midnight, at most `RECENCY_DAYS`."""
        horizon = as_of - RECENCY_DAYS * MICROS_PER_DAY
        frauds = self._frauds.standing(horizon, as_of, as_of)
        latest = np.full(merchants, horizon, dtype=np.int64)
        np.maximum.at(latest, frauds.merchant, frauds.time)
        return (as_of - latest) / MICROS_PER_DAY


@dataclass(frozen=True)
class ServedTables:
    """Tables as they were served, by midnight (µs)."""

    tables: Mapping[int, RiskTable]

    def lookup(self, rows: Events, as_of: Int) -> dict[str, Float32]:
        """Return each risk feature of rows, each as of its own midnight (µs; 0 takes the empty table).

        Raises `KeyError` for a midnight without a table.
        """
        return _lookup(self.tables.__getitem__, rows, as_of)


def _lookup(table_of: Callable[[int], RiskTable], rows: Events, as_of: Int) -> dict[str, Float32]:
    values = np.empty((len(RISK_NAMES), len(rows)), dtype=np.float32)
    for day, selected in _groups(as_of):
        table = table_of(day) if day else RiskTable.empty()
        columns = table.lookup(rows.merchant[selected], rows.country[selected])
        for row, column in zip(values, columns.values(), strict=True):
            row[selected] = column
    return dict(zip(RISK_NAMES, values, strict=True))


def _count(codes: Int, size: int) -> Int:
    return np.bincount(codes, minlength=size)


def rate_of(frauds: Int, count: Int) -> float:
    """Return the rate p over all keys; 0 where none is known."""
    return int(frauds.sum()) / max(int(count.sum()), 1)


def smoothed(frauds: Int, count: Int, rate: float) -> NDArray[np.float64]:
    """Return (F + k·p)/(N + k) for each key."""
    return (frauds + PRIOR_WEIGHT * rate) / (count + PRIOR_WEIGHT)


def keyed(keys: Hash, columns: list[NDArray[Any]]) -> tuple[Hash, Float32]:
    """Return keys and their matrix without the hash 0: events without a merchant or country are none of their own."""
    values = np.stack([column.astype(np.float32) for column in columns], axis=1)
    null = int(len(keys) > 0 and keys[0] == 0)
    return keys[null:], values[null:]


def _groups(as_of: Int) -> Iterator[tuple[int, NDArray[Any] | slice]]:
    """Yield each distinct midnight with the rows that it serves."""
    if len(as_of) == 0:
        return
    starts = np.flatnonzero(as_of[1:] != as_of[:-1]) + 1
    if (as_of[1:] >= as_of[:-1]).all():
        for start, end in zip(np.append(0, starts), np.append(starts, len(as_of)), strict=True):
            yield int(as_of[start]), slice(int(start), int(end))
        return
    order = np.argsort(as_of, kind="stable")
    starts = np.flatnonzero(as_of[order][1:] != as_of[order][:-1]) + 1
    for rows in np.split(order, starts):
        yield int(as_of[rows[0]]), rows
