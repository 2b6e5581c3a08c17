"""Row budgets: fewer rows without telling the classes apart by when they happened."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Weight = NDArray[np.float64] | None
"""How many transactions each row stands for; None is 1 each."""


def thin_legitimate(
    rows: Rows, fraud: NDArray[np.bool_], budget: int, seed: int, weight: Weight = None
) -> tuple[Rows, Weight]:
    """Keep at most `budget` rows: every fraud (up to half the budget), and legitimate rows at random.

    Both are drawn over the whole period and come back in their order, with their weights. Old frauds beside recent
    legitimate rows would teach the model to tell the months apart (docs/decisions/0008). Class weights see the thinned
    rates, calibration and metrics the natural ones. Of legitimate rows those that stand for several are all kept, with
    as much less weight as there are fewer of the others: they are few, and lie where the decision falls.
    """
    if len(rows) <= budget:
        return rows, weight
    generator = np.random.default_rng(seed)
    frauds, others = np.flatnonzero(fraud), np.flatnonzero(~fraud)
    if len(frauds) > budget // 2:
        frauds = generator.choice(frauds, budget // 2, replace=False)
    room = min(budget - len(frauds), len(others))
    if weight is None:
        return _ordered(rows, [frauds, generator.choice(others, room, replace=False)]), None
    several = others[weight[others] > 1]
    if len(several) > room // 2:
        several = several[:0]
    alike = np.setdiff1d(others, several, assume_unique=True)
    kept = generator.choice(alike, room - len(several), replace=False)
    thinned = weight.copy()
    thinned[several] *= len(kept) / len(alike)
    places = np.sort(np.concatenate([frauds, several, kept]))
    return rows[places], thinned[places]


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
