"""What a device, an address and a merchant saw of late: attempts, small ones among them, and users at a device.

A card-testing run spreads over many cards, so that no single user's history shows it; the entities that it
touches do. Windows, prefix sums and exactness are the kernel's (`kernel.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import ADDRESS, DEVICE, MERCHANT, EntityKind
from sentinel_core.features.events import Events, Hash, Int
from sentinel_core.features.kernel import DAY, HOUR, Block
from sentinel_core.features.transaction import SMALL_CENTS

MINUTE: Final = HOUR // 60
WINDOWS: Final[Mapping[str, Mapping[str, int]]] = {
    DEVICE.name: {"10m": 10 * MINUTE, "1h": HOUR, "24h": DAY},
    ADDRESS.name: {"10m": 10 * MINUTE, "1h": HOUR, "24h": DAY},
    MERCHANT.name: {"10m": 10 * MINUTE, "1h": HOUR},
}
"""The windows (µs) of each entity kind, by the name that its features carry."""
_EDGES: Final = {name: np.array(list(windows.values()))[:, np.newaxis] for name, windows in WINDOWS.items()}


def attempt_features(block: Block, kind: EntityKind) -> dict[str, NDArray[Any]]:
    """Compute the features of one entity kind: name → int64, shape (rows,), in the catalogue's order.

    Windows are (t − w, t] and count the row itself, as do the distinct users at a device.
    """
    first = block.key.searchsorted(block.row_key - _EDGES[kind.name], side="right")
    np.maximum(first, block.floor, out=first)
    small = np.zeros(len(block.key) + 1, dtype=np.int64)
    np.cumsum(block.columns["cents"] <= SMALL_CENTS, out=small[1:])
    counts = block.end - first + 1
    smalls = small[block.end] - small[first] + (block.row["cents"] <= SMALL_CENTS)
    return _named(kind, counts, smalls, lambda: distinct(block, "user", first[-1]))


def first_attempts(events: Events, kind: EntityKind) -> dict[str, NDArray[Any]]:
    """Return the features of rows whose entity knows of no earlier attempt, and 0 where the entity is not known."""
    known = events.entity(kind) != 0
    small = known & (events.cents <= SMALL_CENTS)
    windows = len(WINDOWS[kind.name])
    return _named(kind, [known] * windows, [small] * windows, lambda: known)


def _named(kind: EntityKind, counts: Any, smalls: Any, users: Any) -> dict[str, NDArray[Any]]:
    windows = WINDOWS[kind.name]
    columns = {f"{kind.name}_txn_count_{name}": column for name, column in zip(windows, counts, strict=True)}
    columns |= {f"{kind.name}_small_count_{name}": column for name, column in zip(windows, smalls, strict=True)}
    return columns | ({"device_user_count_24h": users()} if kind.name == DEVICE.name else {})


def distinct(block: Block, name: str, first: Int) -> Int:
    """Return how many values of a column the windows events[first:end] hold, the row's own among them; null is one."""
    if block.owner is None:
        return _distinct_before(block.columns[name], first)
    rows = np.arange(len(first))
    place = np.arange(len(block.key))
    held = (place >= first[block.owner]) & (place < block.end[block.owner])
    owner = np.concatenate((block.owner[held], rows))
    values = np.concatenate((block.columns[name][held], block.row[name]))
    order = np.lexsort((values, owner))
    owner, values = owner[order], values[order]
    fresh = np.ones(len(owner), dtype=np.bool_)
    fresh[1:] = (owner[1:] != owner[:-1]) | (values[1:] != values[:-1])
    return np.bincount(owner[fresh], minlength=len(first))


def _distinct_before(values: Hash, first: Int) -> Int:
    """Return how many distinct values values[first[i]:i + 1] holds, for each i; `first` never decreases.

    A value enters the window where its last occurrence lies before it, and leaves with the last occurrence that no
    later one followed in time: the count is what entered up to i less what left before first[i].
    """
    order = values.argsort(kind="stable")
    same = values[order][1:] == values[order][:-1]
    before = np.full(len(values), -1, dtype=np.int64)
    before[order[1:][same]] = order[:-1][same]
    enters = before < first
    leaves = np.ones(len(values), dtype=np.bool_)
    leaves[before[before >= 0]] = enters[before >= 0]
    left = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(leaves, out=left[1:])
    return enters.cumsum() - left[first]
