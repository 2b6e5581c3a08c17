from __future__ import annotations

import json
import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sentinel_core.schema import REQUEST_COLUMNS
from sentinel_core.stores.dead_letters import count_dead_letters, list_dead_letters
from sentinel_core.stores.feature_sets import add_feature_set, get_feature_set
from sentinel_core.stores.history_load import load_transactions
from sentinel_core.stores.reading import get_prediction
from sentinel_core.stores.recording import PATIENCE, WriteResult, write_batch
from sentinel_core.stores.streams import StreamEvent
from tests.stores.makers import NOW, accepted_event, answered_event, transaction

TABLES = ("labels", "prediction_logs", "transactions", "dead_letters", "feature_sets", "prediction_hours")


def write(engine: Engine, events: list[StreamEvent], now: Any = NOW) -> WriteResult:
    with engine.begin() as conn:
        return write_batch(conn, events, now=now)


def contents(engine: Engine) -> dict[str, list[Any]]:
    """Return every table but for what the database itself adds."""
    with engine.connect() as conn:
        return {
            table: sorted(
                str({k: bytes(v) if k == "body" else v for k, v in row.items() if k not in ("created_at", "id")})
                for row in conn.execute(text(f"SELECT * FROM {table}")).mappings()
            )
            for table in TABLES
        }


