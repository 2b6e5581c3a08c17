"""Forward-chained folds: train on the past, leave a gap of one label delay, judge on the window behind it.

They lie before the test part, which nothing that is chosen by them has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.schema import from_micros
from sentinel_core.training.split import Window, rows_within

HELD_BACK: Final = 0.20
"""The last share of the whole time, which holds all of the training's test part."""
JUDGED: Final = 0.5
"""The share of what is left, at its end, that the folds judge between them."""
_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Fold:
    """Row numbers of what a fold trains on and of what it judges, each in order of time, and their windows."""

    train: NDArray[np.intp]
    judge: NDArray[np.intp]
    train_window: Window
    judge_window: Window


def forward_folds(
    time: NDArray[np.int64],
    is_fraud: NDArray[np.int8],
    known_at: NDArray[np.int64],
    *,
    as_of: int,
    label_delay: int,
    folds: int,
    held_back: float = HELD_BACK,
) -> tuple[Fold, ...]:
    """Return folds in order of time; all times are int64 µs [n], `is_fraud` int8 [n] with -1 unknown.

    The last share `held_back` of the time is in no fold. The judged windows are equally long and touch; each fold
    trains on everything up to one label delay before its own, as far as its label was known when the window begins.
    Raises `TrainingError` where the time is too short, or a part has no rows, one class or too few frauds.
    """
    known = (is_fraud >= 0) & (known_at <= as_of)
    if not known.any():
        raise TrainingError(
            f"expected labelled rows, got none known at the clock among {len(time):,} rows.",
            remedy='Map the labels: [columns] is_fraud = "their name".',
        )
    found = []
    for number, (train, judge) in enumerate(_windows(time[known], as_of, label_delay, folds, held_back), start=1):
        rows = [
            rows_within(f"{part} of fold {number}", window, time, is_fraud, known_at)
            for part, window in (("train", train), ("judge", judge))
        ]
        found.append(Fold(rows[0], rows[1], train, judge))
    return tuple(found)


def _windows(
    time: NDArray[np.int64], as_of: int, delay: int, folds: int, held_back: float
) -> list[tuple[Window, Window]]:
    first, end = int(time.min()), min(int(time.max()) + 1, as_of - delay + 1)
    upto = end - int((end - first) * held_back)
    judged = upto - int((upto - first) * JUDGED)
    if judged - delay <= first:
        raise TrainingError(
            f"expected events over more than {delay / _DAY / (1 - held_back) / JUDGED:g} days for a label delay of"
            f" {delay / _DAY:g}, got {from_micros(first):%Y-%m-%d} to {from_micros(end):%Y-%m-%d}.",
            remedy="Bring a longer history, or set SENTINEL_LABEL_DELAY_DAYS to how long your labels really take.",
        )
    edges = [judged + (upto - judged) * number // folds for number in range(folds + 1)]
    return [(Window(first, start - delay, start), Window(start, stop, as_of)) for start, stop in pairwise(edges)]
