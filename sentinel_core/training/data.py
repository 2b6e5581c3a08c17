"""What a candidate is trained from: the vectors of one snapshot with their labels, users and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.judge import Scored
from sentinel_core.training.split import Split, recent_split, time_split
from sentinel_core.training.threshold import Policy

Rows = NDArray[np.intp]
Categories = Mapping[str, NDArray[Any]]
DECLINED: Final = "declined"
EXPLORED: Final = "explored"
MAX_WEIGHT: Final = 50.0
"""A row stands for no more than this many: at a smaller propensity, a few rows would be most of a figure."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """One row a transaction, in arrival order; n rows, k features.

    `values` float32 [n, k] in the order of `names`; `categories` object [n] (text or None) for each raw category that
    the data has; `user` any id [n]; `time` and `known_at` int64 µs [n]; `cents` int64 [n]; `is_fraud` int8 [n], -1
    where unknown;
    `weight` float64 [n] says how many transactions each row stands for, None 1 each, and `stood_for` bool [n] or None
    which rows others stand for already (`Exploration`): they are learned from, and in no figure;
    `is_fraud_true` int8 [n] or None, the labels without the reporters' errors, which only generated data
    has. `as_of` is training's clock (µs): a label that became known later does not count. `floors` are those of the
    data's profile; the threshold is chosen by them and by `policy`. A `label_window` (µs) is given where the data comes
    from a system in operation: rows mature so long after they happened, and `split` is the one for recent data.
    `logged_rows` of the vectors are what the service saw when it scored; None where nothing was logged.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    categories: Categories
    user: NDArray[Any]
    time: NDArray[np.int64]
    is_fraud: NDArray[np.int8]
    known_at: NDArray[np.int64]
    cents: NDArray[np.int64]
    as_of: int
    label_delay: int
    is_fraud_true: NDArray[np.int8] | None = None
    weight: NDArray[np.float64] | None = None
    stood_for: NDArray[np.bool_] | None = None
    floors: Mapping[str, float] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    label_window: int | None = None
    logged_rows: int | None = None

    def split(self) -> Split:
        """Return the rows of train, calibrate and test; raises `TrainingError` where one has too few."""
        labels = self.time, self.is_fraud, self.known_at
        if self.label_window is None:
            return time_split(*labels, as_of=self.as_of, label_delay=self.label_delay, stood_for=self.stood_for)
        return recent_split(
            *labels, self.user, as_of=self.as_of, label_window=self.label_window, stood_for=self.stood_for
        )

    def values_at(self, rows: Rows) -> NDArray[np.float32]:
        """Return the vectors of rows, float32 [len(rows), k], in memory."""
        return np.ascontiguousarray(self.values[rows])

    def categories_at(self, rows: Rows) -> dict[str, list[str | None]]:
        """Return the raw categories of rows, a list a column."""
        return {name: column[rows].tolist() for name, column in self.categories.items()}

    def fraud_at(self, rows: Rows) -> NDArray[np.bool_]:
        """Return the observed labels of labelled rows, bool [len(rows)]."""
        fraud: NDArray[np.bool_] = self.is_fraud[rows] == 1
        return fraud

    def weight_at(self, rows: Rows) -> NDArray[np.float64] | None:
        """Return the weights of rows, float64 [len(rows)], or None for 1 each."""
        return None if self.weight is None else self.weight[rows]

    def scored(self, rows: Rows, score: NDArray[np.float64]) -> Scored:
        """Put scores float64 [len(rows)] beside the observed labels, users, times and amounts of labelled rows."""
        return Scored(
            self.fraud_at(rows), score, self.user[rows], self.time[rows], self.cents[rows], self.weight_at(rows)
        )


@dataclass(frozen=True, slots=True)
class Exploration:
    """What a small share of declined traffic that was let through by chance (outcome `explored`) says of the rest.

    `weight` float64 [n]: an explored row stands for 1/propensity declined ones, at most `MAX_WEIGHT`, any other for
    itself; Horvitz and Thompson, A generalization of sampling without replacement from a finite universe (1952).
    `stood_for` bool [n]: declined rows since the first explored one; those with a label of their own, chosen by whoever
    labelled, would be counted twice.
    """

    weight: NDArray[np.float64]
    stood_for: NDArray[np.bool_]

    @classmethod
    def of(cls, outcome: NDArray[Any], propensity: NDArray[np.float64], time: NDArray[np.int64]) -> Exploration | None:
        """Read it off outcomes (text or None), propensities (NaN where unknown) and times (µs), [n] each.

        None where nothing was explored. An explored row without a propensity stands for itself alone.
        """
        explored = (outcome == EXPLORED) & ~np.isnan(propensity)
        if not explored.any():
            return None
        weight = np.ones(len(outcome))
        weight[explored] = 1 / np.clip(propensity[explored], 1 / MAX_WEIGHT, 1.0)
        return cls(weight, (outcome == DECLINED) & (time >= time[explored].min()))
