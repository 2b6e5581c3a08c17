"""Traffic as drift looks at it: a stretch of scored transactions, the reference's or the present one's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Sample:
    """Scored transactions, n rows in any order.

    `time` int64 µs; `user` and `merchant` any integer codes; `score` float64, the champion's calibrated score; `alert`
    bool, whether it reached the threshold; `numbers` name → float64 [n]; `categories` name → object [n], text or None.
    """

    time: NDArray[np.int64]
    user: NDArray[np.int64]
    merchant: NDArray[np.int64]
    score: NDArray[np.float64]
    alert: NDArray[np.bool_]
    numbers: Mapping[str, NDArray[np.float64]]
    categories: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: Rows) -> Sample:
        """Return some of the rows, in the order given."""
        return Sample(
            self.time[rows],
            self.user[rows],
            self.merchant[rows],
            self.score[rows],
            self.alert[rows],
            {name: values[rows] for name, values in self.numbers.items()},
            {name: values[rows] for name, values in self.categories.items()},
        )
