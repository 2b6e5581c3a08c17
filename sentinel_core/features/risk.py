"""Merchant and country risk: what was known at midnight, never what came later.

`RiskHistory.at` makes the table of one midnight M from events and labels; offline and online look
features up in tables made by it and by nothing else. The table of day D serves event times from D
01:00 UTC, so that whoever makes it has an hour.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError
from sentinel_core.features.calendar import midnight
from sentinel_core.features.entities import MICROS_PER_DAY, MICROS_PER_HOUR
from sentinel_core.features.events import Events, Hash, Int, Labels

Float32 = NDArray[np.float32]

SERVED_AFTER_US: Final = MICROS_PER_HOUR
PRIOR_WEIGHT: Final = 20.0
MERCHANT_WINDOWS: Final = (30, 1, 7)
COUNTRY_WINDOWS: Final = (30,)
RECENCY_DAYS: Final = 90
MERCHANT_NAMES: Final = (
    "merchant_risk_score",
    "merchant_risk_1d",
    "merchant_risk_7d",
    "merchant_count_30d",
    "merchant_count_1d",
    "merchant_count_7d",
    "merchant_recent_known_frauds",
    "merchant_days_since_known_fraud",
)
COUNTRY_NAMES: Final = ("country_risk_score",)
RISK_NAMES: Final = MERCHANT_NAMES + COUNTRY_NAMES


def served_midnight(time_us: Any) -> Any:
    """Return the midnight M (µs) of the table that serves an event time: the day's own from 01:00 UTC on."""
    return midnight(time_us - SERVED_AFTER_US)


@dataclass(frozen=True, slots=True)
class RiskTable:
    """Risk by merchant and by country as of one midnight (`as_of`, µs; 0 for the empty table).

    Keys are sorted 64-bit hashes; each matrix, float32, has a row a key and a last one for keys that it does not
    hold: the prior, with counts of zero.
    """

    as_of: int
    merchants: Hash
    merchant_values: Float32
    countries: Hash
    country_values: Float32

    @classmethod
    def empty(cls) -> RiskTable:
        """Return the table of a system that knows no label: every risk 0."""
        nobody = np.empty(0, dtype=np.uint64)
        unknown = np.zeros((1, len(MERCHANT_NAMES)), dtype=np.float32)
        unknown[0, -1] = RECENCY_DAYS
        return cls(0, nobody, unknown, nobody, np.zeros((1, len(COUNTRY_NAMES)), dtype=np.float32))

    def lookup(self, merchant: Hash, country: Hash) -> dict[str, Float32]:
        """Return each risk feature of rows: name → float32, shape (n,)."""
        rows = (
            _find(self.merchants, self.merchant_values, merchant),
            _find(self.countries, self.country_values, country),
        )
        named = zip((MERCHANT_NAMES, COUNTRY_NAMES), rows, strict=True)
        return {name: values[:, i] for names, values in named for i, name in enumerate(names)}

    def to_bytes(self) -> bytes:
        """Write the table as an .npz archive without pickle."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            as_of=np.int64(self.as_of),
            merchants=self.merchants,
            merchant_values=self.merchant_values,
            countries=self.countries,
            country_values=self.country_values,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, blob: bytes) -> RiskTable:
        """Read what `to_bytes` wrote; raises `BundleError` for anything else."""
        try:
            with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
                table = cls(
                    int(archive["as_of"]),
                    archive["merchants"].astype(np.uint64, casting="equiv"),
                    archive["merchant_values"].astype(np.float32, casting="equiv"),
                    archive["countries"].astype(np.uint64, casting="equiv"),
                    archive["country_values"].astype(np.float32, casting="equiv"),
                )
        except (ValueError, KeyError, OSError, TypeError, EOFError) as error:
            raise BundleError(
                f"expected a risk table of {len(blob)} bytes in .npz form, found something else: {error}.",
                remedy="Run `sentinel risk refresh`, or train again, to write a new one.",
            ) from None
        shapes = (table.merchant_values.shape, table.country_values.shape)
        expected = (
            (len(table.merchants) + 1, len(MERCHANT_NAMES)),
            (len(table.countries) + 1, len(COUNTRY_NAMES)),
        )
        if shapes != expected:
            raise BundleError(
                f"expected risk matrices of shapes {expected}, found {shapes}.",
                remedy="The table is of another release: make it again.",
            )
        return table


def _find(keys: Hash, values: Float32, wanted: Hash) -> Float32:
    if len(keys) == 0:
        return values[np.zeros(len(wanted), dtype=np.int64)]
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Float32 = values[np.where(keys[at] == wanted, at, len(keys))]
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """Label entries in order of event time, with the dense codes of their merchants and countries."""

    time: Int
    is_fraud: NDArray[np.bool_]
    known_at: Int
    superseded_at: Int
    merchant: Int
    country: Int
    merchants: Hash
    countries: Hash


@dataclass(frozen=True)
class RiskHistory:
    """Every daily table of a set of events and labels; `delay_us` is the label delay."""

    events: Events
    labels: Labels
    delay_us: int
    _known: _Known = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the label entries by event time, once for all tables."""
        labels = self.labels
        time = self.events.time[labels.row]
        order = np.argsort(time, kind="stable")
        row = labels.row[order]
        merchants, merchant = np.unique(self.events.merchant[row], return_inverse=True)
        countries, country = np.unique(self.events.country[row], return_inverse=True)
        known = _Known(
            time[order],
            labels.is_fraud[order],
            labels.known_at[order],
            labels.superseded_at[order],
            merchant.astype(np.int64),
            country.astype(np.int64),
            merchants,
            countries,
        )
        object.__setattr__(self, "_known", known)

    def at(self, as_of: int) -> RiskTable:
        """Return the table of midnight `as_of` (µs): only labels known by then, over events up to as_of − delay."""
        known = self._known
        merchant = _Tally(known, known.merchant, len(known.merchants), as_of)
        country = _Tally(known, known.country, len(known.countries), as_of)
        shifted = as_of - self.delay_us
        risks = [merchant.risk(shifted, days) for days in MERCHANT_WINDOWS]
        recent = merchant.frauds(shifted, as_of)
        since = merchant.days_since_fraud()
        columns = [risk for risk, _ in risks] + [count for _, count in risks] + [recent, since]
        by_country = [country.risk(shifted, days)[0] for days in COUNTRY_WINDOWS]
        merchant_keys, merchant_values = _without_null(known.merchants, _float32(columns))
        country_keys, country_values = _without_null(known.countries, _float32(by_country))
        return RiskTable(as_of, merchant_keys, merchant_values, country_keys, country_values)

    def lookup(self, rows: Events, as_of: Int) -> dict[str, Float32]:
        """Return each risk feature of rows, each as of its own midnight (µs; 0 takes the empty table)."""
        result = {name: np.empty(len(rows), dtype=np.float32) for name in RISK_NAMES}
        for day, selected in _groups(as_of):
            table = self.at(day) if day else RiskTable.empty()
            values = table.lookup(rows.merchant[selected], rows.country[selected])
            for name, column in values.items():
                result[name][selected] = column
        return result


