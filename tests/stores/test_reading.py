from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import redis
from sqlalchemy import Engine

from sentinel_core.errors import DataError
from sentinel_core.features.entities import unpack
from sentinel_core.schema import Label
from sentinel_core.settings import Settings
from sentinel_core.stores.histories import HistoryLoad
from sentinel_core.stores.history_load import Loaded, load_labels, load_transactions
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.reading import Columns, get_prediction, read_labels, read_training_rows
from sentinel_core.stores.rebuild import rebuild_histories
from sentinel_core.stores.recording import write_batch
from tests.stores.makers import DAY, NOW, accepted_event, answered_event, record, transaction

COLUMNS = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at", "device_id", "user_arrival")


def row(name: str, user: str = "u", hours: float = 0, **changes: Any) -> tuple[Any, ...]:
    at = NOW + timedelta(hours=hours)
    given = dict(zip(COLUMNS, (name, user, 12.34, "m1", at, at, None, int(hours * 10)), strict=True))
    return tuple((given | changes).values())


def together(chunks: Iterator[Columns]) -> Columns:
    parts = list(chunks)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_history_is_loaded_once(engine: Engine) -> None:
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("b")], now=NOW)
        rows = [row("a", location := 'q"uo,te\\N\n'), row("b", location), row("c")]
        assert load_transactions(conn, COLUMNS, rows, now=NOW) == Loaded(given=3, inserted=2)
        assert load_transactions(conn, COLUMNS, iter(rows), now=NOW) == Loaded(given=3, inserted=0)
        assert load_transactions(conn, COLUMNS, [], now=NOW) == Loaded(given=0, inserted=0)
        found = get_prediction(conn, "a")
        kept = get_prediction(conn, "b")
        assert get_prediction(conn, "nobody") is None
    assert found is not None
    assert kept is not None
    assert (found["user_id"], found["source"], found["device_id"]) == ('q"uo,te\\N\n', "ingested", None)
    assert found["fraud_score"] is found["feature_set"] is found["is_fraud"] is None
    assert (kept["user_id"], kept["source"]) == ("u", "live")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"amount": -5}, "ck_transactions_amount_range"),
        ({"amount": "much"}, "much.*line 2, column amount"),
        ({"user_id": None}, "user_id"),
        ({"timestamp": "2026-02-30"}, "2026-02-30"),
        ({"transaction_id": "x" * 129}, "transaction_id_length"),
    ],
    ids=str,
)
def test_a_refused_row_leaves_nothing_half_loaded(engine: Engine, wrong: dict[str, Any], message: str) -> None:
    with engine.begin() as conn:
        with pytest.raises(DataError, match=rf"(?s)table transactions.*{message}.*None was loaded.*sentinel validate"):
            load_transactions(conn, COLUMNS, [row("a"), row("b", **wrong)], now=NOW)
        assert load_transactions(conn, COLUMNS, [row("a")], now=NOW) == Loaded(1, 1)


def test_columns_are_checked_before_anything_is_loaded(engine: Engine) -> None:
    with engine.begin() as conn, pytest.raises(DataError, match=r"missing: arrived_at, user_id, unknown: colour\."):
        load_transactions(conn, ("transaction_id", "amount", "merchant_id", "timestamp", "colour"), [], now=NOW)


def test_labels_are_loaded_once_and_only_of_known_transactions(engine: Engine) -> None:
    with engine.begin() as conn:
        load_transactions(conn, COLUMNS, [row("a"), row("b")], now=NOW)
        rows = [("a", True, NOW, "file"), ("b", False, NOW, "file"), ("a", True, NOW, "file")]
        assert load_labels(conn, rows, now=NOW) == Loaded(given=3, inserted=2)
        assert load_labels(conn, rows, now=NOW) == Loaded(given=3, inserted=0)
        with pytest.raises(DataError, match=r"table labels.*\(nobody\) is not present"):
            load_labels(conn, [("nobody", True, NOW, "file")], now=NOW)


