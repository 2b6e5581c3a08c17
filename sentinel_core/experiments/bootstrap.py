"""A figure of two arms, compared by drawing whole users again: for figures that are no share of independent trials."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sentinel_core.experiments.proportions import POWER


def bootstrap_test(difference: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of no difference, from its draws float64 [k]; NaN where no draw counts.

    It is the smallest level at which the percentile interval leaves zero out (Efron and Tibshirani, An Introduction to
    the Bootstrap, 1993, chapter 15), counted so that it is never 0 (Davison and Hinkley, 1997, section 4.2).
    """
    counted = difference[~np.isnan(difference)]
    if not len(counted):
        return math.nan
    below, above = int((counted <= 0).sum()), int((counted >= 0).sum())
    return float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(counted))))


def rows_needed(
    rows: int, value: float, difference: NDArray[np.float64], *, alpha: float, power: float = POWER
) -> int | None:
    """Return how many rows, divided between the arms as these are, would show the observed difference `value`.

    The deviation of a figure falls with the root of the rows; `difference` are the draws for `rows` rows. None where
    there is no difference, or it could not be measured.
    """
    counted = difference[~np.isnan(difference)]
    if not len(counted) or not math.isfinite(value) or value == 0:
        return None
    from scipy.stats import norm

    wanted = norm.isf(alpha / 2) + norm.isf(1 - power)
    return math.ceil(rows * float(wanted * counted.std() / value) ** 2)
