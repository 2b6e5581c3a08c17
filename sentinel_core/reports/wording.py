"""How a report writes figures, times and the names of metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from sentinel_core.reports.document import NONE

METRIC_NAMES: Final = {
    "pr_auc": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "accuracy": "Accuracy",
    "recall_at_0.1pct_fpr": "Recall at 0.1% false positives",
    "recall_at_1pct_fpr": "Recall at 1% false positives",
    "card_precision_100": "Card precision@100",
    "value_detected": "Value detected",
    "cost_saved": "Cost saved",
    "brier": "Brier score (less is better)",
}
"""The metrics of `evaluation.judge` as people call them, in the order of a report."""
PARTS: Final = {
    "calibrate": "on these rows calibration and threshold were chosen",
    "test": "later in time than all of training, used for nothing but these figures",
    "test_true": "the same rows against the true labels, which only generated data has",
}


class Bounded(Protocol):
    """A figure with the ends of its interval, or None."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def interval(figure: Bounded | None) -> str:
    """Write a figure with its interval."""
    if figure is None:
        return NONE
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"


def count(number: float) -> str:
    """Write a number of things, or a sum of weights as how many it stands for."""
    return f"{round(number):,}"


def percent(share: float) -> str:
    """Write a share."""
    return f"{share:.2%}"


def minute(moment: str) -> str:
    """Write an ISO 8601 time in UTC to the minute."""
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC"
