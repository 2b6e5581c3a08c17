"""Calibration: a strictly increasing map from a model's output to a probability (Platt on the logit).

The map keeps the order of the scores, so that ROC-AUC and PR-AUC are those of the model; isotonic
regression makes ties and is left out for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentinel_core.errors import TrainingError

_NEWTON_STEPS: Final = 100
_LONGEST_STEP: Final = 2.0
_CONVERGED: Final = 1e-10
_RIDGE: Final = 1e-9
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


def fit_platt(probability: ArrayLike, is_fraud: ArrayLike, weight: NDArray[np.float64] | None = None) -> Platt:
    """Fit the map by maximum likelihood on rows that the model has not seen, at their natural fraud rate.

    `weight` float64 [n] says how many rows each stands for, None 1 each.

    Newton's method on two parameters with Platt's smoothed targets, so that separable rows have a finite answer.
    Raises `TrainingError` where the outputs do not grow with the frequency of fraud: no increasing map exists.
    """
    x = smoothed_logit(probability)
    fraud = np.asarray(is_fraud, dtype=bool)
    rows = np.ones(len(fraud)) if weight is None else weight
    frauds, others = float(rows[fraud].sum()), float(rows[~fraud].sum())
    target = np.where(fraud, (frauds + 1) / (frauds + 2), 1 / (others + 2))
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(design @ weights)
        hessian = (design * (rows * p * (1 - p))[:, None]).T @ design + np.eye(2) * _RIDGE
        step = np.linalg.solve(hessian, design.T @ (rows * (p - target)))
        weights -= np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _CONVERGED:
            break
    if not weights[0] > 0:
        raise TrainingError(
            f"expected scores that grow with fraud on the calibration rows, got a slope of {weights[0]:.3g}"
            f" over {int(fraud.sum()):,} frauds and {int((~fraud).sum()):,} legitimate rows.",
            remedy="The model knows nothing about these rows: look at its features, its labels and its training part.",
        )
    return Platt(float(weights[0]), float(weights[1]))


def smoothed_logit(probability: ArrayLike, smoothing: float = SMOOTHING) -> NDArray[np.float64]:
    """Return ln((p + e)/(1 − p + e)): finite and strictly increasing on the closed interval [0, 1]."""
    p = np.asarray(probability, dtype=np.float64)
    return np.log((p + smoothing) / (1.0 - p + smoothing))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # The branch with a non-positive exponent never overflows.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
