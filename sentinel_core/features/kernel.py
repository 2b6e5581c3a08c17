"""The only code that computes history features, for one row or ten million.

A `Block` holds the events of many entities, sorted by one int64 key that grows with (entity, time,
arrival), and the rows that want an answer. Every window edge is one `searchsorted`, every windowed
sum a difference of two prefix sums of integers, so that the answer does not depend on what else
lies in the block: offline and online are equal bit for bit (docs/decisions/0003).
"""

from __future__ import annotations

from collections.abc import Mapping
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
FORTNIGHT: Final = 2 * WEEK
MONTH: Final = 30 * MICROS_PER_DAY
ZSCORE_LIMIT: Final = 20.0
ZSCORE_MIN_EVENTS: Final = 3
SPREAD_SHARE: Final = 0.05
SPREAD_MIN: Final = 1.0
RATIO_MIN_MEAN: Final = 0.01
VELOCITY_SMOOTHING: Final = 0.25
_WINDOWS: Final = np.array([HOUR, DAY, WEEK, MONTH, WEEK + HOUR, WEEK + DAY, FORTNIGHT])[:, np.newaxis]
_WEEKLY: Final = np.array([WEEK / HOUR, WEEK / DAY])[:, np.newaxis]
"""How many windows of one hour, and of one day, a week holds."""
_MEAN_FROM: Final = np.array([2, 3, 3])
"""Where the windows begin whose mean amounts are asked for: of a week, of a month, and of a month but its last part."""
_FAMILIAR: Final = ("device", "country", "merchant")
_LOW_WORD: Final = np.int64(0xFFFF_FFFF)
_WORD: Final = 4_294_967_296.0


@dataclass(frozen=True, slots=True)
class Block:
    """Events of histories, and the rows that want an answer.

    `key` and `columns` have one element an event, in the order of `key`; `columns` holds what `EntityKind.seen` names.
    `row`, with the same names, `row_key`, `end` and `floor` have one element a row: the row's history is
    events[floor:end], and `row_key` lies as far above the key of an event of its entity as it is later (µs). `owner`
    names the one row that each event is in the history of; without it row i is event i itself.
    """

    key: Int
    columns: Mapping[str, NDArray[Any]]
    row_key: Int
    row: Mapping[str, NDArray[Any]]
    floor: Int
    end: Int
    owner: Int | None = None


def history_features(block: Block) -> dict[str, NDArray[Any]]:
    """Compute every history feature of a block's rows: name → array of shape (rows,), in the catalogue's order.

    Windows are (t − w, t]; counts include the row itself, amounts and "last" look at earlier events only.
    Formulas and cold starts are those of the catalogue.
    """
    edges = block.key.searchsorted(block.row_key - _WINDOWS, side="right")
    first = np.maximum(edges, block.floor)
    earlier = block.end - first
    counts = earlier[:4] + 1
    week, month = earlier[2], earlier[3]
    older = month - earlier[6]
    sums = _prefix_sums(block.columns["cents"])
    begins, ends = first[_MEAN_FROM], np.concatenate((block.end, block.end, first[6])).reshape(3, -1)
    held = np.concatenate((week, month, older)).reshape(3, -1)
    means = _means(sums[0], begins, ends, held)
    deviation = _deviation(sums, begins[0], block.end, week)
    amount = block.row["cents"] / 100.0
    ratios = np.where(held[::2] > 0, amount / np.maximum(means[::2], RATIO_MIN_MEAN), 1.0)
    velocity = _velocities(earlier[:2], earlier[4:6])
    return {
        "user_txn_count_1h": counts[0],
        "user_txn_count_24h": counts[1],
        "user_txn_count_7d": counts[2],
        "user_txn_count_30d": counts[3],
        "user_avg_amount_7d": means[0],
        "user_avg_amount_30d": means[1],
        "user_std_amount_7d": deviation,
        "amount_zscore": _zscore(amount, means[0], deviation, week),
        "amount_to_avg_ratio": ratios[0],
        "amount_to_older_ratio": ratios[1],
        "user_prior_count": block.end - block.floor,
        "txn_velocity_1h": velocity[0],
        "txn_velocity_24h": velocity[1],
        **_since_last(block),
        **_familiarity(block, first[3]),
    }


def _prefix_sums(cents: Int) -> Int:
    """Return exclusive prefix sums, shape (3, n + 1): of the cents, and of their squares in two words of 32 bits."""
    terms = np.zeros((3, len(cents) + 1), dtype=np.int64)
    squares = cents * cents
    terms[0, 1:] = cents
    np.right_shift(squares, 32, out=terms[1, 1:])
    np.bitwise_and(squares, _LOW_WORD, out=terms[2, 1:])
    sums: Int = terms.cumsum(axis=1, out=terms)
    return sums