def test_training_rows_come_in_arrival_order_with_what_was_known(engine: Engine) -> None:
    with engine.begin() as conn:
        rows = [row("c", hours=-1), row("a", hours=-3), row("b", hours=-2), row("z", hours=1)]
        load_transactions(conn, COLUMNS, rows, now=NOW)
        write_batch(conn, [accepted_event("live"), answered_event("live", answer={"prediction": True})], now=NOW)
        known = [
            Label(transaction_id="a", is_fraud=False, labelled_at=NOW - DAY),
            Label(transaction_id="a", is_fraud=True, labelled_at=NOW),
            Label(transaction_id="b", is_fraud=True, labelled_at=NOW + DAY),
        ]
        record_labels(conn, known, now=NOW)
        found = together(read_training_rows(conn, as_of=NOW, vectors=True, chunk_rows=2))
        later = together(read_training_rows(conn, as_of=NOW + DAY, since=NOW - timedelta(hours=2)))
        labels = together(read_labels(conn, as_of=NOW, chunk_rows=1))
    assert found["transaction_id"].tolist() == ["a", "b", "c", "live"]
    assert found["is_fraud"].tolist() == [1, -1, -1, -1]
    assert found["is_fraud"].dtype == found["prediction"].dtype == np.int8
    assert found["labelled_at"][0] == np.datetime64(NOW.replace(tzinfo=None), "us")
    assert np.isnat(found["labelled_at"][1])
    assert found["amount"].tolist() == [12.34] * 4
    assert found["timestamp"].dtype == "datetime64[us]"
    assert found["source"].tolist() == ["ingested"] * 3 + ["live"]
    assert found["prediction"].tolist() == [-1, -1, -1, 1]
    assert found["degraded"].tolist() == [-1, -1, -1, 0]
    assert found["outcome"].tolist() == [None, None, None, "declined"]
    assert found["device_id"].tolist() == [None] * 3 + ["d1"]
    assert np.isnan(found["latitude"][0])
    assert found["features"][3] == [float(np.float32(0.1)), 2.0]
    assert found["feature_set_id"].tolist() == [None] * 3 + ["set-1"]
    assert later["transaction_id"].tolist() == ["c", "z", "live"]
    assert "features" not in later
    assert labels["is_fraud"].tolist() == [0, 1]
    assert labels["transaction_id"].tolist() == ["a", "a"]


def test_no_rows_are_no_chunks(engine: Engine) -> None:
    with engine.connect() as conn:
        assert list(read_training_rows(conn, as_of=NOW)) == []


def test_a_lost_redis_is_rebuilt_from_postgresql(engine: Engine, settings: Settings, redis_client: redis.Redis) -> None:
    late = accepted_event("late", 5)
    late = type(late)(
        **{name: getattr(late, name) for name in ("stream", "entry_id", "kind", "transaction_id")},
        payload=late.payload,
        body=late.body.replace(b'"late":false', b'"late":true'),
    )
    with engine.begin() as conn:
        load_transactions(
            conn, COLUMNS, [row("a", hours=-2), row("b", hours=-1), row("x", "other", hours=-700)], now=NOW
        )
        write_batch(conn, [accepted_event("live", 7), late], now=NOW)
        done = rebuild_histories(conn, redis_client, settings)
        again = rebuild_histories(conn, redis_client, settings, since=NOW - 2 * DAY)
    assert done == HistoryLoad(entities=2, records=4)
    assert again == HistoryLoad(entities=1, records=3, known=3)
    keys = Keys.of(settings)
    history = unpack(redis_client.get(keys.history("u")) or b"")
    wanted = [record(name, transaction())["id_hash"][0] for name in ("a", "b", "live")]
    assert history["id_hash"].tolist() == wanted
    assert history["arrival"].tolist() == [-20, -10, 1007]
    live = record("live", transaction(), 1007)[0]
    assert [history[2][name] for name in history.dtype.names or ()][:10] == [live[name] for name in live.dtype.names][
        :10
    ]
    assert redis_client.exists(keys.history("other"))
