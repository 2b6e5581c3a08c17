"""The only code that computes history features, for one row or ten million.

A `Block` holds the events of many entities, sorted by one int64 key that grows with (entity, time,
arrival), and the rows that want an answer. Every window edge is one `searchsorted`, every windowed
sum a difference of two prefix sums of integers, so that the answer does not depend on what else
lies in the block: offline and online are equal bit for bit (docs/decisions/0003).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import MICROS_PER_DAY, MICROS_PER_HOUR
from sentinel_core.features.events import Hash, Int
from sentinel_core.schema import MICROS_PER_SECOND

HOUR: Final = MICROS_PER_HOUR
DAY: Final = MICROS_PER_DAY
WEEK: Final = 7 * MICROS_PER_DAY
MONTH: Final = 30 * MICROS_PER_DAY
ZSCORE_LIMIT: Final = 20.0
ZSCORE_MIN_EVENTS: Final = 3
VELOCITY_SMOOTHING: Final = 0.25
_LOW_WORD: Final = np.int64(0xFFFF_FFFF)
_WORD: Final = 4_294_967_296.0


@dataclass(frozen=True, slots=True)
class Block:
    """Events of histories, and the rows that want an answer.

    `key`, `cents`, `device`, `country` have one element an event, in the order of `key`. The
    `row_*` arrays, `end` and `floor` have one element a row: the row's history is events[floor:end],
    and `row_key` lies as far above the key of an event of its entity as it is later (µs).
    """

    key: Int
    cents: Int
    device: Hash
    country: Hash
    row_key: Int
    row_cents: Int
    row_device: Hash
    row_country: Hash
    floor: Int
    end: Int


@dataclass(frozen=True, slots=True)
class _Sums:
    """Exclusive prefix sums over a block: of cents, and of their squares in two words of 32 bits."""

    cents: Int
    high: Int
    low: Int

    @classmethod
    def over(cls, cents: Int) -> _Sums:
        squares = cents * cents
        return cls(_prefix(cents), _prefix(squares >> 32), _prefix(squares & _LOW_WORD))


def history_features(block: Block) -> dict[str, NDArray[Any]]:
    """Compute every history feature of a block's rows: name → array of shape (rows,).

    Windows are (t − w, t]; counts include the row itself, amounts and "last" look at earlier events only.
    Formulas and cold starts are those of the catalogue.
    """
    sums = _Sums.over(block.cents)
    end = block.end
    first = {w: _left(block, w) for w in (HOUR, DAY, WEEK, MONTH, WEEK + HOUR, WEEK + DAY)}
    earlier = {window: end - left for window, left in first.items()}
    amount = block.row_cents / 100.0
    week, month = earlier[WEEK], earlier[MONTH]
    mean_week, deviation = _moments(sums, first[WEEK], end)
    mean_month = _total(sums.cents, first[MONTH], end) / np.maximum(month, 1) / 100.0
    spread = np.maximum(np.maximum(deviation, 0.05 * mean_week), 1.0)
    zscore = np.clip((amount - mean_week) / spread, -ZSCORE_LIMIT, ZSCORE_LIMIT)
    return {
        "user_txn_count_1h": earlier[HOUR] + 1,
        "user_txn_count_24h": earlier[DAY] + 1,
        "user_txn_count_7d": week + 1,
        "user_txn_count_30d": month + 1,
        "user_avg_amount_7d": mean_week,
        "user_avg_amount_30d": mean_month,
        "user_std_amount_7d": deviation,
        "amount_zscore": np.where(week >= ZSCORE_MIN_EVENTS, zscore, 0.0),
        "amount_to_avg_ratio": np.where(week > 0, amount / np.maximum(mean_week, 0.01), 1.0),
        "user_prior_count": end - block.floor,
        "txn_velocity_1h": _velocity(earlier[HOUR], earlier[WEEK + HOUR], WEEK // HOUR),
        "txn_velocity_24h": _velocity(earlier[DAY], earlier[WEEK + DAY], WEEK // DAY),
        **_since_last(block),
    }


def _prefix(values: Int) -> Int:
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def _left(block: Block, window: int) -> Int:
    """Return the first event of each row's window (t − window, t], never before the row's history."""
    edges = np.searchsorted(block.key, block.row_key - window, side="right")
    return np.maximum(edges, block.floor)


def _total(prefix: Int, first: Int, end: Int) -> Int:
    totals: Int = prefix[end] - prefix[first]
    return totals


def _moments(sums: _Sums, first: Int, end: Int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and population deviation of the amounts in events[first:end], in units of the currency.

    With k = s div n and r = s mod n, Σ(x − k)² = q − nk² − 2kr is taken in two integer words, each exact for windows
    of up to 2²⁰ events; what is left to round is one sum, one division and one root.
    """
    count = np.maximum(end - first, 1)
    total = _total(sums.cents, first, end)
    k, r = np.divmod(total, count)
    square = k * k
    high = _total(sums.high, first, end) - (end - first) * (square >> 32)
    low = _total(sums.low, first, end) - (end - first) * (square & _LOW_WORD) - 2 * k * r
    about_k = high * _WORD + low
    variance = (about_k - r * (r / count)) / count
    return total / count / 100.0, np.sqrt(np.maximum(variance, 0.0)) / 100.0


def _velocity(recent: Int, with_baseline: Int, windows: int) -> NDArray[np.float64]:
    """Return the count of a window over its own mean in the seven days before, smoothed."""
    expected = (with_baseline - recent) / windows
    velocity: NDArray[np.float64] = (recent + VELOCITY_SMOOTHING) / (expected + VELOCITY_SMOOTHING)
    return velocity


def _since_last(block: Block) -> dict[str, NDArray[Any]]:
    if len(block.key) == 0:
        nothing = np.zeros(len(block.end))
        return {
            "time_since_last_txn": nothing + MONTH / MICROS_PER_SECOND,
            "device_change_flag": nothing,
            "location_change_flag": nothing,
        }
    known = block.end > block.floor
    last = np.where(known, block.end - 1, 0)
    elapsed = np.where(known, np.minimum(block.row_key - block.key[last], MONTH), MONTH)
    return {
        "time_since_last_txn": elapsed / MICROS_PER_SECOND,
        "device_change_flag": known & _changed(block.row_device, block.device[last]),
        "location_change_flag": known & _changed(block.row_country, block.country[last]),
    }


def _changed(now: Hash, before: Hash) -> NDArray[np.bool_]:
    changed: NDArray[np.bool_] = (now != before) & (now != 0) & (before != 0)
    return changed
