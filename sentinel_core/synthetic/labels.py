"""What gets reported, and when: observed labels beside the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic.difficulty import TAKEOVER, TESTING, Difficulty
from sentinel_core.synthetic.stream import Stream
from sentinel_core.synthetic.vocabulary import IntArray
from sentinel_core.synthetic.world import DAY_US

REPORTING_WINDOW_US: Final = 7 * DAY_US
"""By then every fraud that will be reported has been; legitimate rows get their label at its close."""
EARLIEST_US: Final = 600_000_000
_MEDIAN_DAYS = {TAKEOVER: 0.8, TESTING: 2.5}
_USUAL_DAYS = 1.8
_DELAY_SIGMA = 0.8


@dataclass(frozen=True, slots=True)
class ObservedLabels:
    """One row a transaction: what was reported, what is true, and when the label became known (µs)."""

    is_fraud: npt.NDArray[np.bool_]
    is_fraud_true: npt.NDArray[np.bool_]
    labelled_at: IntArray


def observe(rng: np.random.Generator, stream: Stream, difficulty: Difficulty) -> ObservedLabels:
    """Report frauds after hours or days, miss some, and let some cardholders dispute their own purchases.

    Delays are lognormal, between ten minutes and seven days after the event; takeovers are noticed soonest.
    The numbers of missed and of friendly labels are the shares of the true frauds, rounded.
    """
    truth = stream.scenario > 0
    frauds = np.nonzero(truth)[0]
    missed = rng.choice(frauds, round(difficulty.missed_share * len(frauds)), replace=False)
    friendly_count = min(round(difficulty.friendly_share * len(frauds)), len(stream) - len(frauds))
    observed = truth.copy()
    observed[_genuine(rng, truth, friendly_count)] = True
    observed[missed] = False
    labelled_at = stream.time + REPORTING_WINDOW_US
    reported = np.nonzero(observed)[0]
    median = np.full(len(reported), _USUAL_DAYS)
    for scenario, days in _MEDIAN_DAYS.items():
        median[stream.scenario[reported] == scenario] = days
    delay = median * np.exp(_DELAY_SIGMA * rng.standard_normal(len(reported))) * DAY_US
    labelled_at[reported] = stream.time[reported] + np.clip(delay, EARLIEST_US, REPORTING_WINDOW_US).astype(np.int64)
    return ObservedLabels(observed, truth, labelled_at)


def _genuine(rng: np.random.Generator, truth: npt.NDArray[np.bool_], count: int) -> IntArray:
    """Draw `count` distinct genuine rows without listing them all."""
    chosen: IntArray = np.empty(0, dtype=np.int64)
    while len(chosen) < count:
        rows = rng.integers(0, len(truth), 2 * count + 8)
        chosen = np.unique(np.concatenate([chosen, rows[~truth[rows]]]))
    return rng.permutation(chosen)[:count]
