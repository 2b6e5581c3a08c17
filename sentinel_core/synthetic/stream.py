"""The generated events as a struct of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic.vocabulary import IntArray

NEGATIVES: Final = ("travel", "gift", "new_phone", "micro_subscription", "night_work", "lookalike")
TRAVEL, GIFT, NEW_PHONE, MICRO, NIGHT, LOOKALIKE = range(1, 7)
"""Codes of the kinds of hard negatives; 0 is an ordinary transaction."""
PLAIN, AMBIGUOUS, HIDDEN = range(3)
"""Codes of a fraud's visibility."""

_DTYPES: Final[dict[str, Any]] = {
    "time": np.int64,
    "user": np.int32,
    "merchant": np.int32,
    "category": np.int8,
    "cents": np.int64,
    "type": np.int8,
    "device": np.int32,
    "device_type": np.int8,
    "address": np.int32,
    "city": np.int8,
    "card": np.int8,
    "scenario": np.int8,
    "visibility": np.int8,
    "negative": np.int8,
    "sequence": np.int32,
}


@dataclass(frozen=True, slots=True)
class Stream:
    """Events, one row each, with what really happened.

    time µs since the epoch; cents; user, merchant, device, address, city and category are codes; card
    0 or 1 or, for transfers, -1; scenario 0 for legitimate, else of `difficulty`; visibility of a fraud;
    negative kind of a hard negative or 0; sequence number of the episode or -1.
    """

    time: IntArray
    user: npt.NDArray[np.int32]
    merchant: npt.NDArray[np.int32]
    category: npt.NDArray[np.int8]
    cents: IntArray
    type: npt.NDArray[np.int8]
    device: npt.NDArray[np.int32]
    device_type: npt.NDArray[np.int8]
    address: npt.NDArray[np.int32]
    city: npt.NDArray[np.int8]
    card: npt.NDArray[np.int8]
    scenario: npt.NDArray[np.int8]
    visibility: npt.NDArray[np.int8]
    negative: npt.NDArray[np.int8]
    sequence: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: npt.NDArray[Any]) -> Stream:
        """Select rows by index or mask."""
        return Stream(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def make_stream(n: int, **columns: Any) -> Stream:
    """Build a stream of n rows: missing columns are 0, scalars are repeated."""
    arrays = {}
    for name, dtype in _DTYPES.items():
        value = columns.pop(name, 0)
        arrays[name] = np.full(n, value, dtype) if np.ndim(value) == 0 else np.asarray(value).astype(dtype, copy=False)
    if columns:
        raise TypeError(f"unknown stream columns {sorted(columns)}")
    return Stream(**arrays)


def concat(streams: Sequence[Stream]) -> Stream:
    """Join streams, first to last."""
    return Stream(**{name: np.concatenate([getattr(s, name) for s in streams]) for name in _DTYPES})
