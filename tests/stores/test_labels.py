from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, text

from sentinel_core.schema import Label
from sentinel_core.stores.labels import labels_of, record_labels
from sentinel_core.stores.reading import get_prediction
from sentinel_core.stores.recording import write_batch
from tests.stores.makers import DAY, NOW, accepted_event


def label(name: str = "a", fraud: bool = True, days: float | None = 1, source: str = "chargeback") -> Label:
    at = None if days is None else NOW + timedelta(days=days)
    return Label(transaction_id=name, is_fraud=fraud, labelled_at=at, source=source)


def record(engine: Engine, *labels: Label, later: timedelta = DAY) -> list[str]:
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("a", 1), accepted_event("b", 2)], now=NOW)
        return [result.status for result in record_labels(conn, labels, now=NOW + later)]


def truth(engine: Engine, name: str = "a") -> bool | None:
    with engine.connect() as conn:
        row = get_prediction(conn, name)
    assert row is not None
    return row["is_fraud"]


def count(engine: Engine) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text("SELECT count(*) FROM labels")).scalar_one())


def test_each_label_has_its_own_result(engine: Engine) -> None:
    given = [label("b"), label("nobody"), label("a"), label("b"), label("b", fraud=False)]
    assert record(engine, *given) == ["recorded", "unknown_transaction", "recorded", "recorded", "recorded"]
    assert count(engine) == 3
    assert record(engine) == []


def test_the_same_label_again_changes_nothing(engine: Engine) -> None:
    assert record(engine, label()) == ["recorded"]
    assert record(engine, label()) == ["known"]
    assert record(engine, label(source="review"), label(days=2), label(fraud=False)) == ["recorded"] * 3
    assert count(engine) == 4


def test_the_latest_label_counts_whatever_the_order_of_arrival(engine: Engine) -> None:
    record(engine, label(fraud=False, days=5))
    record(engine, label(fraud=True, days=3))
    assert truth(engine) is False
    record(engine, label(fraud=True, days=6))
    assert truth(engine) is True
    with engine.connect() as conn:
        assert [one["is_fraud"] for one in labels_of(conn, "a")] == [True, False, True]
        assert labels_of(conn, "b") == []


def test_of_simultaneous_labels_the_last_recorded_counts(engine: Engine) -> None:
    record(engine, label(fraud=True))
    record(engine, label(fraud=False))
    assert truth(engine) is False


def test_a_label_without_a_time_is_known_now_and_once(engine: Engine) -> None:
    assert record(engine, label(days=None)) == ["recorded"]
    assert record(engine, label(days=None), later=2 * DAY) == ["known"]
    assert record(engine, label(days=None, fraud=False), later=3 * DAY) == ["recorded"]
    assert record(engine, label(days=None, fraud=True), later=4 * DAY) == ["recorded"]
    assert truth(engine) is True
    with engine.connect() as conn:
        assert [one["labelled_at"] for one in labels_of(conn, "a")] == [NOW + n * DAY for n in (4, 3, 1)]
