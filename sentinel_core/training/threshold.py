"""The score from which a transaction counts as fraud, chosen by a stated policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.curves import precision_recall
from sentinel_core.evaluation.judge import Scored
from sentinel_core.evaluation.metrics import evaluate
from sentinel_core.settings import PolicyName

FLOORED: Final = ("precision", "recall", "f1")
"""The metrics that a threshold moves."""
_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How decisions are made of scores; `auto` is `floor_margin` where the profile has floors, else `best_f1`.

    `floor_margin`: the largest smallest margin above the floors on precision, recall and F1. `alert_budget`: as many
    alarms as `alerts_a_day` allows. `lowest_cost`: for each transaction the decision that costs less by `costs`; its
    threshold depends on the amount.
    """

    name: PolicyName = "auto"
    alerts_a_day: float = 100.0
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold (inclusive), the policy that chose it, and what it reached where it was chosen.

    With `costs` the threshold moves with the amount, and `threshold` is that of the median amount.
    """

    threshold: float
    policy: str
    figures: Mapping[str, float]
    costs: Costs | None = None

    def at(self, cents: ArrayLike) -> NDArray[np.float64]:
        """Return the threshold of each amount (in cents), float64 of their shape."""
        return self.costs.threshold(cents) if self.costs else np.full(np.shape(cents), self.threshold)


def choose_threshold(rows: Scored, policy: Policy, floors: Mapping[str, float]) -> Choice:
    """Choose on the rows of the calibration part, whose scores are calibrated, and on nothing else.

    `floor_margin` without floors is `best_f1`: a model that has precision to spare and recall at its floor is better
    used a little lower, and that needs a floor.
    """
    bound = {name: floors[name] for name in FLOORED if name in floors}
    name = policy.name if policy.name not in ("auto", "floor_margin") else "floor_margin" if bound else "best_f1"
    costs = None
    if name == "floor_margin":
        threshold = _widest_margin(rows, bound)
    elif name == "alert_budget":
        threshold = _within_budget(rows, policy.alerts_a_day)
    elif name == "lowest_cost":
        costs = policy.costs
        threshold = float(costs.threshold(np.median(rows.cents)))
    else:
        threshold, _ = best_f1(rows.is_fraud, rows.score, rows.weight)
    choice = Choice(threshold, name, {}, costs)
    reached = evaluate(rows.is_fraud, rows.score, choice.at(rows.cents), rows.weight)
    return Choice(threshold, name, {f"{metric}_on_calibrate": reached[metric] for metric in FLOORED}, costs)


def best_f1(
    is_fraud: NDArray[np.bool_], score: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return the threshold (inclusive) with the highest F1 on these rows, and that F1; None weighs 1 each.

    It lies midway between two neighbouring scores, so that a score which moves by a rounding error stays on its
    side. Of equal ones the highest threshold wins.
    """
    curve = precision_recall(is_fraud, score, weight)
    f1 = _f1(curve.x, curve.y)
    return _highest(curve.threshold, f1, score), float(f1.max())


def _widest_margin(rows: Scored, bound: Mapping[str, float]) -> float:
    curve = precision_recall(rows.is_fraud, rows.score, rows.weight)
    reached = {"precision": curve.y, "recall": curve.x, "f1": _f1(curve.x, curve.y)}
    margin = np.min([reached[name] - floor for name, floor in bound.items()], axis=0)
    return _highest(curve.threshold, margin, rows.score)


def _within_budget(rows: Scored, alerts_a_day: float) -> float:
    """Return the lowest threshold whose alarms, spread over the days of the rows, stay within the budget."""
    days = (int(rows.time.max()) - int(rows.time.min())) / _DAY + 1 / len(rows.time)
    order = np.argsort(-rows.score, kind="stable")
    descending = rows.score[order]
    alarms = np.arange(1, len(order) + 1) if rows.weight is None else np.cumsum(rows.weight[order])
    allowed = int(np.searchsorted(alarms, int(alerts_a_day * days), side="right"))
    if allowed == len(descending):
        return 0.0
    refused = float(descending[allowed])
    above = descending[descending > refused]
    # Rows with the score of the first that is too many are too many as well.
    return (float(above[-1]) + refused) / 2 if len(above) else float(np.nextafter(refused, 2.0))


def _f1(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    f1: NDArray[np.float64] = 2 * recall * precision / np.maximum(recall + precision, 1e-300)
    return f1


def _highest(thresholds: NDArray[np.float64], gain: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """Return the highest threshold of the greatest gain, moved halfway to the score below it."""
    chosen = float(thresholds[gain >= gain.max()].max())
    below = score[score < chosen]
    return (chosen + float(below.max())) / 2 if len(below) else chosen
