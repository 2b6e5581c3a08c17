"""Calibration: a strictly increasing map from a model's output to a probability (Platt on the logit).

The map keeps the order of the scores, so that ROC-AUC and PR-AUC are those of the model; isotonic
regression makes ties and is left out for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMOOTHING: Final = 1e-4
"""Keeps the logit of 0 and of 1 finite, at ±9.2, without tying the outputs near them."""


@dataclass(frozen=True, slots=True)
class Platt:
    """score = 1/(1 + exp(−(slope·x + intercept))), x = ln((p + e)/(1 − p + e)), e = `smoothing`; slope > 0.

    Platt, Probabilistic outputs for support vector machines (1999), with the logit in place of the margin.
    """

    slope: float
    intercept: float
    smoothing: float = SMOOTHING

    def __call__(self, probability: ArrayLike) -> NDArray[np.float64]:
        """Map outputs in [0, 1], any shape, to calibrated probabilities of the same shape."""
        return _sigmoid(self.slope * smoothed_logit(probability, self.smoothing) + self.intercept)


def smoothed_logit(probability: ArrayLike, smoothing: float = SMOOTHING) -> NDArray[np.float64]:
    """Return ln((p + e)/(1 − p + e)): finite and strictly increasing on the closed interval [0, 1]."""
    p = np.asarray(probability, dtype=np.float64)
    return np.log((p + smoothing) / (1.0 - p + smoothing))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # The branch with a non-positive exponent never overflows.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
