"""A training on a log with declines: nothing that the model declined becomes a negative by silence."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Engine

from sentinel_core.flows.features import build_feature_set, load_feature_set
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.train import training_data
from sentinel_core.schema import REQUEST_COLUMNS, Label, Transaction
from sentinel_core.settings import Settings
from sentinel_core.stores import bodies
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.recording import write_batch
from sentinel_core.stores.streams import StreamEvent
from sentinel_core.synthetic import generate
from sentinel_core.training.fit import train_candidate
from tests.stores.makers import answered_body

END = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = 6_000
BATCH = 500
SHARE = 0.2


class Log:
    """Traffic that a model answered: what it declined, what was let through all the same, and who complained."""

    def __init__(self) -> None:
        self.draw = random.Random(0)
        self.declined: set[str] = set()
        self.explored: set[str] = set()
        self.labels: dict[str, Label] = {}
        self.events: list[StreamEvent] = []
        frame = generate(ROWS, 0.1, 0, end=END)
        frame = frame.astype(object).where(frame.notna(), None)
        for place, row in enumerate(frame.to_dict("records")):
            self._add(place, row, bool(row["is_fraud_true"]))

    def _add(self, place: int, row: dict[str, Any], fraud: bool) -> None:
        name, at = row["transaction_id"], row["timestamp"].to_pydatetime()
        given = {column: row[column] for column in REQUEST_COLUMNS if row[column] is not None}
        sent = Transaction(**{**given, "timestamp": at})
        payload = bodies.hexadecimal(bodies.payload_hash(sent))
        flagged = self.draw.random() < (0.7 if fraud else 0.03)
        explored = flagged and self.draw.random() < SHARE
        answer: dict[str, Any] = {"prediction": flagged, "answered_at": at.isoformat(), "payload_hash": payload}
        answer |= {"propensity": SHARE} if explored else {}
        arrived = bodies.accepted(sent, transaction_id=name, timestamp=at, arrived_at=at, currency="EUR")
        arrived |= {"arrival": {"user": place}, "late": False, "payload_hash": payload}
        for kind, body in (("accepted", arrived), ("answered", answered_body(name, **answer))):
            self.events.append(StreamEvent("events", f"{place}-{kind}", kind, name, payload, orjson.dumps(body)))
        if explored:
            self.explored.add(name)
        elif flagged:
            self.declined.add(name)
        # Only who was charged complains; of some declined ones an analyst says what they were.
        if (fraud and not flagged) or (fraud and explored):
            self.labels[name] = Label(transaction_id=name, is_fraud=True, labelled_at=at + timedelta(days=3))
        elif flagged and not explored and self.draw.random() < 0.1:
            known = at + timedelta(days=1)
            self.labels[name] = Label(transaction_id=name, is_fraud=fraud, labelled_at=known, source="review")


def test_nothing_that_the_model_declined_becomes_a_negative(settings: Settings, engine: Engine) -> None:
    # Labels mature within the gaps between the parts, so that every part has them.
    settings = settings.model_copy(update={"label_window_days": 4.0, "label_delay_days": 4.0})
    log, now = Log(), END + timedelta(days=10)
    with engine.begin() as conn:
        for start in range(0, len(log.events), 2 * BATCH):
            assert not write_batch(conn, log.events[start : start + 2 * BATCH], now=END).dead
        record_labels(conn, list(log.labels.values()), now=END + timedelta(days=5))
    snapshot = make_snapshot(settings, Request(source="database"), now=now)
    features = load_feature_set(settings, build_feature_set(settings, snapshot))
    frame = features.snapshot.frame()
    trained = train_candidate("logistic_regression", training_data(settings, features), seed=0, folds=2)

    silent = log.declined - set(log.labels)
    names = frame["transaction_id"].to_numpy(object)
    label = features.is_fraud
    assert len(silent) > 100
    assert np.isin(names, list(silent)).sum() == len(silent)
    assert (label[np.isin(names, list(silent))] == -1).all(), "nobody knows what these were"
    learned = {str(name) for rows in trained.split.parts().values() for name in names[rows]}
    assert not learned & silent, "they are in no part: neither fitted, nor calibrated, nor judged on"
    # What was said of declined ones counts, and both kinds were said.
    reviewed = log.declined & set(log.labels)
    for name in reviewed:
        assert label[names == name] == int(log.labels[name].is_fraud)
    assert {log.labels[name].is_fraud for name in reviewed} == {True, False}
    assert learned & reviewed
    # Explored ones went through: frauds among them were reported, the others mature, and all say how likely they were.
    explored = np.isin(names, list(log.explored))
    assert explored.sum() == len(log.explored)
    assert label[explored].tolist() == [int(name in log.labels) for name in names[explored]]
    assert set(label[explored].tolist()) == {0, 1}
    assert (frame.loc[explored, "propensity"] == SHARE).all()
    assert frame.loc[~explored, "propensity"].isna().all()
    assert learned & log.explored
    # And everything else that went through without a complaint is legitimate.
    rest = ~explored & ~np.isin(names, list(log.declined | set(log.labels)))
    assert (label[rest] == 0).all()
