"""A model's figures in each segment of a part, with intervals that respect users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import Interval, Scored, figures, percentiles, sums
from sentinel_core.evaluation.metrics import Ranking

SEGMENT_METRICS: Final = ("pr_auc", "recall", "precision")


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """A segment's rows and frauds, and its figures by name; none where there is too little to judge by."""

    name: str
    rows: int
    frauds: int
    figures: Mapping[str, Interval] = field(default_factory=dict)


def judge_segments(
    rows: Scored,
    threshold: ArrayLike,
    segments: Mapping[str, NDArray[np.bool_]],
    *,
    min_frauds: int,
    count: int = 300,
    seed: int = 0,
) -> tuple[SegmentFigures, ...]:
    """Return the figures of `SEGMENT_METRICS` in each segment (a mask of rows, bool [n]) with 95% intervals.

    `threshold` is as in `judge`. Each draw of users, from those of all rows, serves every segment. A segment with fewer
    than `min_frauds` frauds, or with nothing but frauds, has no figures.
    """
    _, user = np.unique(rows.user, return_inverse=True)
    n_users = 1 + int(user.max(initial=-1))
    thresholds = np.broadcast_to(np.asarray(threshold, dtype=np.float64), rows.score.shape)
    counts = {name: (int(mask.sum()), int(rows.is_fraud[mask].sum())) for name, mask in segments.items()}
    judged = {
        name: _Segment(rows.take(mask), thresholds[mask], user[mask], n_users, count)
        for name, mask in segments.items()
        if min_frauds <= counts[name][1] < counts[name][0]
    }
    generator = np.random.default_rng(seed)
    for draw in range(count):
        times = np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)
        for segment in judged.values():
            segment.draw(draw, times)
    return tuple(
        SegmentFigures(name, *counts[name], judged[name].figures() if name in judged else {}) for name in segments
    )


class _Segment:
    """A segment's rows, sorted and summed once for every draw."""

    def __init__(
        self, rows: Scored, threshold: NDArray[np.float64], user: NDArray[np.intp], n_users: int, count: int
    ) -> None:
        self._user, self._weight = user, rows.weight
        self._sums = sums(rows, threshold, Costs(), user, n_users)
        self._ranking = Ranking(rows.is_fraud, rows.score)
        self._totals = np.empty((count, self._sums.shape[1]))
        self._precision = np.empty(count)

    def draw(self, number: int, times: NDArray[np.int64]) -> None:
        self._totals[number] = times @ self._sums
        of_rows = times[self._user]
        weight = of_rows if self._weight is None else of_rows * self._weight
        self._precision[number] = self._ranking.figures(weight)["pr_auc"]

    def figures(self) -> dict[str, Interval]:
        whole = figures(self._sums.sum(axis=0)[np.newaxis])
        value = {name: float(of_name[0]) for name, of_name in whole.items()}
        value["pr_auc"] = self._ranking.figures(self._weight)["pr_auc"]
        drawn = {**figures(self._totals), "pr_auc": self._precision}
        return percentiles(value, {name: drawn[name] for name in SEGMENT_METRICS})
