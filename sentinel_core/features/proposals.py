"""Features that were proposed: declared and computed as those of the catalogue, and in no vector.

`sentinel ablation` judges them; docs/ablation.md says what it found. One that earns its place moves its line to
`catalog`, its formula to `kernel`. Whatever is added here is exact in both forms of a `Block`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.arrivals import Arrivals
from sentinel_core.features.attempts import distinct
from sentinel_core.features.blocks import Histories, events_block, ordered_blocks
from sentinel_core.features.catalog import Feature
from sentinel_core.features.entities import USER, EntityKind
from sentinel_core.features.events import Events, Int
from sentinel_core.features.kernel import DAY, FORTNIGHT, HOUR, MONTH, WEEK, Block, same_before

HIGH_HALVES: Final = 5
"""Half times the mean from which on an amount is far above it: 2.5 times."""
NEAR_HOURS: Final = 1
_DAY_HOURS: Final = 24
_WINDOWS: Final = np.array([DAY, WEEK, FORTNIGHT, MONTH])[:, np.newaxis]


def _proposed(name: str, group: str, window: str, formula: str, unit: str, cold_start: float) -> Feature:
    return Feature(name, group, formula, unit, cold_start, "user", window)


def _high(name: str, days: int) -> Feature:
    formula = (
        f"attempts of more than {HIGH_HALVES / 2} times the mean of the earlier ones in (t − 30 d, t − 14 d], this one"
        " included; 0 with none there"
    )
    return _proposed(name, "user", f"(t − {days} d, t]", formula, "count", 0.0)


PROPOSALS: Final[tuple[Feature, ...]] = (
    _high("user_high_count_7d", 7),
    _high("user_high_count_14d", 14),
    _proposed(
        "is_first_at_merchant",
        "change",
        "(h, t]",
        "1 where no earlier attempt was at this merchant_id; 0 where it is unknown",
        "flag",
        1.0,
    ),
    _proposed(
        "user_merchant_distinct_24h",
        "user",
        "(t − 24 h, t]",
        "distinct merchants tried, this one included; an unknown one counts as one",
        "count",
        1.0,
    ),
    _proposed(
        "user_hour_share_30d",
        "user",
        "(t − 30 d, t]",
        f"(s + 1)/(n + {_DAY_HOURS // (2 * NEAR_HOURS + 1)}): n earlier attempts, s of them within {NEAR_HOURS} of this"
        " one's hour of day (UTC)",
        "share",
        0.125,
    ),
)


def build_proposals(events: Events, kind: EntityKind = USER) -> NDArray[np.float32]:
    """Compute every proposal for the events of a table: float32, shape (n, len(PROPOSALS)), in their order.

    Each row sees what arrived before it, as in `build.build_offline`.
    """
    kind = replace(kind, seen=(*kind.seen, "time"))
    values = np.empty((len(events), len(PROPOSALS)), dtype=np.float32)
    arrivals = Arrivals.of(events, kind)

    def put(rows: NDArray[np.int64], block: Block) -> None:
        values[rows] = np.stack([*proposed_features(block).values()], axis=1)

    for part, block in ordered_blocks(events, arrivals.order, arrivals.starts, kind):
        put(arrivals.order[part], block)
    for displaced, histories in arrivals.histories(events, kind):
        put(displaced, events_block(events.take(displaced), histories, kind))
    put(arrivals.late, events_block(events.take(arrivals.late), Histories.none(len(arrivals.late), kind), kind))
    return values


def proposed_features(block: Block) -> dict[str, NDArray[Any]]:
    """Compute the proposals for a block's rows: name → shape (rows,); columns and rows hold `time` too (µs)."""
    first = np.maximum(block.key.searchsorted(block.row_key - _WINDOWS, side="right"), block.floor)
    day, fortnight, month = first[0], first[2], first[3]
    sums = np.zeros(len(block.key) + 1, dtype=np.int64)
    block.columns["cents"].cumsum(out=sums[1:])
    older = fortnight - month
    total = sums[fortnight] - sums[month]
    # Cents above this whole number are above the mean times 2.5.
    limit = HIGH_HALVES * total // (2 * np.maximum(older, 1))
    high = (_above(block, limit, first[1:3]) + (block.row["cents"] > limit)) * (older > 0)
    merchant = block.row["merchant"]
    return {
        "user_high_count_7d": high[0],
        "user_high_count_14d": high[1],
        "is_first_at_merchant": (_same_merchant(block) == 0) & (merchant != 0),
        "user_merchant_distinct_24h": distinct(block, "merchant", day),
        "user_hour_share_30d": (_near_hour(block, month) + 1)
        / (block.end - month + _DAY_HOURS // (2 * NEAR_HOURS + 1)),
    }


def _above(block: Block, limit: Int, first: Int) -> Int:
    """Return how many amounts of the windows events[first:end] exceed the row's limit; first int64 (windows, rows)."""
    if block.owner is None:
        return above_before(block.columns["cents"], limit, first)
    return _held(block.columns["cents"] > limit[block.owner], first, block.end)


def _same_merchant(block: Block) -> Int:
    if block.owner is None:
        return same_before(block.columns["merchant"], block.floor)
    return _held(block.columns["merchant"] == block.row["merchant"][block.owner], block.floor, block.end)


def _near_hour(block: Block, first: Int) -> Int:
    """Return how many events of the windows events[first:end] lie within `NEAR_HOURS` of the row's hour of day."""
    hour = block.columns["time"] // HOUR % _DAY_HOURS
    if block.owner is not None:
        own = (block.row["time"] // HOUR)[block.owner]
        return _held((hour - own + NEAR_HOURS) % _DAY_HOURS <= 2 * NEAR_HOURS, first, block.end)
    seen = np.zeros((_DAY_HOURS, len(hour) + 1), dtype=np.int32)
    seen[hour, np.arange(1, len(hour) + 1)] = 1
    seen.cumsum(axis=1, out=seen)
    near = (hour + np.arange(-NEAR_HOURS, NEAR_HOURS + 1)[:, np.newaxis]) % _DAY_HOURS
    counts: Int = (seen[near, block.end] - seen[near, first]).sum(axis=0, dtype=np.int64)
    return counts


def _held(flags: NDArray[np.bool_], first: Int, end: Int) -> Int:
    """Return how many flags of events[first:end] are set."""
    sums = np.zeros(len(flags) + 1, dtype=np.int64)
    flags.cumsum(out=sums[1:])
    return sums[end] - sums[first]


def above_before(values: Int, limit: Int, first: Int) -> Int:
    """Return how many of values[first[…, i]:i] exceed limit[i], for each i.

    The ranks of the values are parted by one bit after the other, the highest first, each half in its order: the
    window of a row stays one range on its way down, and what lies on the upper side of its limit is counted where it
    parts (Claude, Navarro and Ordóñez, The wavelet matrix, 2015).
    """
    order = values.argsort(kind="stable")
    least = values[order].searchsorted(limit, side="right")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(values))
    end = np.broadcast_to(np.arange(len(values)), first.shape)
    counts = np.zeros(first.shape, dtype=np.int64)
    for bit in reversed(range(len(values).bit_length())):
        upper = (rank >> bit & 1).astype(np.bool_)
        ones = np.zeros(len(values) + 1, dtype=np.int64)
        upper.cumsum(out=ones[1:])
        from_upper, to_upper = ones[first], ones[end]
        up = (least >> bit & 1).astype(np.bool_)
        counts += np.where(up, 0, to_upper - from_upper)
        lower = len(values) - ones[-1]
        first = np.where(up, lower + from_upper, first - from_upper)
        end = np.where(up, lower + to_upper, end - to_upper)
        rank = np.concatenate((rank[~upper], rank[upper]))
    return counts + end - first
