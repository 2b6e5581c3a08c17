"""What a device, an address and a merchant saw of late: attempts, small ones among them, and users at a device.

A card-testing run spreads over many cards, so that no single user's history shows it; the entities that it
touches do. Windows, prefix sums and exactness are the kernel's (`kernel.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import ADDRESS, DEVICE, MERCHANT, TOUCHED, EntityKind
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
_WIDEST: Final = max(map(len, WINDOWS.values()))
_ALL_EDGES: Final = np.array(
    [[*windows.values()] + [max(windows.values())] * (_WIDEST - len(windows)) for windows in WINDOWS.values()]
).T
"""[window, kind]; a kind with fewer windows has its longest one again."""
NAMES: Final = tuple(
    (
        *(f"{kind}_txn_count_{window}" for window in windows),
        *(f"{kind}_small_count_{window}" for window in windows),
        *(["device_user_count_24h"] if kind == DEVICE.name else []),
    )
    for kind, windows in WINDOWS.items()
)
"""The features of each kind of `TOUCHED`, in the catalogue's order."""
_OFFSETS: Final = [sum(map(len, NAMES[:kind])) for kind in range(len(NAMES))]
_COLUMNS: Final = np.array(
    [
        [offset + part * len(windows) + min(window, len(windows) - 1) for part in (0, 1) for window in range(_WIDEST)]
        for offset, windows in zip(_OFFSETS, WINDOWS.values(), strict=True)
    ]
)
"""[kind, counts then small counts by window] → place of the feature among those of all kinds."""
_USERS: Final = NAMES[0].index("device_user_count_24h")


def attempt_features(block: Block, kind: EntityKind) -> dict[str, NDArray[Any]]:
    """Compute the features of one entity kind: name → int64, shape (rows,), in the catalogue's order.

    Windows are (t − w, t] and count the row itself, as do the distinct users at a device.
    """
    first, counts, smalls = _counts(block, _EDGES[kind.name])
    return _named(kind, counts, smalls, lambda: distinct(block, "user", first[-1]))


def put_attempts(values: NDArray[np.float32], block: Block, rows: Int, kinds: Int) -> None:
    """Compute the features of a block whose rows are entities of several kinds, into `values` [n, features of all].

    Row i of the block is the entity of kind `TOUCHED[kinds[i]]` of the row `rows[i]` of `values`.
    """
    first, counts, smalls = _counts(block, _ALL_EDGES[:, kinds])
    values[rows[:, np.newaxis], _COLUMNS[kinds]] = np.concatenate((counts, smalls)).T
    devices = np.flatnonzero(kinds == 0)
    if len(devices):
        values[rows[devices], _USERS] = distinct(block, "user", first[-1], devices)


def _counts(block: Block, windows: NDArray[np.int64]) -> tuple[Int, Int, Int]:
    """Return first event, attempts and small attempts of each window, each of shape (windows, rows)."""
    first = block.key.searchsorted(block.row_key - windows, side="right")
    np.maximum(first, block.floor, out=first)
    small = np.zeros(len(block.key) + 1, dtype=np.int64)
    np.cumsum(block.columns["cents"] <= SMALL_CENTS, out=small[1:])
    smalls = small[block.end] - small[first] + (block.row["cents"] <= SMALL_CENTS)
    return first, block.end - first + 1, smalls


def first_attempts(events: Events, kind: EntityKind) -> dict[str, NDArray[Any]]:
    """Return the features of rows whose entity knows of no earlier attempt, and 0 where the entity is not known."""
    known = events.entity(kind) != 0
    small = known & (events.cents <= SMALL_CENTS)
    windows = len(WINDOWS[kind.name])
    return _named(kind, [known] * windows, [small] * windows, lambda: known)


def _named(kind: EntityKind, counts: Any, smalls: Any, users: Any) -> dict[str, NDArray[Any]]:
    columns = [*counts, *smalls] + ([users()] if kind.name == DEVICE.name else [])
    return dict(zip(NAMES[TOUCHED.index(kind)], columns, strict=True))


def distinct(block: Block, name: str, first: Int, rows: Int | None = None) -> Int:
    """Return how many values of a column the windows events[first:end] hold, the row's own among them; null is one.

    `rows` chooses among the rows of a block with an owner for each event; without it all are answered.
    """
    if block.owner is None:
        return _distinct_before(block.columns[name], first)
    if rows is None:
        rows = np.arange(len(first))
    place = np.arange(len(block.key))
    held = (place >= first[block.owner]) & (place < block.end[block.owner])
    if len(rows) < len(first):
        chosen = np.zeros(len(first), dtype=np.bool_)
        chosen[rows] = True
        held &= chosen[block.owner]
    owner = np.concatenate((block.owner[held], rows))
    values = np.concatenate((block.columns[name][held], block.row[name][rows]))
    order = np.lexsort((values, owner))
    owner, values = owner[order], values[order]
    fresh = np.ones(len(owner), dtype=np.bool_)
    fresh[1:] = (owner[1:] != owner[:-1]) | (values[1:] != values[:-1])
    return np.bincount(owner[fresh], minlength=len(first))[rows]


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
