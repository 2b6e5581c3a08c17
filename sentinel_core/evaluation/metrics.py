"""The metrics of a fraud model that need no more than labels and scores.

`Ranking` sorts the scores once and then answers for any weights of the rows, which is what
the bootstrap asks of it hundreds of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

FALSE_POSITIVE_RATES: Final = {"recall_at_0.1pct_fpr": 0.001, "recall_at_1pct_fpr": 0.01}
"""Recall where the threshold lets so many legitimate rows be alarmed, at most."""
RANKING: Final = ("roc_auc", "pr_auc", *FALSE_POSITIVE_RATES)
"""What the order of the scores decides alone, as `Ranking.figures` returns it."""
METRICS: Final = ("accuracy", "precision", "recall", "f1", *RANKING, "brier")
"""Every metric of `evaluate`, in the order of reports; Brier is the only one where less is better."""


_ONE_ROW: Final = 0.5


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts (or sums of weights) of decisions against labels.

    A ratio over nothing is 0: without alarms, precision is 0 and so is F1.
    """

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        rows = self.true_positive + self.false_positive + self.false_negative + self.true_negative
        return _ratio(self.true_positive + self.true_negative, rows)

    @property
    def precision(self) -> float:
        """Share of fraud among the alarms."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the fraud that was alarmed."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        alarms_and_frauds = 2 * self.true_positive + self.false_positive + self.false_negative
        return _ratio(2 * self.true_positive, alarms_and_frauds)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def confusion(is_fraud: ArrayLike, decision: ArrayLike, weight: NDArray[np.float64] | None = None) -> Confusion:
    """Count decisions (bool [n]) against labels (bool [n]), or add up the weights of rows, float64 [n]."""
    fraud, alarm = np.asarray(is_fraud, dtype=bool), np.asarray(decision, dtype=bool)
    if weight is not None:
        groups = (fraud & alarm, ~fraud & alarm, fraud & ~alarm, ~fraud & ~alarm)
        return Confusion(*(float(weight[rows].sum()) for rows in groups))
    hits = int((fraud & alarm).sum())
    alarms, frauds = int(alarm.sum()), int(fraud.sum())
    return Confusion(hits, alarms - hits, frauds - hits, len(fraud) - alarms - frauds + hits)


class Ranking:
    """Labels in the order of their scores, ready for what that order decides under any row weights.

    All need one running sum of the weights and then look only at the frauds. Ties count half for
    ROC-AUC; elsewhere rows of one score enter together, without interpolation.
    """

    def __init__(self, is_fraud: ArrayLike, score: ArrayLike) -> None:
        fraud, scores = np.asarray(is_fraud, dtype=bool), np.asarray(score, dtype=np.float64)
        self.order: NDArray[np.intp] = np.argsort(-scores, kind="stable")
        ordered, descending = fraud[self.order], -scores[self.order]
        self._frauds = np.flatnonzero(ordered)
        # Rows that score more than a fraud, and rows that score at least as much.
        self._above = np.searchsorted(descending, descending[self._frauds], side="left")
        self._upto = np.searchsorted(descending, descending[self._frauds], side="right")
        self._frauds_above = np.searchsorted(self._frauds, self._above, side="left")
        self._frauds_upto = np.searchsorted(self._frauds, self._upto, side="left")

    def figures(self, weight: NDArray[np.int64] | NDArray[np.float64] | None = None) -> dict[str, float]:
        """Return the metrics of `RANKING` for row weights [n] in the order of the input; None is 1 each.

        A weight is 0 or at least 1, integer or not. NaN where the weights leave only one class.
        """
        n = len(self.order)
        ordered: NDArray[Any] = np.ones(n, dtype=np.int64) if weight is None else weight[self.order]
        rows = np.concatenate(([0], np.cumsum(ordered)))
        of_frauds = ordered[self._frauds]
        frauds = np.concatenate(([0], np.cumsum(of_frauds)))
        positive, negative = float(frauds[-1]), float(rows[-1] - frauds[-1])
        # What sums of broken weights leave of an absent class is far below the weight of one row.
        if positive < _ONE_ROW or negative < _ONE_ROW:
            return dict.fromkeys(RANKING, float("nan"))
        rows_upto, frauds_upto = rows[self._upto], frauds[self._frauds_upto]
        legitimate_above = rows[self._above] - frauds[self._frauds_above]
        legitimate_upto = rows_upto - frauds_upto
        beaten = negative - 0.5 * (legitimate_above + legitimate_upto)
        # A group of weight 0 has frauds of weight 0: any divisor will do.
        precision = frauds_upto / np.maximum(rows_upto, 1)
        return {
            "roc_auc": float((of_frauds * beaten).sum() / (positive * negative)),
            "pr_auc": float((of_frauds * precision).sum() / positive),
            **{
                name: float(of_frauds[legitimate_upto <= rate * negative].sum() / positive)
                for name, rate in FALSE_POSITIVE_RATES.items()
            },
        }


def roc_auc(is_fraud: ArrayLike, score: ArrayLike) -> float:
    """Return the probability that a fraud scores above a legitimate row, ties half; NaN with one class only."""
    return Ranking(is_fraud, score).figures()["roc_auc"]


def average_precision(is_fraud: ArrayLike, score: ArrayLike, weight: NDArray[np.float64] | None = None) -> float:
    """Return PR-AUC as the sum of precision times the step in recall; NaN with one class only.

    `weight` is as in `Ranking.figures`.
    """
    return Ranking(is_fraud, score).figures(weight)["pr_auc"]


def brier(is_fraud: ArrayLike, score: ArrayLike, weight: NDArray[np.float64] | None = None) -> float:
    """Return the mean squared difference of score and label (Brier, 1950), weighted by rows where weights are given."""
    squares = (np.asarray(score, dtype=np.float64) - np.asarray(is_fraud, dtype=np.float64)) ** 2
    return float(np.mean(squares) if weight is None else np.average(squares, weights=weight))


def evaluate(
    is_fraud: ArrayLike, score: ArrayLike, threshold: ArrayLike, weight: NDArray[np.float64] | None = None
) -> dict[str, float]:
    """Return every metric of `METRICS` for scores float [n], labels bool [n]; an alarm is score ≥ threshold.

    `threshold` is one for all rows, or float [n]; `weight` float64 [n] says how many rows each stands for, None 1 each.
    """
    decided = confusion(is_fraud, np.asarray(score) >= np.asarray(threshold), weight)
    return {
        "accuracy": decided.accuracy,
        "precision": decided.precision,
        "recall": decided.recall,
        "f1": decided.f1,
        **Ranking(is_fraud, score).figures(weight),
        "brier": brier(is_fraud, score, weight),
    }
