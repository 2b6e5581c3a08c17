"""Fewer rows that still hang together: what happened in some stretches of time, all of it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST: Final = 3_600_000_000
SHORTEST: Final = 60_000_000
STRETCHES: Final = 480
"""Stretches wanted, at least: every hour of a day and every weekday is among so many, again and again."""
_GOLDEN: Final = (5**0.5 - 1) / 2


def whole_stretches(time: NDArray[np.int64], budget: int) -> NDArray[np.intp]:
    """Return at most `budget` rows, in order: those of stretches of an hour or less, spread evenly over all times.

    `time` int64 µs [n], in any order. Rows that are thinned one by one lose the company that they came in: a user's
    next payment, the other cards of an attack. Stretches are taken by the golden ratio, which leaves no hour out.
    """
    if len(time) <= budget:
        return np.arange(len(time))
    share = budget / len(time)
    span = int(time.max()) - int(time.min()) + 1
    length = int(np.clip(span * share / STRETCHES, SHORTEST, LONGEST))
    stretch = (time - int(time.min())) // length
    # Each stretch has a place between 0 and 1, neighbours far apart; the first ones are taken until the budget is full.
    place = np.modf(np.arange(int(stretch.max()) + 1) * _GOLDEN)[0]
    order = np.argsort(place)
    rows = np.bincount(stretch, minlength=len(place))
    taken = np.zeros(len(place), np.bool_)
    taken[order[np.cumsum(rows[order]) <= budget]] = True
    if not taken.any():
        # All in one minute: there is no stretch to take.
        return np.linspace(0, len(time) - 1, budget).astype(np.intp)
    return np.flatnonzero(taken[stretch])
