"""What one arm of an experiment answered, and how good its answers were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import Interval, Scored, draws, judge, percentiles
from sentinel_core.experiments.proportions import Proportion, wilson

FIGURES: Final = ("precision", "recall", "f1", "roc_auc", "pr_auc", "accuracy")
PROPORTIONS: Final = ("precision", "recall", "accuracy")
"""The figures that are a share of rows: alarms, frauds and all rows that are labelled."""
UNKNOWN: Final = -1
_NO_COSTS: Final = Costs(0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of an arm, [n] each: score float64, prediction bool, actual int8 (-1 unknown).

    `unit` is what was assigned to the arm: the user (any id), or the row itself where no user was known.
    """

    unit: NDArray[Any]
    score: NDArray[np.float64]
    prediction: NDArray[np.bool_]
    actual: NDArray[np.int8]

    def labelled(self) -> Answers:
        """Return the rows whose truth is known."""
        rows = self.actual != UNKNOWN
        return Answers(self.unit[rows], self.score[rows], self.prediction[rows], self.actual[rows])


@dataclass(frozen=True, slots=True)
class ArmReport:
    """An arm's counts, and its figures with 95% intervals over users; a figure that nothing was known of is left out.

    `shares` holds what the figures of `PROPORTIONS` are shares of, `drawn` the draws behind every figure, float64 [k].
    """

    rows: int
    units: int
    labelled: int
    frauds: int
    alerts: int
    alert_rate: Interval
    figures: Mapping[str, Interval]
    shares: Mapping[str, Proportion]
    drawn: Mapping[str, NDArray[np.float64]] = field(compare=False, repr=False)


def report(answers: Answers, *, count: int, seed: int) -> ArmReport:
    """Judge an arm over `count` draws of users; equal arguments give an equal report."""
    known = answers.labelled()
    fraud, alarm = known.actual == 1, known.prediction
    hits = int((fraud & alarm).sum())
    shares = {
        "precision": Proportion(hits, int(alarm.sum())),
        "recall": Proportion(hits, int(fraud.sum())),
        "accuracy": Proportion(int((fraud == alarm).sum()), len(fraud)),
    }
    alerts = Proportion(int(answers.prediction.sum()), len(answers.prediction))
    values, drawn = _figures(known, count=count, seed=seed) if len(fraud) else ({}, {})
    measured = {name for name in FIGURES if np.isfinite(values.get(name, np.nan))}
    # A ratio over nothing is no figure of this arm, whatever it counts as elsewhere.
    measured -= {name for name, share in shares.items() if not share.trials}
    if not shares["precision"].trials and not shares["recall"].trials:
        measured.discard("f1")
    kept = [name for name in FIGURES if name in measured]
    return ArmReport(
        rows=len(answers.score),
        units=len(np.unique(answers.unit)),
        labelled=len(fraud),
        frauds=int(fraud.sum()),
        alerts=alerts.hits,
        alert_rate=wilson(alerts),
        figures=percentiles(values, {name: drawn[name] for name in kept}),
        shares=shares,
        drawn={name: drawn[name] for name in kept},
    )


def _figures(known: Answers, *, count: int, seed: int) -> tuple[Mapping[str, float], Mapping[str, NDArray[np.float64]]]:
    nothing = np.zeros(len(known.score), dtype=np.int64)
    rows = Scored(known.actual == 1, known.score, known.unit, nothing, nothing)
    # The arm decided by thresholds of its own: its decisions stand, whatever the score.
    decided = np.where(known.prediction, -np.inf, np.inf)
    return judge(rows, decided, _NO_COSTS), draws(rows, decided, _NO_COSTS, count=count, seed=seed)
