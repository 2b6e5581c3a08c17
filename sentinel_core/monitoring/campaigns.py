"""Alerts that belong together, so that one attack counts once however many payments it tries.

Frauds come in campaigns: one card at many merchants, one merchant with many cards. Their payments are no independent
witnesses that fraud grew. The count here is the largest number of alerts of which no two share a user or a merchant
(a maximum matching: Hopcroft and Karp, 1973).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Campaigns:
    """How rows hang together.

    `unit` int [n] numbers groups of rows within one stretch of time: those of a user, and of all users whose alerts are
    linked by a merchant or a user. `counted` float64 [n] spreads each group's campaigns over its alerts: it sums to the
    number of campaigns.
    """

    unit: NDArray[np.intp]
    counted: NDArray[np.float64]

    @property
    def count(self) -> int:
        """The number of campaigns."""
        return round(float(self.counted.sum()))


def link(
    user: NDArray[np.int64], merchant: NDArray[np.int64], alert: NDArray[np.bool_], stretch: NDArray[np.int64]
) -> Campaigns:
    """Group rows by user and by what their alerts share, apart in each stretch of time; integer codes, all [n]."""
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

    users, of_user = _numbered(user, stretch)
    if not alert.any():
        return Campaigns(of_user, np.zeros(len(user)))
    merchants, of_merchant = _numbered(merchant[alert], stretch[alert])
    at, one = of_user[alert], np.ones(int(alert.sum()))
    nodes = users + merchants
    linked = coo_array((one, (at, users + of_merchant)), shape=(nodes, nodes))
    _, group = connected_components(linked, directed=False)
    matched = maximum_bipartite_matching(csr_array((one, (at, of_merchant)), shape=(users, merchants)), "column") >= 0
    campaigns = np.bincount(group[:users][matched], minlength=int(group.max()) + 1)
    unit = group[of_user]
    alerts = np.bincount(unit[alert], minlength=len(campaigns))
    counted = np.where(alert, campaigns[unit] / np.maximum(alerts[unit], 1), 0.0)
    return Campaigns(unit, counted)


def _numbered(code: NDArray[np.int64], stretch: NDArray[np.int64]) -> tuple[int, NDArray[np.intp]]:
    """Number the pairs of two codes from 0 and return how many there are."""
    _, first = np.unique(code, return_inverse=True)
    _, second = np.unique(stretch, return_inverse=True)
    _, pair = np.unique(first * (int(second.max()) + 1) + second, return_inverse=True)
    return int(pair.max()) + 1, pair
