from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import redis
from sqlalchemy import Engine, text

from sentinel_core.datasets.events import to_events
from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.errors import DataError
from sentinel_core.features.entities import ENTITY_KINDS, TOUCHED, unpack
from sentinel_core.features.risk import RiskTable
from sentinel_core.flows.database import read_transactions
from sentinel_core.flows.demo import demo_transactions
from sentinel_core.flows.history import load_history, rebuild_history
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.risk import refresh_risk
from sentinel_core.flows.state import write_last_training
from sentinel_core.schema import Transaction, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.risk import load_risk

NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
ROWS = 2_000


@pytest.fixture
def snapshot(settings: Settings) -> str:
    return make_snapshot(settings, Request(rows=ROWS), now=NOW)


def count(engine: Engine, table: str) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_a_history_is_loaded_once(settings: Settings, engine: Engine, redis_client: redis.Redis, snapshot: str) -> None:
    frame = load_snapshot(settings.home, snapshot).frame()
    known = int((frame["labelled_at"] <= NOW).sum())
    loaded = load_history(settings, snapshot, now=NOW)
    users = frame["user_id"].nunique()
    expected = {"transactions": ROWS, "new_transactions": ROWS, "labels": known, "new_labels": known, "users": users}
    assert loaded == expected
    assert known < ROWS
    again = load_history(settings, snapshot, now=NOW)
    assert again == expected | {"new_transactions": 0, "new_labels": 0}
    assert (count(engine, "transactions"), count(engine, "labels")) == (ROWS, known)
    later = load_history(settings, snapshot, now=NOW + timedelta(days=8))
    assert later["new_labels"] == ROWS - known


def test_what_was_loaded_reads_back_as_it_was(settings: Settings, redis_client: redis.Redis, snapshot: str) -> None:
    load_history(settings, snapshot, now=NOW)
    frame = load_snapshot(settings.home, snapshot).frame()
    back = read_transactions(settings, NOW).set_index("transaction_id").loc[frame["transaction_id"]]
    for name in ("user_id", "amount", "merchant_id", "timestamp", "location_country", "card_last_four", "latitude"):
        assert back[name].tolist() == frame[name].tolist(), name
    user = frame["user_id"].iloc[-1]
    blob = redis_client.get(Keys.of(settings).history(user))
    assert isinstance(blob, bytes)
    own = to_events(frame[frame["user_id"] == user]).records()
    recent = own["time"] > own["time"].max() - 31 * 86_400_000_000
    np.testing.assert_array_equal(unpack(blob)["id_hash"][-recent.sum() :], own["id_hash"][recent])
    assert (np.diff(unpack(blob)["arrival"]) > 0).all()


def test_entities_know_what_the_newest_transaction_could_look_at(
    settings: Settings, engine: Engine, redis_client: redis.Redis, snapshot: str
) -> None:
    """The same from the file and, where Redis was lost, from PostgreSQL."""
    load_history(settings, snapshot, now=NOW)
    frame = load_snapshot(settings.home, snapshot).frame()
    keys = Keys.of(settings)
    from_file = {key: redis_client.get(key) for key in redis_client.scan_iter(f"{keys.namespace}:*:h:*")}
    for kind in TOUCHED:
        last = frame[frame[kind.column].notna()].iloc[-1]
        reach = timedelta(microseconds=kind.longest_window_us + kind.lateness_us)
        own = frame[(frame[kind.column] == last[kind.column]) & (frame["timestamp"] > last["timestamp"] - reach)]
        held = unpack(from_file[keys.history(last[kind.column], kind.name).encode()], kind.record)
        recent = held[held["time"] > held["time"][-1] - kind.longest_window_us - kind.lateness_us]
        np.testing.assert_array_equal(recent["id_hash"], to_events(own).id_hash)
        np.testing.assert_array_equal(recent["user"], to_events(own).user)
        with engine.connect() as conn:
            column = text(f"SELECT transaction_id, {kind.name}_arrival FROM transactions")
            arrival = {row[0]: row[1] for row in conn.execute(column)}
        assert recent["arrival"].tolist() == [arrival[name] for name in own["transaction_id"]]
    redis_client.delete(*from_file)
    rebuilt = rebuild_history(settings)
    assert set(rebuilt) == {kind.name for kind in ENTITY_KINDS}
    assert {key: redis_client.get(key) for key in redis_client.scan_iter(f"{keys.namespace}:*:h:*")} == from_file


def test_the_risk_table_of_last_midnight_is_published(
    settings: Settings, redis_client: redis.Redis, snapshot: str
) -> None:
    load_history(settings, snapshot, now=NOW)
    outcome = refresh_risk(settings, now=NOW)
    assert outcome["as_of"] == "2026-06-01T00:00:00+00:00"
    assert outcome["published"] is True
    published = load_risk(redis_client, settings)
    assert published is not None
    as_of, blob = published
    table = RiskTable.from_bytes(blob)
    assert as_of == table.as_of == to_micros(datetime(2026, 6, 1, tzinfo=UTC))
    assert len(table.merchants) == outcome["merchants"] > 0
    assert refresh_risk(settings, now=NOW - timedelta(days=1))["published"] is False


def test_without_history_no_risk_is_published(settings: Settings, redis_client: redis.Redis) -> None:
    assert refresh_risk(settings, now=NOW) == {"as_of": "2026-06-01T00:00:00+00:00", "merchants": 0, "published": False}
    assert load_risk(redis_client, settings) is None


def test_the_demonstration_shows_one_user_twice(settings: Settings, snapshot: str) -> None:
    with pytest.raises(DataError, match=r"facts of a training in .*, found none\. Train first"):
        demo_transactions(settings, NOW)
    write_last_training(settings, {"snapshot": snapshot})
    (_, ordinary), (_, fraudulent) = demo_transactions(settings, NOW)
    first, second = Transaction.model_validate(ordinary), Transaction.model_validate(fraudulent)
    assert first.user_id == second.user_id
    assert first.timestamp is not None
    assert second.timestamp is not None
    assert first.timestamp < second.timestamp == NOW
    assert second.amount > first.amount
    assert first.transaction_id != second.transaction_id
