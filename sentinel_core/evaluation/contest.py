"""Two models on the same rows: how much better one is than the other, with draws of users that both share.

Each figure is an improvement: above 0 the challenger is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.curves import RELIABILITY_EDGES
from sentinel_core.evaluation.judge import Scored, figures, sums

DRAWS: Final = 2_000
IMPROVEMENTS: Final = ("pr_auc", "cost_saved", "calibration")
AT_ONCE: Final = 100
"""Draws that are worked on together: enough for long loops over few objects, few enough for the cache."""


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
        name: [DrawnPrecision(_of(rows, one).take(mask), user[mask], n_users) for one in (challenger, champion)]
        for name, mask in (segments or {}).items()
    }
    whole, by_segment = [], []
    # The products are small: beside other processes, BLAS' threads would mostly wait for each other.
    with threadpool_limits(1):
        for times in _draws_of_users(n_users, count, seed):
            ours, theirs = (model.figures(times) for model in both)
            whole.append(ours - theirs)
            by_segment.append([first.of(times) - second.of(times) for first, second in parts.values()])
    return _improvements(IMPROVEMENTS, whole), _improvements(parts, by_segment)


class DrawnPrecision:
    """PR-AUC under many weights of users at once, as `Ranking` defines it for one.

    Only sums by user count: how many rows, and how many frauds, each user has between one fraud's score and the next.
    Below the lowest fraud nothing matters. `user` int [n] counts from 0.
    """

    def __init__(self, rows: Scored, user: NDArray[np.intp], n_users: int) -> None:
        from scipy.sparse import csr_array

        steps = np.unique(-rows.score[rows.is_fraud])
        step = np.searchsorted(steps, -rows.score, side="left")
        weight = np.ones(len(step)) if rows.weight is None else rows.weight
        shape = (len(steps), n_users)

        def counts(mask: NDArray[np.bool_]) -> Any:
            return csr_array((weight[mask], (step[mask], user[mask])), shape=shape)

        self._rows, self._frauds = counts(step < len(steps)), counts(rows.is_fraud)

    def of(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return PR-AUC, float64 [draws]; `times` float64 [n_users, draws] says how often each user counts.

        NaN for a draw without fraud.
        """
        rows, frauds = (np.asarray(counts @ times) for counts in (self._rows, self._frauds))
        # A step of weight 0 has frauds of weight 0: any divisor will do.
        precision = np.cumsum(frauds, axis=0) / np.maximum(np.cumsum(rows, axis=0), 1)
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = (frauds * precision).sum(axis=0) / frauds.sum(axis=0)
        return found


class _Model:
    """One model's figures under any weights of users."""

    def __init__(self, rows: Scored, contender: Contender, costs: Costs, user: NDArray[np.intp], n_users: int) -> None:
        own = _of(rows, contender)
        self._precision = DrawnPrecision(own, user, n_users)
        self._sums = sums(own, contender.threshold, costs, user, n_users)
        self._gaps = _gaps(own, user, n_users)

    def figures(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a row for each of `IMPROVEMENTS`, float64 [3, draws]."""
        totals = times.T @ self._sums
        error = np.abs(times.T @ self._gaps).sum(axis=1) / totals[:, 0]
        return np.stack([self._precision.of(times), figures(totals)["cost_saved"], -error])


def _of(rows: Scored, contender: Contender) -> Scored:
    return replace(rows, score=contender.score)


def _draws_of_users(n_users: int, count: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each user counts, float64 [n_users, draws]: once each, then in `count` draws."""
    yield np.ones((n_users, 1))
    generator = np.random.default_rng(seed)
    for start in range(0, count, AT_ONCE):
        drawn = [generator.integers(0, n_users, n_users) for _ in range(min(AT_ONCE, count - start))]
        yield np.stack([np.bincount(users, minlength=n_users) for users in drawn], axis=1).astype(np.float64)


def _gaps(rows: Scored, user: NDArray[np.intp], n_users: int) -> NDArray[np.float64]:
    """Sum score − fraud by user and range of scores: float64 [n_users, ranges]."""
    ranges = len(RELIABILITY_EDGES) - 1
    place = np.clip(np.searchsorted(RELIABILITY_EDGES, rows.score, side="right") - 1, 0, ranges - 1)
    gap = rows.score - rows.is_fraud if rows.weight is None else (rows.score - rows.is_fraud) * rows.weight
    flat = np.bincount(user * ranges + place, weights=gap, minlength=n_users * ranges)
    gaps: NDArray[np.float64] = np.asarray(flat, dtype=np.float64).reshape(n_users, ranges)
    return gaps


def _improvements(names: Iterable[str], drawn: Sequence[Any]) -> dict[str, Improvement]:
    columns = [np.concatenate(found) for found in zip(*drawn, strict=True)]
    return {name: Improvement(float(column[0]), column[1:]) for name, column in zip(names, columns, strict=True)}
