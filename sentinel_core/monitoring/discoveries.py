"""Many hypotheses at once: which may be rejected at a false-discovery rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def discoveries(p_values: NDArray[np.float64], weights: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """Return which hypotheses to reject, bool [n], at a false-discovery rate.

    Benjamini and Hochberg (1995) on p-values divided by weights, which say beforehand where more is expected; they are
    scaled to a mean of 1 (Genovese, Roeder and Wasserman, 2006).
    """
    weighted = p_values * weights.mean() / weights
    order = np.argsort(weighted, kind="stable")
    n = len(p_values)
    good = np.flatnonzero(weighted[order] <= rate * np.arange(1, n + 1) / n)
    rejected = np.zeros(n, np.bool_)
    if len(good):
        rejected[order[: good[-1] + 1]] = True
    return rejected
