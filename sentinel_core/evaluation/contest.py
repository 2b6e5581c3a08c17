"""Two models on the same rows: how much better one is than the other, with draws of users that both share.

Each figure is an improvement: above 0 the challenger is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.curves import RELIABILITY_EDGES
from sentinel_core.evaluation.judge import Scored, figures, sums
from sentinel_core.evaluation.metrics import Ranking

DRAWS: Final = 2_000
IMPROVEMENTS: Final = ("pr_auc", "cost_saved", "calibration")


@dataclass(frozen=True, slots=True)
class Contender:
    """What a model says of the rows: scores and thresholds, float64 [n] each."""

    score: NDArray[np.float64]
    threshold: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Improvement:
    """A difference, challenger less champion, and the same of every draw: float64 [draws], NaN without a fraud."""

    value: float
    drawn: NDArray[np.float64]

    def quantile(self, share: float) -> float:
        """Return the quantile of the draws that have a fraud; NaN where none has."""
        counted = self.drawn[~np.isnan(self.drawn)]
        return float(np.quantile(counted, share)) if len(counted) else float("nan")

    @property
    def p_worse(self) -> float:
        """One-sided p-value of "the challenger is worse": the share of draws in which it is not."""
        counted = self.drawn[~np.isnan(self.drawn)]
        return float((1 + (counted >= 0).sum()) / (1 + len(counted)))


def compare(
    rows: Scored,
    challenger: Contender,
    champion: Contender,
    costs: Costs,
    *,
    segments: Mapping[str, NDArray[np.bool_]] | None = None,
    count: int = DRAWS,
    seed: int = 0,
) -> tuple[dict[str, Improvement], dict[str, Improvement]]:
    """Return the improvements of `IMPROVEMENTS`, and that of PR-AUC in each segment (a mask of rows, bool [n]).

    `cost_saved` is as in `judge`; `calibration` is minus the expected calibration error: the mean distance of score
    and share of fraud over the ranges of `RELIABILITY_EDGES`, weighted by rows (Naeini et al., 2015). The scores in
    `rows` are not looked at.
    """
    _, user = np.unique(rows.user, return_inverse=True)
    n_users = 1 + int(user.max(initial=-1))
    both = [_Model(rows, contender, costs, user, n_users) for contender in (challenger, champion)]
    parts = {
        name: (user[mask], [Ranking(rows.is_fraud[mask], one.score[mask]) for one in (challenger, champion)])
        for name, mask in (segments or {}).items()
    }
    whole = np.empty((count + 1, len(IMPROVEMENTS)))
    by_segment = np.empty((count + 1, len(parts)))
    generator = np.random.default_rng(seed)
    times = np.ones(n_users, dtype=np.int64)
    for draw in range(count + 1):
        if draw:
            times = np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)
        ours, theirs = (model.figures(times) for model in both)
        whole[draw] = ours - theirs
        for place, (of_segment, (first, second)) in enumerate(parts.values()):
            weight = times[of_segment]
            by_segment[draw, place] = first.figures(weight)["pr_auc"] - second.figures(weight)["pr_auc"]
    return _improvements(IMPROVEMENTS, whole), _improvements(parts, by_segment)


class _Model:
    """One model's figures under any weights of users."""

    def __init__(self, rows: Scored, contender: Contender, costs: Costs, user: NDArray[np.intp], n_users: int) -> None:
        own = Scored(rows.is_fraud, contender.score, rows.user, rows.time, rows.cents)
        self._user = user
        self._ranking = Ranking(rows.is_fraud, contender.score)
        self._sums = sums(own, contender.threshold, costs, user, n_users)
        self._gaps = _gaps(own, user, n_users)

    def figures(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        totals = times @ self._sums
        error = np.abs(times @ self._gaps).sum() / totals[0]
        saved = figures(totals[np.newaxis])["cost_saved"][0]
        return np.array([self._ranking.figures(times[self._user])["pr_auc"], saved, -error])


def _gaps(rows: Scored, user: NDArray[np.intp], n_users: int) -> NDArray[np.float64]:
    """Sum score − fraud by user and range of scores: float64 [n_users, ranges]."""
    ranges = len(RELIABILITY_EDGES) - 1
    place = np.clip(np.searchsorted(RELIABILITY_EDGES, rows.score, side="right") - 1, 0, ranges - 1)
    flat = np.bincount(user * ranges + place, weights=rows.score - rows.is_fraud, minlength=n_users * ranges)
    gaps: NDArray[np.float64] = np.asarray(flat, dtype=np.float64).reshape(n_users, ranges)
    return gaps


def _improvements(names: Any, drawn: NDArray[np.float64]) -> dict[str, Improvement]:
    return {name: Improvement(float(column[0]), column[1:]) for name, column in zip(names, drawn.T, strict=True)}
