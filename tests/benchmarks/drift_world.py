"""A world for the drift benchmark: generated traffic, a champion trained on its early part, and the later part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentinel_core.datasets.events import categories, label_arrays, to_events, to_labels
from sentinel_core.datasets.frames import canonical
from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.features.events import Events
from sentinel_core.features.risk import RiskHistory
from sentinel_core.flows.bundling import REFERENCE_ROWS
from sentinel_core.monitoring.reference import Reference
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.thinning import whole_stretches
from sentinel_core.monitoring.variables import VARIABLES
from sentinel_core.schema import to_micros
from sentinel_core.synthetic import Simulation, simulate
from sentinel_core.synthetic.frame import to_frame
from sentinel_core.training.calibrate import Platt, fit_platt
from sentinel_core.training.candidates import candidate
from sentinel_core.training.data import TrainingData
from sentinel_core.training.fitted import Fitted, fit_on
from sentinel_core.training.floors import SYNTHETIC_FLOORS
from sentinel_core.training.threshold import Choice, choose_threshold

DAY: Final = 86_400_000_000
DAYS: Final = 90
WATCHED_DAYS: Final = 14
"""The last days of a world are watched; what was known before them is what the champion was trained on."""
FRAUD_RATE: Final = 0.02
DELAY: Final = timedelta(days=7)
FIT_ROWS: Final = 20_000
ALGORITHM: Final = "logistic_regression"
END: Final = datetime(2026, 6, 1, tzinfo=UTC)
Categories = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Champion:
    """A calibrated model with its threshold."""

    fitted: Fitted
    calibration: Platt
    choice: Choice

    def score(self, values: NDArray[np.float32], of: Categories) -> NDArray[np.float64]:
        """Return the calibrated scores of vectors and their raw categories."""
        matrix = self.fitted.encoder.transform(values, {name: column.tolist() for name, column in of.items()})
        return self.calibration(self.fitted.estimator.predict_proba(matrix)[:, 1])

    def sample(self, events: Events, values: NDArray[np.float32], of: Categories) -> Sample:
        """Answer rows, and show them as drift looks at them."""
        score = self.score(values, of)
        return Sample(
            time=events.time,
            user=events.user.view(np.int64),
            merchant=events.merchant.view(np.int64),
            score=score,
            alert=score >= self.choice.at(events.cents),
            numbers=dict(zip(FEATURE_NAMES, values.T.astype(np.float64), strict=True)),
            categories=of,
        )


@dataclass(frozen=True, slots=True)
class World:
    """Generated rows in order of time; `watched` is all of them from the clock of the training on, `first` its row."""

    seed: int
    simulation: Simulation
    events: Events
    categories: Categories
    risk: RiskHistory
    champion: Champion
    holdout: Sample
    reference: Reference
    watched: Sample
    first: int

    @property
    def rows_a_day(self) -> float:
        """The mean of all days."""
        return len(self.events) / DAYS


def make_world(rows: int, seed: int, *, in_operation: bool) -> World:
    """Generate a world, train a champion on what was known before the watched days, and prepare its hold-out.

    The hold-out is that of a training on a file, days after those that were learned, or `in_operation` that of a
    training on the database, other users of the same days.
    """
    # Worlds end on different weekdays and hours.
    end = END + timedelta(hours=seed * 29 % (24 * 7))
    simulation = simulate(rows, FRAUD_RATE, seed, end=end)
    frame = canonical(to_frame(simulation))
    events, delay = to_events(frame), DELAY // timedelta(microseconds=1)
    risk = RiskHistory(events, to_labels(frame, DELAY), delay)
    values, of = build_offline(events, risk).values, categories(frame)
    is_fraud, known_at = label_arrays(frame, DELAY)
    as_of = to_micros(end) - WATCHED_DAYS * DAY
    data = TrainingData(
        names=FEATURE_NAMES,
        values=values,
        categories=of,
        user=events.user,
        time=events.time,
        is_fraud=is_fraud,
        known_at=known_at,
        cents=events.cents,
        as_of=as_of,
        label_delay=delay,
        floors=SYNTHETIC_FLOORS,
        label_window=delay if in_operation else None,
    )
    champion, test = _trained(data, seed)
    kept = test[whole_stretches(events.time[test], REFERENCE_ROWS)]
    holdout = champion.sample(events.take(kept), values[kept], taken(of, kept))
    later = np.flatnonzero(events.time >= as_of)
    watched = champion.sample(events.take(later), values[later], taken(of, later))
    # What has no say changes no verdict, and is most of the work.
    reference = Reference(holdout, [one for one in VARIABLES if one.judged])
    return World(seed, simulation, events, of, risk, champion, holdout, reference, watched, int(later[0]))


def taken(of: Categories, rows: NDArray[np.intp] | slice) -> dict[str, NDArray[Any]]:
    """Return some rows of raw categories."""
    return {name: column[rows] for name, column in of.items()}


def _trained(data: TrainingData, seed: int) -> tuple[Champion, NDArray[np.intp]]:
    """Fit on the train part within a budget, calibrate and choose the threshold as a training does."""
    with threadpool_limits(1):
        split, chosen = data.split(), candidate(ALGORITHM)
        fitted = fit_on(chosen, data, split.train, chosen.hyperparameters(), seed=seed, budget=FIT_ROWS)
        raw = fitted.score(data, split.calibrate)
        calibration = fit_platt(raw, data.fraud_at(split.calibrate))
        choice = choose_threshold(data.scored(split.calibrate, calibration(raw)), data.policy, data.floors)
    return Champion(fitted, calibration, choice), split.test
