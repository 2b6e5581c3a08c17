"""Differences of average precision between models that judged the same rows, with intervals by users.

A model is fitted in several parts (the folds), in each several times (the seeds). A draw takes users, with
replacement and the same ones in every part, and in each part as many fits as there are: chance in the data and chance
in the fitting both show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentinel_core.evaluation.judge import Interval
from sentinel_core.evaluation.metrics import Ranking

_SEEDS: Final = (0, 1)
"""What is mixed into a seed for the draws of users, and for those of fits."""


class UserDraws:
    """Draws of users over several parts; `users` holds any id for each row of each part."""

    def __init__(self, users: Sequence[NDArray[Any]], *, count: int, seed: int) -> None:
        _, user = np.unique(np.concatenate(users), return_inverse=True)
        self._user = np.split(user, np.cumsum([len(part) for part in users])[:-1])
        n_users = int(user.max(initial=-1)) + 1
        drawn = np.random.default_rng((seed, _SEEDS[0])).integers(0, n_users, (count, n_users))
        self._times = np.stack([np.bincount(row, minlength=n_users) for row in drawn])

    def average_precision(self, part: int, is_fraud: ArrayLike, score: ArrayLike) -> NDArray[np.float64]:
        """Return the average precision of a part's rows, then of each draw: float64 [1 + count], NaN without fraud."""
        ranking, user = Ranking(is_fraud, score), self._user[part]
        drawn = [ranking.figures(times[user])["pr_auc"] for times in self._times]
        return np.array([ranking.figures()["pr_auc"], *drawn])


def paired_difference(
    precision: NDArray[np.float64], other: NDArray[np.float64], *, seed: int, level: float = 0.95
) -> Interval:
    """Return the mean of precision − other with its percentile interval; float64 [parts, fits, 1 + count] each.

    Both are what `UserDraws.average_precision` gave for one object, fit by fit. Draws without fraud are left out. Of a
    single fit in each part, chance in the fitting does not show.
    """
    difference = precision - other
    parts, fits, width = difference.shape
    taken = np.random.default_rng((seed, _SEEDS[1])).integers(0, fits, (parts, fits, width - 1))
    centre = difference[:, :, 1:].mean(axis=1)
    apart = np.take_along_axis(difference[:, :, 1:], taken, axis=1).mean(axis=1) - centre
    # What is drawn from k fits has (k − 1)/k of their variance.
    drawn = (centre + apart * np.sqrt(fits / max(fits - 1, 1))).mean(axis=0)
    counted = drawn[~np.isnan(drawn)]
    ends = np.quantile(counted, [(1 - level) / 2, (1 + level) / 2]) if len(counted) else (np.nan, np.nan)
    return Interval(float(difference[:, :, 0].mean()), float(ends[0]), float(ends[1]))
