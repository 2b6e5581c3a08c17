"""A log with declines and exploration becomes training data: nothing that was declined turns into a negative."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine

from sentinel_core.flows.features import build_feature_set, load_feature_set
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.train import training_data
from sentinel_core.schema import Label, OutcomeReport
from sentinel_core.settings import Settings
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.outcomes import record_outcomes
from sentinel_core.stores.recording import write_batch
from sentinel_core.training.split import time_split
from tests.stores.makers import accepted_event, answered_event

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = 600


def test_declined_rows_are_nothing_and_explored_ones_stand_for_them(settings: Settings, engine: Engine) -> None:
    draw = np.random.default_rng(0)
    fraud, flagged = draw.random(ROWS) < 0.2, draw.random(ROWS) < 0.3
    explored = flagged & (draw.random(ROWS) < 0.2)
    reviewed = flagged & ~explored & fraud & (draw.random(ROWS) < 0.5)
    events: list[Any] = []
    labels, outcomes = [], []
    for row in range(ROWS):
        name, at = f"t{row:04}", NOW - timedelta(days=150 - row * 0.24)
        answer = {"prediction": bool(flagged[row]), "answered_at": at.isoformat()}
        events += [accepted_event(name, at=at), answered_event(name, answer=answer, at=at)]
        if explored[row]:
            outcomes.append(OutcomeReport(transaction_id=name, outcome="explored", propensity=0.2, decided_at=at))
        if fraud[row] and (not flagged[row] or explored[row] or reviewed[row]):
            labels.append(Label(transaction_id=name, is_fraud=True, labelled_at=at + timedelta(days=3)))
    with engine.begin() as conn:
        write_batch(conn, events, now=NOW)
        record_labels(conn, labels, now=NOW)
        record_outcomes(conn, outcomes, now=NOW)
    snapshot = make_snapshot(settings, Request(source="database"), now=NOW)
    features = load_feature_set(settings, build_feature_set(settings, snapshot))
    data = training_data(settings, features)
    silent = flagged & ~explored & ~reviewed
    assert (data.is_fraud[silent] == -1).all()
    mature = data.time <= data.as_of - 60 * 86_400_000_000
    assert set(data.is_fraud[reviewed & mature]) == {1}
    assert (data.is_fraud[~silent & mature] == fraud[~silent & mature]).all()
    # Of the last sixty days only frauds are known.
    assert set(data.is_fraud[data.time > data.time[mature].max() + 86_400_000_000]) == {-1}
    assert data.weight is not None
    assert data.weight.tolist() == np.where(explored, 5.0, 1.0).tolist()
    split = time_split(
        data.time,
        data.is_fraud,
        data.known_at,
        as_of=data.as_of,
        label_delay=data.label_delay,
        stood_for=data.stood_for,
    )
    for part, rows in split.parts().items():
        assert not silent[rows].any()
        assert reviewed[rows].any() == (part == "train")
        assert (data.scored(rows, np.zeros(len(rows))).weight == data.weight[rows]).all()
