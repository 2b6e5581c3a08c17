"""The score from which a transaction counts as fraud, chosen by a stated policy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.curves import precision_recall


def best_f1(is_fraud: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[float, float]:
    """Return the threshold (inclusive) with the highest F1 on these rows, and that F1.

    It lies midway between two neighbouring scores, so that a score which moves by a rounding error stays on its
    side. Of equal ones the highest threshold wins.
    """
    curve = precision_recall(is_fraud, score)
    f1 = 2 * curve.x * curve.y / np.maximum(curve.x + curve.y, 1e-300)
    finite = np.isfinite(curve.threshold)
    best = float(f1[finite].max())
    chosen = float(curve.threshold[finite][f1[finite] >= best].max())
    below = score[score < chosen]
    return (chosen + float(below.max())) / 2 if len(below) else chosen, best