def _means(sums: Int, first: Int, end: Int, held: Int) -> NDArray[np.float64]:
    """Return the means of the `held` amounts in events[first:end], in units of the currency; 0 with none."""
    means: NDArray[np.float64] = (sums.take(end) - sums.take(first)) / np.maximum(held, 1) / 100.0
    return means


def _deviation(sums: Int, first: Int, end: Int, held: Int) -> NDArray[np.float64]:
    """Return the population deviation of the `held` amounts in events[first:end]; 0 with none.

    With k = s div n and r = s mod n, Σ(x − k)² = q − nk² − 2kr is taken in two integer words, each exact for windows
    of up to 2²⁰ events; what is left to round is one sum, one division and one root.
    """
    count = np.maximum(held, 1)
    total, high, low = sums.take(end, axis=1) - sums.take(first, axis=1)
    k, r = np.divmod(total, count)
    square = k * k
    high -= held * (square >> 32)
    low -= held * (square & _LOW_WORD) + 2 * k * r
    about_k = high * _WORD + low
    variance = (about_k - r * (r / count)) / count
    deviation: NDArray[np.float64] = np.sqrt(np.maximum(variance, 0.0)) / 100.0
    return deviation


def _zscore(
    amount: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64], count: Int
) -> NDArray[np.float64]:
    spread = np.maximum(np.maximum(deviation, SPREAD_SHARE * mean), SPREAD_MIN)
    score = np.minimum(np.maximum((amount - mean) / spread, -ZSCORE_LIMIT), ZSCORE_LIMIT)
    return np.where(count >= ZSCORE_MIN_EVENTS, score, 0.0)


def _velocities(recent: Int, with_baseline: Int) -> NDArray[np.float64]:
    """Return the counts of an hour and of a day over their own means in the seven days before, smoothed."""
    expected = (with_baseline - recent) / _WEEKLY
    velocity: NDArray[np.float64] = (recent + VELOCITY_SMOOTHING) / (expected + VELOCITY_SMOOTHING)
    return velocity


def _since_last(block: Block) -> dict[str, NDArray[Any]]:
    if len(block.key) == 0:
        nothing = np.zeros(len(block.end))
        longest = nothing + MONTH / MICROS_PER_SECOND
        return {"time_since_last_txn": longest, "device_change_flag": nothing, "location_change_flag": nothing}
    known = block.end > block.floor
    last = np.maximum(block.end - 1, 0)
    elapsed = np.where(known, np.minimum(block.row_key - block.key.take(last), MONTH), MONTH)
    now = np.concatenate((block.row["device"], block.row["country"])).reshape(2, -1)
    before = np.concatenate((block.columns["device"].take(last), block.columns["country"].take(last))).reshape(2, -1)
    changed = known & (now != before) & (now != 0) & (before != 0)
    return {
        "time_since_last_txn": elapsed / MICROS_PER_SECOND,
        "device_change_flag": changed[0],
        "location_change_flag": changed[1],
    }


def _familiarity(block: Block, first: Int) -> dict[str, NDArray[Any]]:
    """Return how many events of the window events[first:end] share the row's device, country and merchant."""
    values = [block.columns[name] for name in _FAMILIAR]
    wanted = np.concatenate([block.row[name] for name in _FAMILIAR]).reshape(len(_FAMILIAR), -1)
    if block.owner is None:
        counts = np.concatenate([same_before(column, first) for column in values]).reshape(len(values), -1)
    else:
        same = np.zeros((len(values), len(block.key) + 1), dtype=np.int64)
        same[:, 1:] = np.concatenate(values).reshape(len(values), -1) == wanted.take(block.owner, axis=1)
        same.cumsum(axis=1, out=same)
        counts = same.take(block.end, axis=1) - same.take(first, axis=1)
    counts *= wanted != 0
    return {f"user_{name}_count_30d": count for name, count in zip(_FAMILIAR, counts, strict=True)}


def same_before(values: Hash, first: Int) -> Int:
    """Return how many of values[first[i]:i] equal values[i], for each i.

    Sorted by (value, place), equal values stand together: a count is the distance from the first one in the window,
    found by one search whose targets ascend where `first` does.
    """
    place_bits = len(values).bit_length()
    order = values.argsort(kind="stable")
    in_order = values[order]
    group = np.zeros(len(values), dtype=np.int64)
    np.cumsum(in_order[1:] != in_order[:-1], out=group[1:])
    group <<= place_bits
    begin = (group | order).searchsorted(group | first[order])
    counts = np.empty(len(values), dtype=np.int64)
    counts[order] = np.arange(len(values)) - begin
    return counts