def empty(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        for table in TABLES:
            conn.execute(text(f"DELETE FROM {table}"))


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def test_a_transaction_and_its_answer_become_one_row_each(engine: Engine) -> None:
    result = write(engine, [accepted_event("a", 1), answered_event("a", 1)])
    assert (len(result.done), result.deferred, result.dead) == (2, (), 0)
    with engine.connect() as conn:
        found = get_prediction(conn, "a")
    assert found is not None
    sent = transaction()
    for name in set(REQUEST_COLUMNS) - {"transaction_id", "amount", "timestamp"}:
        assert found[name] == getattr(sent, name)
    assert found["amount"] == Decimal("12.34")
    assert (found["timestamp"], found["arrived_at"], found["answered_at"]) == (NOW, NOW, NOW)
    assert (found["user_arrival"], found["late"], found["source"], found["currency"]) == (1001, False, "live", "EUR")
    assert (found["fraud_score"], found["prediction"], found["confidence"]) == (0.25, False, "medium")
    assert (found["event_id"], found["degraded"], found["risk_as_of"]) == ("event-a", False, NOW)
    assert found["feature_set_id"] == "set-1"
    assert [np.float32(value) for value in found["features"]] == [np.float32(0.1), np.float32(2.0)]


def test_an_answer_may_come_in_a_later_batch(engine: Engine) -> None:
    write(engine, [accepted_event("a")])
    assert rows(engine, "SELECT fraud_score FROM transactions") == [(None,)]
    assert write(engine, [answered_event("a")]).done
    assert rows(engine, "SELECT fraud_score FROM transactions") == [(0.25,)]
    assert rows(engine, "SELECT count(*) FROM prediction_logs") == [(1,)]


def test_a_prediction_is_filled_in_once(engine: Engine) -> None:
    write(engine, [accepted_event("a"), answered_event("a")])
    second = answered_event("a", 7, answer={"event_id": "other", "fraud_score": 0.9, "model_version": "v2"})
    assert write(engine, [second]).dead == 0
    assert write(engine, [accepted_event("a", 9), second]).dead == 0
    assert rows(engine, "SELECT fraud_score, user_arrival FROM transactions") == [(0.25, 1000)]
    assert rows(engine, "SELECT event_id, fraud_score FROM prediction_logs") == [("event-a", 0.25)]


def test_cached_answers_are_logged_beside_the_first(engine: Engine) -> None:
    cached = answered_event("a", 2, answer={"event_id": "cached-1", "cache_hit": True})
    write(engine, [accepted_event("a"), answered_event("a")])
    write(engine, [cached])
    assert rows(engine, "SELECT event_id, cache_hit FROM prediction_logs ORDER BY 2") == [
        ("event-a", False),
        ("cached-1", True),
    ]


def test_history_that_came_from_a_file_can_be_scored_later(engine: Engine) -> None:
    columns = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at")
    with engine.begin() as conn:
        load_transactions(conn, columns, [("a", "u", "12.34", "m1", NOW, NOW)], now=NOW)
    write(engine, [accepted_event("a", 5), answered_event("a", 5)])
    assert rows(engine, "SELECT source, fraud_score, user_arrival, payload_hash IS NULL FROM transactions") == [
        ("ingested", 0.25, 1005, False)
    ]


def test_an_answer_waits_for_its_transaction_and_is_not_lost(engine: Engine) -> None:
    answer = answered_event("a")
    result = write(engine, [answer, accepted_event("b")])
    (waiting,) = result.deferred
    assert (waiting.waiting_since, [event.transaction_id for event in result.done]) == (NOW, ["b"])
    still = write(engine, [waiting], NOW + PATIENCE)
    assert still.deferred == (waiting,)
    assert write(engine, [waiting, accepted_event("a")], NOW + PATIENCE).deferred == ()
    assert rows(engine, "SELECT fraud_score FROM transactions WHERE transaction_id = 'a'") == [(0.25,)]


def test_an_answer_that_waits_too_long_is_a_dead_letter(engine: Engine) -> None:
    (waiting,) = write(engine, [answered_event("a")]).deferred
    result = write(engine, [waiting], NOW + PATIENCE * 1.01)
    assert (result.dead, len(result.done)) == (1, 1)
    with engine.connect() as conn:
        (letter,) = list_dead_letters(conn)
    assert letter["reason"] == "no accepted entry of this transaction_id came within 0:10:00."
    assert json.loads(letter["body"])["transaction_id"] == "a"


def bad(kind: str, n: int) -> StreamEvent:
    """Return an entry that PostgreSQL refuses, each for another reason."""
    event = answered_event(f"bad{n}", 100 + n) if kind == "answered" else accepted_event(f"bad{n}", 100 + n)
    if kind == "broken":
        return replace(event, body=[b"{", b"\xff\xfe", b"[]", b"null", b"{}", b"\x00", b"7"][n % 7])
    changes: list[dict[str, Any]] = [
        {"user_id": "x" * 129},
        {"amount": -1},
        {"amount": 1e9},
        {"merchant_id": "a\x00b"},
        {"timestamp": "yesterday-ish"},
        {"location_city": "\ud800"},
        {"arrival": {"user": "many"}},
        {"latitude": 1000},
    ]
    answers: list[dict[str, Any]] = [
        {"fraud_score": 1.5},
        {"event_id": ""},
        {"confidence": "total"},
        {"features": [float("nan")]},
        {"model_version": None},
    ]
    wrong = changes[n % 8] if kind == "accepted" else answers[n % 5]
    return replace(event, body=json.dumps(json.loads(event.body) | wrong).encode())


@pytest.mark.parametrize("kind", ["accepted", "answered", "broken"])
def test_a_refused_row_goes_aside_and_never_blocks_its_batch(engine: Engine, kind: str) -> None:
    wrong = [bad(kind, n) for n in range(8)]
    good = [event for n in range(20) for event in (accepted_event(f"g{n}", n), answered_event(f"g{n}", n))]
    support = [accepted_event(f"bad{n}", n) for n in range(8)] if kind == "answered" else []
    batch = [*wrong, *good, *support]
    random.Random(1).shuffle(batch)
    result = write(engine, batch)
    assert result.dead == 8
    assert result.deferred == ()
    assert len(result.done) == len(batch)
    assert rows(engine, "SELECT count(*) FROM prediction_logs") == [(20,)]
    assert rows(engine, "SELECT count(*), count(fraud_score) FROM transactions") == [(20 + len(support), 20)]
    with engine.connect() as conn:
        letters = {letter["entry_id"]: letter for letter in list_dead_letters(conn)}
    for event in wrong:
        assert letters[event.entry_id]["body"] == event.body
        assert letters[event.entry_id]["reason"]
    write(engine, batch)
    with engine.connect() as conn:
        assert count_dead_letters(conn) == 8


def test_the_answer_to_a_refused_transaction_is_refused_with_it(engine: Engine) -> None:
    wrong = bad("accepted", 0)
    answer = answered_event("bad0", 100)
    assert write(engine, [wrong]).dead == 1
    assert write(engine, [answer]).dead == 1
    both = [bad("accepted", 1), answered_event("bad1", 101)]
    assert write(engine, both).dead == 2
    with engine.connect() as conn:
        assert "its accepted entry was refused" in list_dead_letters(conn, limit=1)[0]["reason"]


def test_a_second_payload_under_one_id_is_kept_aside(engine: Engine) -> None:
    first = [accepted_event("a", 1), answered_event("a", 1)]
    second = [accepted_event("a", 2, "v"), answered_event("a", 2, "v", answer={"event_id": "e2", "fraud_score": 0.9})]
    for batch in ([*first, *second], second):
        assert write(engine, batch).dead == 2
        assert rows(engine, "SELECT user_id, fraud_score FROM transactions") == [("u", 0.25)]
        assert rows(engine, "SELECT fraud_score FROM prediction_logs") == [(0.25,)]
    with engine.connect() as conn:
        letters = list_dead_letters(conn)
    assert len(letters) == 2
    assert all("recorded before with another payload" in letter["reason"] for letter in letters)


def test_an_entry_of_an_unknown_kind_is_kept_aside(engine: Engine) -> None:
    odd = StreamEvent("events", "1-1", "no\x00kind", "\x00", "", b"\x00\xff")
    assert write(engine, [odd, accepted_event("a")]).dead == 1
    with engine.connect() as conn:
        (letter,) = list_dead_letters(conn)
    assert (letter["kind"], letter["transaction_id"], letter["body"]) == ("no\\x00kind", "\\x00", b"\x00\xff")
    assert "expected the kind accepted, answered or feature_set" in letter["reason"]


def test_feature_sets_come_through_the_stream(engine: Engine) -> None:
    features = [{"name": "amount", "hash": "00ff"}, {"name": "hour_of_day", "hash": "ff00"}]
    body = json.dumps({"id": "set-1", "features": features}).encode()
    event = StreamEvent("events", "1-1", "feature_set", "set-1", "", body)
    wrong = StreamEvent("events", "2-1", "feature_set", "set-2", "", b'{"id": null}')
    assert write(engine, [event, wrong, event, accepted_event("a"), answered_event("a")]).dead == 1
    with engine.begin() as conn:
        add_feature_set(conn, "set-1", [])
        assert get_feature_set(conn, "set-1") == features
        assert get_feature_set(conn, "set-2") is None
        found = get_prediction(conn, "a")
    assert found is not None
    assert found["feature_set"] == features


def test_a_fault_of_the_server_is_raised_and_nothing_is_written(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE prediction_logs RENAME TO elsewhere"))
    with pytest.raises(DBAPIError, match="does not exist"):
        write(engine, [accepted_event("a"), answered_event("a")])
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE elsewhere RENAME TO prediction_logs"))
    assert rows(engine, "SELECT count(*) FROM transactions") == [(0,)]


def key(event: StreamEvent) -> tuple[str, str]:
    return event.kind, event.entry_id


batches = st.lists(
    st.sampled_from(
        [
            event
            for n in range(6)
            for event in (
                accepted_event(f"t{n}", n),
                answered_event(f"t{n}", n),
                bad("accepted", n),
                answered_event(f"bad{n}", 100 + n),
            )
        ]
    ),
    min_size=1,
    max_size=30,
)


@given(events=batches, data=st.data())
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_split_and_any_replay_of_a_batch_writes_the_same(
    engine: Engine, events: list[StreamEvent], data: st.DataObject
) -> None:
    """What was deferred is handed in again with the next batch, as the recorder does."""
    empty(engine)
    write(engine, sorted({key(event): event for event in events}.values(), key=key))
    whole = contents(engine)
    empty(engine)
    waiting: list[StreamEvent] = []
    left = list(events)
    while left:
        cut = data.draw(st.integers(1, len(left)))
        batch, left = [*waiting, *left[:cut]], left[cut:]
        result = write(engine, batch)
        waiting = list(result.deferred)
        assert {key(event) for event in (*result.done, *result.deferred)} == {key(event) for event in batch}
    assert contents(engine) == whole
    accepted_ids = {event.transaction_id for event in events if event.kind == "accepted"}
    answered_ids = {event.transaction_id for event in events if event.kind == "answered"}
    assert {event.transaction_id for event in waiting} == answered_ids - accepted_ids
