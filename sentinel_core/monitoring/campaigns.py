"""Alerts that belong together, so that one attack counts once however many payments it tries.

Frauds come in campaigns: one card at many merchants, one merchant with many cards. Their payments are no independent
witnesses that fraud grew. The count here is the largest number of alerts of which no two share a user or a merchant
(a maximum matching: Hopcroft and Karp, 1973).

Not every alert is a fraud. Where campaigns are weighed, each counts by the highest score of the alerts that hang
together with it: scores are calibrated, so the sum is about the number of attacks, and a doubtful alert adds little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.sample import Sample


@dataclass(frozen=True, slots=True)
class Campaigns:
    """How rows hang together.

    `unit` int [n] numbers groups of rows within one stretch of time: those of a user, and of all users whose alerts are
    linked by a merchant or a user. `counted` float64 [n] spreads each group's campaigns over its alerts: it sums to the
    number of campaigns. `weight` float64 [n] is the highest score of the alerts of a row's group, 0 without any.
    """

    unit: NDArray[np.intp]
    counted: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def count(self) -> int:
        """The number of campaigns."""
        return round(float(self.counted.sum()))

    @property
    def weighed(self) -> NDArray[np.float64]:
        """The campaigns as `counted`, each by its weight: the sum is the number of attacks that is to be expected."""
        return self.counted * self.weight


def link(sample: Sample, stretch: NDArray[np.int64]) -> Campaigns:
    """Group rows by user and by what their alerts share, apart in each stretch of time, int64 [n]."""
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

    alert = sample.alert
    users, of_user = _numbered(sample.user, stretch)
    if not alert.any():
        return Campaigns(of_user, np.zeros(len(sample)), np.zeros(len(sample)))
    merchants, of_merchant = _numbered(sample.merchant[alert], stretch[alert])
    at, one = of_user[alert], np.ones(int(alert.sum()))
    nodes = users + merchants
    linked = coo_array((one, (at, users + of_merchant)), shape=(nodes, nodes))
    _, group = connected_components(linked, directed=False)
    matched = maximum_bipartite_matching(csr_array((one, (at, of_merchant)), shape=(users, merchants)), "column") >= 0
    campaigns = np.bincount(group[:users][matched], minlength=int(group.max()) + 1)
    unit = group[of_user]
    alerts = np.bincount(unit[alert], minlength=len(campaigns))
    counted = np.where(alert, campaigns[unit] / np.maximum(alerts[unit], 1), 0.0)
    surest = np.zeros(len(campaigns))
    np.maximum.at(surest, unit[alert], sample.score[alert])
    return Campaigns(unit, counted, surest[unit])


def _numbered(code: NDArray[np.int64], stretch: NDArray[np.int64]) -> tuple[int, NDArray[np.intp]]:
    """Number the pairs of two codes from 0 and return how many there are."""
    _, first = np.unique(code, return_inverse=True)
    _, second = np.unique(stretch, return_inverse=True)
    _, pair = np.unique(first * (int(second.max()) + 1) + second, return_inverse=True)
    return int(pair.max()) + 1, pair