@dataclass(frozen=True, slots=True)
class _Tally:
    """Counts by key of the label entries that stand at one midnight."""

    known: _Known
    codes: Int
    size: int
    as_of: int

    def _window(self, after: int, upto: int) -> tuple[slice, NDArray[np.bool_]]:
        """Return the entries with event time in (after, upto], and which of them stand."""
        bounds = np.searchsorted(self.known.time, [after, upto], side="right")
        entries = slice(int(bounds[0]), int(bounds[1]))
        stands = (self.known.known_at[entries] <= self.as_of) & (self.known.superseded_at[entries] > self.as_of)
        return entries, stands

    def _count(self, codes: Int) -> Int:
        """Count by key; the last element is the key that was never seen."""
        return np.bincount(codes, minlength=self.size + 1)

    def risk(self, upto: int, days: int) -> tuple[NDArray[np.float64], Int]:
        """Return the smoothed risk and the count N of each key over (upto − days, upto]."""
        entries, stands = self._window(upto - days * MICROS_PER_DAY, upto)
        codes, fraud = self.codes[entries][stands], self.known.is_fraud[entries][stands]
        count, frauds = self._count(codes), self._count(codes[fraud])
        prior = int(fraud.sum()) / max(len(codes), 1)
        return (frauds + PRIOR_WEIGHT * prior) / (count + PRIOR_WEIGHT), count

    def frauds(self, after: int, upto: int) -> Int:
        """Return the frauds of each key with event time in (after, upto]."""
        entries, stands = self._window(after, upto)
        return self._count(self.codes[entries][stands & self.known.is_fraud[entries]])

    def days_since_fraud(self) -> NDArray[np.float64]:
        """Return the days from each key's latest known fraud to midnight, at most `RECENCY_DAYS`."""
        horizon = self.as_of - RECENCY_DAYS * MICROS_PER_DAY
        entries, stands = self._window(horizon, self.as_of)
        fraud = stands & self.known.is_fraud[entries]
        latest = np.full(self.size + 1, horizon, dtype=np.int64)
        # Entries are in order of time: of several for one key, the last assignment is the latest.
        latest[self.codes[entries][fraud]] = self.known.time[entries][fraud]
        return (self.as_of - latest) / MICROS_PER_DAY


def _without_null(keys: Hash, values: Float32) -> tuple[Hash, Float32]:
    """Leave out the hash 0: events without a merchant or a country are no merchant of their own."""
    null = int(len(keys) > 0 and keys[0] == 0)
    return keys[null:], values[null:]


def _float32(columns: list[NDArray[Any]]) -> Float32:
    return np.stack([column.astype(np.float32) for column in columns], axis=1)


def _groups(as_of: Int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield each distinct midnight with the rows that it serves."""
    if len(as_of) == 0:
        return
    order = np.argsort(as_of, kind="stable")
    starts = np.flatnonzero(np.r_[True, as_of[order][1:] != as_of[order][:-1]])
    for start, end in zip(starts, np.append(starts[1:], len(order)), strict=True):
        yield int(as_of[order[start]]), order[start:end]
