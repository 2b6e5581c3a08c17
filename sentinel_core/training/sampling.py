"""Row budgets: fewer rows without telling the classes apart by when they happened."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


def thin_legitimate(rows: Rows, fraud: NDArray[np.bool_], budget: int, seed: int) -> Rows:
    """Keep at most `budget` rows: every fraud (up to half the budget), and legitimate rows at random.

    Both are drawn over the whole period and come back in their order. Old frauds beside recent legitimate rows
    would teach the model to tell the months apart (docs/decisions/0008). Class weights see the thinned rates,
    calibration and metrics the natural ones.
    """
    if len(rows) <= budget:
        return rows
    generator = np.random.default_rng(seed)
    frauds, others = np.flatnonzero(fraud), np.flatnonzero(~fraud)
    if len(frauds) > budget // 2:
        frauds = generator.choice(frauds, budget // 2, replace=False)
    kept = generator.choice(others, min(budget - len(frauds), len(others)), replace=False)
    return _ordered(rows, [frauds, kept])


def natural_sample(rows: Rows, fraud: NDArray[np.bool_], budget: int, seed: int) -> Rows:
    """Keep at most `budget` rows at random, at the rate of fraud that they have, in their order."""
    if len(rows) <= budget:
        return rows
    generator = np.random.default_rng(seed)
    share = budget / len(rows)
    kept = [
        generator.choice(group, max(1, round(len(group) * share)), replace=False)
        for group in (np.flatnonzero(fraud), np.flatnonzero(~fraud))
        if len(group)
    ]
    return _ordered(rows, kept)


def whole_users(rows: Rows, user: NDArray[Any], budget: int) -> Rows:
    """Keep every n-th user in order of their ids, n so that about `budget` rows are left; they stay in order.

    `user` is any id of every row there is.
    """
    _, number = np.unique(user[rows], return_inverse=True)
    kept: Rows = rows[number % -(-len(rows) // budget) == 0]
    return kept


def _ordered(rows: Rows, groups: list[Rows]) -> Rows:
    chosen: Rows = rows[np.sort(np.concatenate(groups))]
    return chosen
