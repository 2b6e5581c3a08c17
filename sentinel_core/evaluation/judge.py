"""All that is said about a model's scores on a part of the data, with intervals that respect users.

A user's transactions resemble each other, and a fraud is several of them: rows drawn one by one would
give intervals that are too narrow. Whole users are drawn, with replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentinel_core.evaluation.cards import CARDS_A_DAY, CardRanking
from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.metrics import METRICS, RANKING, Ranking

CARD_PRECISION: Final = f"card_precision_{CARDS_A_DAY}"
JUDGED: Final = (*METRICS, "value_detected", "cost_saved", CARD_PRECISION)
"""Every figure of a report: `METRICS`; the share of defrauded money that was alarmed; the share of fraud's cost that
the alarms save, less what false ones cost; card precision."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Labels bool, scores float64, users (any id), times int64 µs and amounts int64 in cents of rows, [n] each.

    `weight` float64 [n] says how many rows each stands for, None 1 each; card precision alone counts cards instead.
    """

    is_fraud: NDArray[np.bool_]
    score: NDArray[np.float64]
    user: NDArray[Any]
    time: NDArray[np.int64]
    cents: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None

    def take(self, rows: NDArray[Any]) -> Scored:
        """Return the rows of a mask or of positions."""
        weight = None if self.weight is None else self.weight[rows]
        return Scored(self.is_fraud[rows], self.score[rows], self.user[rows], self.time[rows], self.cents[rows], weight)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float


def judge(rows: Scored, threshold: ArrayLike, costs: Costs) -> dict[str, float]:
    """Return every figure of `JUDGED`; an alarm is score ≥ threshold, one for all rows or float [n].

    NaN for what needs a fraud, or a legitimate row, where there is none.
    """
    _, user = np.unique(rows.user, return_inverse=True)
    totals = sums(rows, threshold, costs, user, 1 + int(user.max(initial=-1))).sum(axis=0)
    values = {name: float(value[0]) for name, value in figures(totals[np.newaxis]).items()}
    cards = CardRanking(rows.is_fraud, rows.score, user, rows.time).precision()
    ranked = Ranking(rows.is_fraud, rows.score).figures(rows.weight)
    found = {**values, **ranked, CARD_PRECISION: cards}
    return {name: found[name] for name in JUDGED}


def draws(
    rows: Scored,
    threshold: ArrayLike,
    costs: Costs,
    *,
    count: int,
    seed: int,
    among: NDArray[Any] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return each figure of `JUDGED` over `count` draws of users, float64 [count].

    Users are drawn from the ids `among` (any order, repeated or not), by default those of the rows. Equal ids and seed
    draw the same users: so the draws of two models, or of two parts of one history, are paired.
    """
    universe = np.unique(rows.user if among is None else among)
    user, n_users = np.searchsorted(universe, rows.user), len(universe)
    of_users = sums(rows, threshold, costs, user, n_users)
    ranking = Ranking(rows.is_fraud, rows.score)
    cards = CardRanking(rows.is_fraud, rows.score, user, rows.time)
    totals = np.empty((count, of_users.shape[1]))
    ranked = {name: np.empty(count) for name in (*RANKING, CARD_PRECISION)}
    for draw, times in enumerate(drawn_users(n_users, count=count, seed=seed)):
        totals[draw] = times @ of_users
        of_rows = times[user] if rows.weight is None else times[user] * rows.weight
        for name, value in ranking.figures(of_rows).items():
            ranked[name][draw] = value
        ranked[CARD_PRECISION][draw] = cards.precision(times)
    found = figures(totals) | ranked
    return {name: found[name] for name in JUDGED}


def drawn_users(n_users: int, *, count: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield `count` draws of users with replacement: how often each user is in it, int64 [n_users]."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)


def intervals(
    rows: Scored, threshold: ArrayLike, costs: Costs, *, count: int = 300, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Return each figure with its percentile interval over `count` draws of users (Efron, 1979).

    A draw without a fraud says nothing about a ranking and is left out of those intervals.
    """
    drawn = draws(rows, threshold, costs, count=count, seed=seed)
    return percentiles(judge(rows, threshold, costs), drawn, level=level)


def percentiles(
    value: Mapping[str, float], drawn: Mapping[str, NDArray[np.float64]], *, level: float = 0.95
) -> dict[str, Interval]:
    """Return the central `level` of each figure's draws around its value; NaN ends where no draw counts."""
    result = {}
    for name, of_name in drawn.items():
        counted = of_name[~np.isnan(of_name)]
        ends = np.quantile(counted, [(1 - level) / 2, (1 + level) / 2]) if len(counted) else (np.nan, np.nan)
        result[name] = Interval(value[name], float(ends[0]), float(ends[1]))
    return result


def sums(rows: Scored, threshold: ArrayLike, costs: Costs, user: NDArray[np.intp], n_users: int) -> NDArray[np.float64]:
    """Return what adds up, by user: float64 [n_users, k], for `figures` of any sum of its rows.

    Rows, frauds, alarms and hits come first, in this order.
    """
    weight = np.ones(len(rows.score)) if rows.weight is None else rows.weight
    fraud, alarm = rows.is_fraud, rows.score >= np.asarray(threshold)
    hit, cost = fraud & alarm, costs.of_fraud(rows.cents)
    columns = (
        np.ones(len(fraud)),
        fraud,
        alarm,
        hit,
        (rows.score - fraud) ** 2,
        fraud * rows.cents,
        hit * rows.cents,
        fraud * cost,
        hit * cost - costs.false_alarm * (alarm & ~fraud),
    )
    return np.stack([np.bincount(user, weights=weight * column, minlength=n_users) for column in columns], axis=1)


def figures(totals: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return what follows from sums [draws, k]: the metrics of decisions, Brier, value detected, cost saved."""
    rows, frauds, alarms, hits, squares, value, detected, cost, saved = totals.T
    with np.errstate(invalid="ignore", divide="ignore"):
        of_value, of_cost = detected / value, saved / cost
    return {
        "accuracy": (rows - frauds - alarms + 2 * hits) / rows,
        "precision": hits / np.maximum(alarms, 1),
        "recall": hits / np.maximum(frauds, 1),
        "f1": 2 * hits / np.maximum(alarms + frauds, 1),
        "brier": squares / rows,
        "value_detected": np.where(value > 0, of_value, np.nan),
        "cost_saved": np.where(cost > 0, of_cost, np.nan),
    }
