"""How far apart two distributions are: Kolmogorov-Smirnov and the population stability index, over many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.binning import FINE, Bins

Band = Literal["none", "moderate", "significant"]
MODERATE: Final = 0.1
SIGNIFICANT: Final = 0.25
Floats = NDArray[np.float64]


def band(psi: float) -> Band:
    """Name a PSI by its usual bands: below 0.1 none, to 0.25 moderate, above significant."""
    return "none" if psi < MODERATE else "moderate" if psi <= SIGNIFICANT else "significant"


class Distances:
    """The two distances of several variables, each with its bins."""

    def __init__(self, bins: Sequence[Bins]) -> None:
        self._category = np.array([one.variable.kind == "category" for one in bins])
        # Ends are repeated up to the most that a variable has: such a bin is empty on both sides.
        self._ends = np.zeros((len(bins), max(len(one.ends) for one in bins)), np.intp)
        for row, one in enumerate(bins):
            self._ends[row] = one.ends[-1]
            self._ends[row, : len(one.ends)] = one.ends

    def __call__(self, window: Floats, reference: Floats, rows: int) -> tuple[Floats, Floats]:
        """Return KS and PSI, each [...], of shares [..., variables, FINE] of a window with `rows` rows.

        KS is the largest difference of the cumulative shares at the fine bins' edges; of a category, whose levels have
        no order, the largest difference of a level's share. PSI is Σ (w − r)·ln(w/r) over the coarse bins, with half a
        row added to each share so that it is finite where one is empty.
        """
        above, below = np.cumsum(window, axis=-1), np.cumsum(reference, axis=-1)
        apart = np.where(self._category[:, None], window - reference, above - below)
        ks: Floats = np.abs(apart).max(axis=-1)
        half = 0.5 / rows
        w, r = self._coarse(above), self._coarse(below)
        psi: Floats = ((w - r) * np.log((w + half) / (r + half))).sum(axis=-1)
        return ks, psi

    def _coarse(self, cumulative: Floats) -> Floats:
        ends = np.broadcast_to(self._ends, (*cumulative.shape[:-2], *self._ends.shape))
        return np.diff(np.take_along_axis(cumulative, ends, axis=-1), axis=-1, prepend=0.0)


def count_codes(codes: NDArray[np.intp]) -> Floats:
    """Return the share of each fine bin, float64 [variables, FINE], of codes intp [rows, variables]."""
    rows, variables = codes.shape
    flat = (codes + np.arange(variables) * FINE).ravel()
    shares: Floats = np.bincount(flat, minlength=variables * FINE).reshape(variables, FINE) / rows
    return shares


def ks_p_value(ks: float, rows: int, reference_rows: float) -> float:
    """Return the asymptotic p-value of the two-sample Kolmogorov-Smirnov test (Smirnov, 1948), for independent rows."""
    from scipy.special import kolmogorov

    return float(kolmogorov(ks * np.sqrt(rows * reference_rows / (rows + reference_rows))))
