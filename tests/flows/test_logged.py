"""Training on the database takes the vectors that were logged, and computes the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from sentinel_core.datasets.events import to_events
from sentinel_core.datasets.logged import LOGGED, LoggedFile
from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.errors import StoreError
from sentinel_core.features.build import build_offline
from sentinel_core.features.calendar import midnight
from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES, POSITION, catalogue_hash
from sentinel_core.features.risk import RiskHistory, served_midnight
from sentinel_core.flows.database import known_labels
from sentinel_core.flows.features import FeatureSet, build_feature_set, load_feature_set
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.logged import read_logged
from sentinel_core.flows.train import training_data
from sentinel_core.schema import Label, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.feature_sets import add_feature_set
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.recording import write_batch
from tests.stores.makers import accepted_event, answered_event

START = datetime(2026, 3, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = START + 40 * DAY
PRESENT = [{"name": one.name, "hash": one.definition_hash} for one in CATALOGUE]
REQUEST = Request(source="database")


def at(row: int) -> datetime:
    return START + row * timedelta(hours=9)


def vector(row: int, width: int = len(CATALOGUE)) -> list[float]:
    """What no build would come to: the row and the place, in float32."""
    return (np.arange(width, dtype=np.float32) / np.float32(7) + np.float32(1000 * row)).tolist()


def sent(row: int) -> Any:
    return accepted_event(f"t{row:03}", number=row, user=f"u{row % 3}", at=at(row), merchant_id=f"m{row % 2}")


def answered(row: int, **answer: Any) -> Any:
    given = {"features": vector(row), "catalogue": catalogue_hash(), "answered_at": at(row).isoformat()}
    given |= {"risk_as_of": (at(row).replace(hour=0)).isoformat()}
    where = {"number": row, "user": f"u{row % 3}", "at": at(row), "merchant_id": f"m{row % 2}"}
    return answered_event(f"t{row:03}", answer=given | answer, **where)


def record(engine: Engine, events: Sequence[Any], now: datetime = NOW) -> None:
    with engine.begin() as conn:
        assert not write_batch(conn, events, now=now).dead


def train_on(settings: Settings, request: Request = REQUEST, now: datetime = NOW) -> FeatureSet:
    return load_feature_set(settings, build_feature_set(settings, make_snapshot(settings, request, now=now)))


def computed(features: FeatureSet, risk_as_of: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """The vectors as they were built from the rows alone, before anything was logged."""
    frame = features.snapshot.frame()
    events, delay = to_events(frame), timedelta(days=features.snapshot.manifest["label_delay_days"])
    risk = RiskHistory(events, known_labels(frame, delay), delay // timedelta(microseconds=1))
    return build_offline(events, risk, risk_as_of=risk_as_of).values


def test_training_sees_what_was_logged_and_the_rest_is_computed(settings: Settings, engine: Engine) -> None:
    unknown = {"catalogue": "never-published"}
    answers: dict[int, dict[str, Any]] = {
        0: {},
        1: {"degraded": True},
        3: unknown,
        4: {"features": vector(4, 5)},
        5: {},
    }
    record(engine, [sent(row) for row in range(6)] + [answered(row, **answer) for row, answer in answers.items()])
    features = train_on(settings)
    assert features.snapshot.frame()["transaction_id"].tolist() == [f"t{row:03}" for row in range(6)]
    expected = computed(features)
    # The others were scored without a history, never, by a catalogue that nobody knows, and with too few values.
    for row in (0, 5):
        expected[row] = vector(row)
    np.testing.assert_array_equal(features.values, expected)
    assert features.snapshot.manifest["logged"]["rows"] == 2
    assert features.logged is not None
    assert (features.logged.rows, features.logged.recomputed) == (2, {})
    assert training_data(settings, features).logged_rows == 2


def test_a_database_that_scored_nothing_has_no_log(settings: Settings, engine: Engine) -> None:
    record(engine, [sent(row) for row in range(4)])
    features = train_on(settings)
    np.testing.assert_array_equal(features.values, computed(features))
    assert "logged" not in features.snapshot.manifest
    assert features.logged is None
    assert not (features.snapshot.path / LOGGED).exists()
    assert training_data(settings, features).logged_rows is None


def test_a_definition_that_changed_is_computed_for_the_rows_that_were_logged_before(
    settings: Settings, engine: Engine
) -> None:
    # Logged in another order, with one feature by an earlier definition, one not at all, and one that is gone today.
    changed, absent = "amount_zscore", "hour_of_day"
    earlier = [one | {"hash": "0" * 16} if one["name"] == changed else one for one in PRESENT if one["name"] != absent]
    earlier = [{"name": "of_the_past", "hash": "1" * 16}, *reversed(earlier)]
    with engine.begin() as conn:
        add_feature_set(conn, "earlier", earlier)
    record(engine, [sent(row) for row in range(6)])
    old = {row: vector(row, len(earlier)) for row in (1, 2, 4)}
    record(engine, [answered(row, catalogue="earlier", features=values) for row, values in old.items()])
    record(engine, [answered(5)])
    features = train_on(settings)
    expected = computed(features)
    kept = [one["name"] for one in earlier]
    for row, values in old.items():
        for name in set(FEATURE_NAMES) - {changed, absent}:
            expected[row, POSITION[name]] = values[kept.index(name)]
    expected[5] = vector(5)
    np.testing.assert_array_equal(features.values, expected)
    assert features.logged is not None
    assert (features.logged.rows, features.logged.recomputed) == (4, {changed: 3, absent: 3})


def test_a_risk_that_is_computed_beside_logged_features_is_that_of_the_same_table(
    settings: Settings, engine: Engine
) -> None:
    rows = 60
    without = [one for one in PRESENT if one["name"] != "merchant_risk_score"]
    values = vector(0, len(without))
    tables = {50: midnight(to_micros(at(50))) - 5 * 86_400_000_000, 51: 0}
    with engine.begin() as conn:
        add_feature_set(conn, "without", without)
    record(engine, [sent(row) for row in range(rows)])
    said = {50: (datetime.fromtimestamp(tables[50] / 1e6, UTC)).isoformat(), 51: None}
    record(engine, [answered(row, catalogue="without", features=values, risk_as_of=said[row]) for row in tables])
    with engine.begin() as conn:
        frauds = [
            Label(transaction_id=f"t{row:03}", is_fraud=row % 4 == 0, labelled_at=at(row) + DAY) for row in range(49)
        ]
        record_labels(conn, frauds, now=NOW)
    features = train_on(settings)
    risk_as_of = served_midnight(features.time)
    day = computed(features)[:, POSITION["merchant_risk_score"]]
    for row, table in tables.items():
        risk_as_of[row] = table
    expected = computed(features, risk_as_of)[:, POSITION["merchant_risk_score"]]
    np.testing.assert_array_equal(features.values[:, POSITION["merchant_risk_score"]], expected)
    assert (expected != day).sum() == 2, "otherwise nothing was tested"


def test_a_past_training_is_made_again_with_the_vectors_of_then(settings: Settings, engine: Engine) -> None:
    record(engine, [sent(row) for row in range(8)] + [answered(row) for row in (0, 1, 2)], NOW)
    then = train_on(settings, now=NOW)
    # Given before, and recorded only afterwards: PostgreSQL was away.
    record(engine, [answered(row) for row in (3, 4)], NOW + timedelta(hours=1))
    later = NOW + DAY
    assert train_on(settings, now=later).snapshot.manifest["logged"]["rows"] == 5
    elsewhere = settings.model_copy(update={"home": settings.home / "elsewhere"})
    again = train_on(elsewhere, replace(REQUEST, as_of=NOW.isoformat()), later)
    assert again.path.name == then.path.name
    np.testing.assert_array_equal(again.values, then.values)
    for name in ("data.parquet", LOGGED):
        assert (again.snapshot.path / name).read_bytes() == (then.snapshot.path / name).read_bytes(), name
    # What a training of then should have known is another question.
    known = train_on(elsewhere, replace(REQUEST, as_of=NOW.isoformat(), recorded_by=later.isoformat()), later)
    assert known.snapshot.manifest["logged"]["rows"] == 5


def test_an_answer_of_an_earlier_release_counts_from_when_it_was_given(settings: Settings, engine: Engine) -> None:
    record(engine, [sent(0), answered(0), sent(1), answered(1, answered_at=(NOW + DAY).isoformat())])
    with engine.begin() as conn:
        conn.execute(text("UPDATE prediction_logs SET recorded_at = NULL"))
    assert train_on(settings).snapshot.manifest["logged"]["rows"] == 1


def test_other_vectors_are_another_snapshot(settings: Settings, engine: Engine) -> None:
    record(engine, [event for row in range(4) for event in (sent(row), answered(row))])
    one = make_snapshot(settings, REQUEST, now=NOW)
    assert make_snapshot(settings, REQUEST, now=NOW) == one
    with engine.begin() as conn:
        change = "UPDATE transactions SET features = jsonb_set(features, '{7}', '0.5') WHERE transaction_id = 't002'"
        conn.execute(text(change))
    other = make_snapshot(settings, REQUEST, now=NOW)
    manifests = [load_snapshot(settings.home, identity).manifest for identity in (one, other)]
    assert one != other
    assert manifests[0]["content_hash"] == manifests[1]["content_hash"], "the rows are the same"
    assert manifests[0]["logged"]["content_hash"] != manifests[1]["logged"]["content_hash"]


def test_blocks_and_feature_sets_come_together_in_the_order_of_the_rows(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as conn:
        add_feature_set(conn, "small", [{"name": "a", "hash": "1"}, {"name": "amount", "hash": "2"}])
        add_feature_set(conn, "large", [{"name": "amount", "hash": "2"}, {"name": "a", "hash": "3"}])
    # Recorded backwards, two at a time read.
    for row in reversed(range(9)):
        record(engine, [sent(row), answered(row, catalogue=("small", "large")[row % 2], features=[row, row / 10])])
    monkeypatch.setattr("sentinel_core.stores.vectors.read_vectors.__kwdefaults__", {"chunk_rows": 2})
    snapshot = load_snapshot(settings.home, make_snapshot(settings, REQUEST, now=NOW))
    logged = LoggedFile(snapshot.path / LOGGED)
    even = np.arange(9) % 2 == 0
    number = np.arange(9, dtype=np.float32)
    assert logged.rows.tolist() == list(range(9))
    tenth = (np.arange(9) / 10).astype(np.float32)
    for name, definition, expected in (
        ("a", "1", np.where(even, number, np.nan)),
        ("a", "3", np.where(even, np.nan, tenth)),
        ("amount", "2", np.where(even, tenth, number)),
    ):
        np.testing.assert_array_equal(logged.column(name, definition), expected.astype(np.float32))
    assert logged.column("amount", "1") is None
    logged.close()


def test_without_postgres_it_says_so(settings: Settings, engine: Engine) -> None:
    record(engine, [sent(0), answered(0)])
    frame = train_on(settings).snapshot.frame()
    away = settings.model_copy(update={"database_url_given": "postgresql://sentinel:secret@127.0.0.1:1/sentinel"})
    with pytest.raises(StoreError, match=r"expected PostgreSQL at .*127\.0\.0\.1:1"):
        read_logged(away, frame, as_of=NOW, recorded_by=NOW)
