"""Names of transactions: what is a retry, and what is a second purchase."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.schema import Transaction
from serving.identity import EVENT_NAMESPACE, event_id, identify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAYLOAD: dict[str, Any] = {
    "user_id": "u1",
    "amount": 12.5,
    "merchant_id": "m1",
    "merchant_category": "grocery",
    "transaction_type": "purchase",
}


def of(**fields: Any) -> Transaction:
    return Transaction.model_validate(PAYLOAD | fields)


def test_a_given_id_names_the_transaction_and_the_hash_covers_the_rest() -> None:
    one = identify(of(transaction_id="t1"), NOW)
    again = identify(of(transaction_id="t1"), NOW.replace(hour=13))
    other = identify(of(transaction_id="t1", amount=12.51), NOW)
    assert one.transaction_id == again.transaction_id == other.transaction_id == "t1"
    assert one.payload_hash == again.payload_hash != other.payload_hash
    assert (one.timestamp, again.timestamp) == (NOW, NOW.replace(hour=13))


def test_a_payload_with_its_own_time_is_named_by_its_content() -> None:
    one = identify(of(timestamp="2026-03-01T10:00:00Z"), NOW)
    spelled_otherwise = identify(of(timestamp="2026-03-01T12:00:00+02:00", amount="12.50"), NOW)
    other = identify(of(timestamp="2026-03-01T10:00:01Z"), NOW)
    assert one.transaction_id == spelled_otherwise.transaction_id != other.transaction_id
    assert one.timestamp == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert one.payload_hash == spelled_otherwise.payload_hash


def test_two_payloads_with_neither_are_two_purchases() -> None:
    one, two = identify(of(), NOW), identify(of(), NOW)
    assert one.transaction_id != two.transaction_id
    assert one.payload_hash == two.payload_hash


@given(st.text(min_size=1, max_size=128))
def test_the_event_of_a_transaction_has_one_name_and_another_one_another(name: str) -> None:
    assert event_id(name) == event_id(name) != event_id(name + "x")
    assert event_id(name) == str(uuid5(EVENT_NAMESPACE, name))
