"""The score from which a transaction counts as fraud, chosen by a stated policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.curves import precision_recall
from sentinel_core.evaluation.metrics import evaluate

FLOORED: Final = ("precision", "recall", "f1")
"""The metrics that a threshold moves."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold (inclusive), the policy that chose it, and what it reached where it was chosen."""

    threshold: float
    policy: str
    figures: Mapping[str, float]


def choose_threshold(is_fraud: NDArray[np.bool_], score: NDArray[np.float64], floors: Mapping[str, float]) -> Choice:
    """Choose by the profile's floors on precision, recall and F1 where it has any, else by the best F1.

    With floors, the threshold with the largest smallest margin above them: a model that has precision to spare and
    recall at its floor is better used a little lower. Chosen on the calibration part alone.
    """
    bound = {name: floors[name] for name in FLOORED if name in floors}
    if bound:
        policy, threshold = "floor_margin", _widest_margin(is_fraud, score, bound)
    else:
        policy, (threshold, _) = "best_f1", best_f1(is_fraud, score)
    reached = evaluate(is_fraud, score, threshold)
    return Choice(threshold, policy, {f"{name}_on_calibrate": reached[name] for name in FLOORED})


def _widest_margin(is_fraud: NDArray[np.bool_], score: NDArray[np.float64], bound: Mapping[str, float]) -> float:
    curve = precision_recall(is_fraud, score)
    reached = {"precision": curve.y, "recall": curve.x, "f1": _f1(curve.x, curve.y)}
    margin = np.min([reached[name] - floor for name, floor in bound.items()], axis=0)
    return _highest(curve.threshold, margin, score)


def best_f1(is_fraud: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[float, float]:
    """Return the threshold (inclusive) with the highest F1 on these rows, and that F1.

    It lies midway between two neighbouring scores, so that a score which moves by a rounding error stays on its
    side. Of equal ones the highest threshold wins.
    """
    curve = precision_recall(is_fraud, score)
    f1 = _f1(curve.x, curve.y)
    return _highest(curve.threshold, f1, score), float(f1.max())


def _f1(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    f1: NDArray[np.float64] = 2 * recall * precision / np.maximum(recall + precision, 1e-300)
    return f1


def _highest(thresholds: NDArray[np.float64], gain: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """Return the highest threshold of the greatest gain, moved halfway to the score below it."""
    chosen = float(thresholds[gain >= gain.max()].max())
    below = score[score < chosen]
    return (chosen + float(below.max())) / 2 if len(below) else chosen
