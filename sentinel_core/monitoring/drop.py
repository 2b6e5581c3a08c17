"""A drop of precision or recall against the hold-out: how large, and whether it is one beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import drawn_users, figures, sums
from sentinel_core.monitoring.cohorts import Cohort
from sentinel_core.monitoring.performance import decided

DROPS: Final = {"precision": "alerts", "recall": "frauds"}
"""The figures that are compared, and of what each is a share."""
LIMIT: Final = -0.10
FEWEST_ALERTS: Final = 100
DRAWS: Final = 1_000
_NORMAL_975: Final = 1.959964
_OF_REFERENCE: Final = 1
"""What is mixed into a seed for the draws of the hold-out's figure."""


class Bounded(Protocol):
    """A figure of the hold-out with the ends of its 95% interval, None where it has none."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Drop:
    """The relative change of a figure, −.2 where it is a fifth lower, with its one-sided 95% upper bound.

    None where there is nothing to compare. `alerts` are the live ones whose truth is known, as many as would weigh the
    same (Kish, 1965). It `counts` where the bound lies below the limit and nothing speaks against it: see `reason`.
    """

    metric: str
    value: float | None
    bound: float | None
    alerts: int
    counts: bool
    reason: str


def drop(
    reference: Mapping[str, Bounded],
    live: Cohort,
    *,
    count: int = DRAWS,
    seed: int = 0,
    limit: float = LIMIT,
    fewest: int = FEWEST_ALERTS,
) -> dict[str, Drop]:
    """Compare the live precision and recall of a matured cohort with the hold-out's, `reference` by name.

    Live users are drawn with replacement; the hold-out's figure, whose rows name no users, from the normal distribution
    that its interval belongs to. A drop counts if the bound lies below `limit` with `fewest` alerts, on mature truth
    only; recall's not on approved traffic, where declined hits are missing and it would seem to fall in any case.
    """
    users, user = np.unique(live.rows.user, return_inverse=True)
    of_users = sums(live.rows, decided(live), Costs(), user, len(users))
    totals = [of_users.sum(axis=0), *(times @ of_users for times in drawn_users(len(users), count=count, seed=seed))]
    found = figures(np.stack(totals)) if len(users) else {}
    noise = np.random.default_rng((seed, _OF_REFERENCE)).standard_normal(count)
    drops = {}
    for name, of in DROPS.items():
        against, known = _against(name, live, fewest), reference.get(name)
        if known is None or known.value <= 0 or not live.counts[of]:
            against = against or f"without {of}, or without the hold-out's {name}, there is nothing to compare"
            drops[name] = Drop(name, None, None, _alerts(live), False, against)
            continue
        change = found[name] / np.concatenate(([known.value], _drawn(known, noise))) - 1
        value, bound = float(change[0]), float(np.quantile(change[1:], 0.95))
        said = f"the bound {bound:+.1%} lies {'below' if bound < limit else 'not below'} {limit:+.0%}"
        drops[name] = Drop(name, value, bound, _alerts(live), not against and bound < limit, against or said)
    return drops


def _drawn(known: Bounded, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return draws of the hold-out's figure; without an interval it is taken as exact."""
    deviation = 0.0 if known.low is None or known.high is None else (known.high - known.low) / (2 * _NORMAL_975)
    # Far below any hold-out that passed a gate; it keeps the ratio finite.
    return np.maximum(known.value + deviation * noise, 0.05 * known.value)


def _against(name: str, live: Cohort, fewest: int) -> str:
    if live.provisional:
        return f"{live.counts['presumed']:,} rows are legitimate only as long as nobody reports them"
    if (alerts := _alerts(live)) < fewest:
        return f"{alerts} matured alerts, {fewest} are needed"
    if name == "recall" and live.on_approved_traffic:
        return "recall is known on approved traffic only: of what was declined nobody knows the truth"
    return ""


def _alerts(live: Cohort) -> int:
    weight = np.ones(len(live.flagged)) if live.rows.weight is None else live.rows.weight
    of_alerts = weight[live.flagged]
    return int(of_alerts.sum() ** 2 / max((of_alerts**2).sum(), 1))
