"""The three models on 100,000 generated rows, the oracle beside them on the same test rows."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sentinel_core.datasets.events import categories, label_arrays, to_events, to_labels
from sentinel_core.datasets.frames import canonical
from sentinel_core.evaluation.metrics import evaluate
from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.features.risk import RiskHistory
from sentinel_core.schema import to_micros
from sentinel_core.synthetic import simulate
from sentinel_core.synthetic.frame import to_frame
from sentinel_core.synthetic.oracle import oracle
from sentinel_core.training.candidates import CANDIDATES
from sentinel_core.training.data import TrainingData
from sentinel_core.training.fit import train_candidate
from sentinel_core.training.floors import SYNTHETIC_FLOORS, check_floors
from sentinel_core.training.threshold import best_f1

ROWS, FRAUD_RATE, SEED = 100_000, 0.02, 0
END = datetime(2026, 6, 30, 12, tzinfo=UTC)
DELAY = timedelta(days=7)


def run() -> dict[str, Any]:
    """Return, per model, seconds, test metrics with intervals and the gate's verdict; and what the oracle reaches."""
    simulation = simulate(ROWS, FRAUD_RATE, SEED, end=END)
    frame = canonical(to_frame(simulation))
    events = to_events(frame)
    delay_us = DELAY // timedelta(microseconds=1)
    is_fraud, known_at = label_arrays(frame, DELAY)
    data = TrainingData(
        names=FEATURE_NAMES,
        values=build_offline(events, RiskHistory(events, to_labels(frame, DELAY), delay_us)).values,
        categories=categories(frame),
        user=events.user,
        time=events.time,
        is_fraud=is_fraud,
        known_at=known_at,
        cents=events.cents,
        as_of=to_micros(END),
        label_delay=delay_us,
        is_fraud_true=frame["is_fraud_true"].astype("int8").to_numpy(),
        floors=SYNTHETIC_FLOORS,
    )
    figures: dict[str, Any] = {}
    for name in CANDIDATES:
        begun = time.perf_counter()
        trained = train_candidate(name, data, seed=SEED, searched=True)
        figures[name] = {
            "seconds": round(time.perf_counter() - begun, 1),
            "seconds_by_step": dict(trained.seconds),
            "hyperparameters": dict(trained.hyperparameters),
            "search": trained.search.note if trained.search else None,
            "test": {metric: asdict(interval) for metric, interval in trained.metrics["test"].items()},
            "test_against_true_labels": {m: i.value for m, i in trained.metrics["test_true"].items()},
            "floors": [asdict(check) for check in check_floors(SYNTHETIC_FLOORS, trained.metrics["test"])],
        }
    figures["oracle"] = _oracle(oracle(simulation), data, trained.split.test)
    return figures


def _oracle(score: np.ndarray, data: TrainingData, test: np.ndarray) -> dict[str, float]:
    """Judge the oracle on the test rows, at its own best F1 there: an upper end, not a competitor."""
    fraud = data.fraud_at(test)
    threshold, _ = best_f1(fraud, score[test])
    return evaluate(fraud, score[test], threshold)
