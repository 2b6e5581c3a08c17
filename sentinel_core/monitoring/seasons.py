"""The season of a moment: its hour and its kind of day. A window is compared with the reference at the same season."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

HOURS: Final = 24
DAY_TYPES: Final = np.array([0, 1, 1, 1, 2, 3, 4])
"""Of Monday to Sunday: only Tuesday to Thursday are alike; a Monday's "last" and 24 h counts look back on a Sunday."""
WEEKEND: Final = np.array([False, False, False, True, True])
"""Of the kinds of day: for what does not look back on the day before, weekdays are alike, and weekends."""
CELLS: Final = HOURS * (int(DAY_TYPES.max()) + 1)
NEIGHBOURS: Final = (0.25, 0.5, 0.25)
"""Weights of the hour before, the hour itself and the one after, at the same kind of day."""
MIN_CELL_ROWS: Final = 50
"""With fewer reference rows around an hour, all days at that hour are taken instead; then all hours."""
_HOUR: Final = 3_600_000_000
_DAY: Final = HOURS * _HOUR
_THURSDAY: Final = 3
"""The weekday of 1970-01-01."""


def cells(time: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the season of times (µs, UTC): kind of day · 24 + hour, intp of their shape."""
    hour = (time // _HOUR) % HOURS
    weekday = (time // _DAY + _THURSDAY) % 7
    season: NDArray[np.intp] = (DAY_TYPES[weekday] * HOURS + hour).astype(np.intp)
    return season


def mix(time: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each season in times, float64 [CELLS]; it sums to 1."""
    share: NDArray[np.float64] = np.bincount(cells(time), minlength=CELLS) / len(time)
    return share


def like(rows: NDArray[np.float64], *, spread: bool) -> NDArray[np.float64]:
    """Say what of a reference with `rows` [CELLS] rows stands for each season: weights [CELLS, CELLS], by season.

    A season's weights sum to 1. With `spread` the hours beside it help out, which halves the noise of a reference of
    two weeks; without, the hour itself stands alone. What has too few rows is stood for by all days at those hours,
    then by everything.
    """
    weights = np.zeros((CELLS, CELLS))
    types = CELLS // HOURS
    everything = rows / max(rows.sum(), 1.0)
    for cell in range(CELLS):
        kind, hour = divmod(cell, HOURS)
        around = _around(hour) if spread else np.eye(HOURS)[hour]
        exact = np.zeros((types, HOURS))
        exact[kind] = around
        exact = exact.ravel() * (rows > 0)
        daily = np.tile(around, types) * rows
        # Weights of single hours lie beside counts of rows: only whether there are enough is asked of both.
        if rows[exact > 0].sum() >= MIN_CELL_ROWS:
            weights[cell] = exact / exact.sum()
        elif daily.sum() >= MIN_CELL_ROWS * max(NEIGHBOURS):
            weights[cell] = daily / daily.sum()
        else:
            weights[cell] = everything
    return weights


def like_half_weeks(rows: NDArray[np.float64], *, spread: bool) -> NDArray[np.float64]:
    """Say what stands for each season where all weekdays are alike and both days of a weekend are: as `like` does.

    A season of its own is one or two days of a reference of two weeks; so it has several times the rows. They count by
    their number: what is meant for it has no season within them.
    """
    weights = np.zeros((CELLS, CELLS))
    for cell in range(CELLS):
        kind, hour = divmod(cell, HOURS)
        around = _around(hour) if spread else np.eye(HOURS)[hour]
        alike = np.outer(WEEKEND[kind] == WEEKEND, around).ravel() * rows
        daily = np.tile(around, CELLS // HOURS) * rows
        chosen = next((one for one in (alike, daily) if one.sum() >= MIN_CELL_ROWS * max(NEIGHBOURS)), rows)
        weights[cell] = chosen / max(chosen.sum(), 1.0)
    return weights


def _around(hour: int) -> NDArray[np.float64]:
    weights = np.zeros(HOURS)
    for step, weight in zip((-1, 0, 1), NEIGHBOURS, strict=True):
        weights[(hour + step) % HOURS] += weight
    return weights
