"""Confidence intervals that respect users: whole users are drawn, with replacement.

A user's transactions resemble each other, and a fraud is several of them: rows drawn one by one would
give intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentinel_core.evaluation.metrics import METRICS, Ranking, evaluate


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float


def draws(
    is_fraud: ArrayLike, score: ArrayLike, threshold: float, users: ArrayLike, *, count: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Return each metric of `METRICS` over `count` draws of users, float64 [count].

    `users` is any id for each row. Equal users and seed draw the same users, so the draws of two models on
    one hold-out are paired. ROC-AUC and PR-AUC are NaN in a draw of one class.
    """
    fraud, scores = np.asarray(is_fraud, dtype=bool), np.asarray(score, dtype=np.float64)
    _, user = np.unique(np.asarray(users), return_inverse=True)
    n_users = int(user.max(initial=-1)) + 1
    sums = _sums_by_user(fraud, scores, threshold, user, n_users)
    ranking = Ranking(fraud, scores)
    generator = np.random.default_rng(seed)
    totals = np.empty((count, sums.shape[1]))
    areas = np.empty((count, 2))
    for draw in range(count):
        times = np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)
        totals[draw] = times @ sums
        areas[draw] = ranking.areas(times[user])
    return _figures(totals) | {"roc_auc": areas[:, 0], "pr_auc": areas[:, 1]}


def intervals(
    is_fraud: ArrayLike,
    score: ArrayLike,
    threshold: float,
    users: ArrayLike,
    *,
    count: int = 300,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return each metric with its percentile interval over `count` draws of users (Efron, 1979).

    A draw without a fraud says nothing about a ranking and is left out of the areas' intervals.
    """
    value = evaluate(is_fraud, score, threshold)
    return percentiles(value, draws(is_fraud, score, threshold, users, count=count, seed=seed), level)


def percentiles(
    value: Mapping[str, float], drawn: Mapping[str, NDArray[np.float64]], level: float = 0.95
) -> dict[str, Interval]:
    """Return the central `level` of each metric's draws around its value; NaN ends where no draw counts."""
    result = {}
    for name in METRICS:
        counted = drawn[name][~np.isnan(drawn[name])]
        ends = np.quantile(counted, [(1 - level) / 2, (1 + level) / 2]) if len(counted) else (np.nan, np.nan)
        result[name] = Interval(value[name], float(ends[0]), float(ends[1]))
    return result


def _sums_by_user(
    fraud: NDArray[np.bool_], score: NDArray[np.float64], threshold: float, user: NDArray[np.intp], n_users: int
) -> NDArray[np.float64]:
    alarm = score >= threshold
    columns = (np.ones(len(fraud)), fraud, alarm, fraud & alarm, (score - fraud) ** 2)
    return np.stack([np.bincount(user, weights=column, minlength=n_users) for column in columns], axis=1)


def _figures(totals: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    rows, frauds, alarms, hits, squares = totals.T
    return {
        "accuracy": (rows - frauds - alarms + 2 * hits) / rows,
        "precision": hits / np.maximum(alarms, 1),
        "recall": hits / np.maximum(frauds, 1),
        "f1": 2 * hits / np.maximum(alarms + frauds, 1),
        "brier": squares / rows,
    }
