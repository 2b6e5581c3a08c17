"""The curves of a report: precision-recall, ROC, and how far a score can be taken as a probability.

`weight` float64 [n] says how many rows each row stands for, None 1 each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Weight = NDArray[np.float64] | None
RELIABILITY_EDGES: Final = (0.0, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Finer where fraud scores crowd: equal bins would put nearly every transaction into the first."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points from the strictest threshold to the loosest: `x`, `y` and `threshold`, float64 [k]."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    threshold: NDArray[np.float64]

    def thinned(self, points: int = 500) -> Curve:
        """Keep at most `points` points, evenly spread along the curve, both ends among them.

        Along the curve, not by number: thousands of legitimate rows share the flat end, and the steep one matters.
        """
        if len(self.x) <= points:
            return self
        way = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(self.x)) + np.abs(np.diff(self.y)))))
        kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], points)).clip(max=len(way) - 1))
        kept[-1] = len(way) - 1
        return Curve(self.x[kept], self.y[kept], self.threshold[kept])


@dataclass(frozen=True, slots=True)
class Reliability:
    """One row for each range of scores that occurs: mean score, share of fraud, rows (or their weight); [k] each."""

    score: NDArray[np.float64]
    fraud: NDArray[np.float64]
    rows: NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many legitimate and how many fraudulent rows score in each range, or their weight: [k], k + 1 `edges`."""

    edges: NDArray[np.float64]
    legitimate: NDArray[np.int64] | NDArray[np.float64]
    fraud: NDArray[np.int64] | NDArray[np.float64]


def precision_recall(is_fraud: ArrayLike, score: ArrayLike, weight: Weight = None) -> Curve:
    """Return recall (x) and precision (y) at every distinct score; needs at least one fraud."""
    hits, alarms, threshold = _counts(is_fraud, score, weight)
    return Curve(hits / hits[-1], hits / alarms, threshold)


def roc(is_fraud: ArrayLike, score: ArrayLike, weight: Weight = None) -> Curve:
    """Return false (x) and true positive rate (y) at every distinct score, from (0, 0); needs both classes."""
    hits, alarms, threshold = _counts(is_fraud, score, weight)
    false = alarms - hits
    start = np.zeros(1)
    return Curve(
        np.concatenate((start, false / false[-1])),
        np.concatenate((start, hits / hits[-1])),
        np.concatenate(([np.inf], threshold)),
    )


def reliability(
    is_fraud: ArrayLike, score: ArrayLike, weight: Weight = None, *, edges: tuple[float, ...] = RELIABILITY_EDGES
) -> Reliability:
    """Compare mean score and share of fraud within [edge, next edge); the last range is closed."""
    fraud, scores = np.asarray(is_fraud, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if weight is not None:
        fraud, scores = fraud * weight, scores * weight
    bins = len(edges) - 1
    place = np.clip(np.searchsorted(edges, np.asarray(score), side="right") - 1, 0, bins - 1)
    rows = np.bincount(place, weights=weight, minlength=bins)
    seen = rows > 0
    return Reliability(
        np.bincount(place, weights=scores, minlength=bins)[seen] / rows[seen],
        np.bincount(place, weights=fraud, minlength=bins)[seen] / rows[seen],
        rows[seen],
    )


def histogram(is_fraud: ArrayLike, score: ArrayLike, weight: Weight = None, *, bins: int = 20) -> Histogram:
    """Count scores by label in `bins` equal ranges of [0, 1]; the last one is closed."""
    fraud, scores = np.asarray(is_fraud, dtype=bool), np.asarray(score, dtype=np.float64)
    edges = np.linspace(0, 1, bins + 1)
    legitimate, frauds = (
        np.histogram(scores[mask], edges, weights=None if weight is None else weight[mask])[0]
        for mask in (~fraud, fraud)
    )
    return Histogram(edges, legitimate, frauds)


def _counts(
    is_fraud: ArrayLike, score: ArrayLike, weight: Weight
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Frauds and rows at or above each distinct score, descending."""
    fraud, scores = np.asarray(is_fraud, dtype=np.float64), np.asarray(score, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last = np.flatnonzero(np.append(np.diff(descending) != 0, True))
    if weight is None:
        return np.cumsum(fraud[order])[last], (last + 1).astype(np.float64), descending[last]
    ordered = weight[order]
    return np.cumsum(fraud[order] * ordered)[last], np.cumsum(ordered)[last], descending[last]
