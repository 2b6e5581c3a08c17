"""Live performance: what a model's answers were worth, by cohorts; and what its scores promise before labels mature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import draws, judge, percentiles
from sentinel_core.monitoring.cohorts import Cohort

FIGURES: Final = ("precision", "recall", "f1", "pr_auc", "roc_auc", "accuracy")
"""What is measured of a cohort. A rate of nothing is no figure: precision without alerts, recall without frauds."""
DRAWS: Final = 300
FEWEST: Final = 10
"""Alerts, or frauds, below which a figure has no interval: draws of a handful would say that nothing is uncertain."""
ERRS: Final = {"precision": "low", "recall": "high"}
"""How provisional figures err. A fraud not yet reported makes a false alarm of a hit: precision comes out too low. It
is missing among the frauds too, and missed ones are reported last: recall comes out too high. F1 and PR-AUC: either."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the ends of its 95% interval, None where there is too little for one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """Sums over answers: rows, alerts, the scores of alerts (hits to expect) and of all rows (frauds to expect)."""

    rows: int
    alerts: int
    hits: float
    frauds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What calibrated scores promise; `reason` says why a figure is None. Never stored, no metric of any alert."""

    expected_precision: float | None
    expected_recall: float | None
    expected_f1: float | None
    rows: int
    reason: str = ""
    estimated: bool = True


def measure(cohort: Cohort, *, count: int = DRAWS, seed: int = 0) -> dict[str, Figure | None]:
    """Return each of `FIGURES`, with an interval over `count` draws of users; None where it is not defined."""
    if not cohort.counts["rows"]:
        return dict.fromkeys(FIGURES)
    threshold, costs = decided(cohort), Costs()
    found = judge(cohort.rows, threshold, costs)
    drawn = draws(cohort.rows, threshold, costs, count=count, seed=seed)
    ends = percentiles(found, {name: drawn[name] for name in FIGURES})
    few, none = _scarce(cohort, FEWEST), _scarce(cohort, 1)
    return {
        name: None
        if name in none or np.isnan(found[name])
        else Figure(found[name])
        if name in few
        else Figure(found[name], ends[name].low, ends[name].high)
        for name in FIGURES
    }


def decided(cohort: Cohort) -> NDArray[np.float64]:
    """Return thresholds, float64 [n], under which the rows' scores give the decisions that were given."""
    return np.where(cohort.flagged, cohort.rows.score, np.inf)


def expected(score: NDArray[np.float64], flagged: NDArray[np.bool_]) -> Expected:
    """Sum scores float64 [n] and decisions bool [n]."""
    return Expected(len(score), int(flagged.sum()), float(score[flagged].sum()), float(score.sum()))


def estimate(sums: Expected, *, void: str = "") -> Estimate:
    """Return precision, recall and F1 as calibrated scores alone promise them, over all that was scored.

    A score is the probability of fraud, so scores of alerts sum to the hits to expect: confidence-based performance
    estimation (NannyML's CBPE; Białek et al., arXiv:2401.08348). It holds while the relation of features and fraud is
    the one of the calibration: where `void` says why it need not, nothing is estimated. Where frauds look like
    legitimate traffic, it does not see them.
    """
    if void:
        return Estimate(None, None, None, sums.rows, void)
    if not sums.rows:
        return Estimate(None, None, None, 0, "nothing was scored")
    return Estimate(
        sums.hits / sums.alerts if sums.alerts else None,
        sums.hits / sums.frauds if sums.frauds > 0 else None,
        2 * sums.hits / (sums.alerts + sums.frauds) if sums.frauds > 0 else None,
        sums.rows,
        "" if sums.alerts else "without alerts there is no precision",
    )


def _scarce(cohort: Cohort, fewest: int) -> set[str]:
    counts: Mapping[str, Any] = cohort.counts
    alerts, frauds = counts["alerts"] < fewest, counts["frauds"] < fewest
    scarce = {
        "precision": alerts,
        "recall": frauds,
        "f1": frauds and alerts if fewest == 1 else frauds or alerts,
        "pr_auc": frauds,
        "roc_auc": frauds,
        "accuracy": counts["rows"] < fewest,
    }
    return {name for name, missing in scarce.items() if missing}
