from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.schema import Transaction, to_cents
from sentinel_core.stores.bodies import accepted, canonical, derived_id, hexadecimal, payload_hash
from tests.stores.makers import NOW, transaction

BARE = {"user_id": "u", "amount": 1.0, "merchant_id": "m", "merchant_category": "c", "transaction_type": "purchase"}


def test_equal_payloads_are_equal_however_they_are_written() -> None:
    berlin = NOW.astimezone(timezone(timedelta(hours=1)))
    one = Transaction.model_validate_json(
        '{"user_id":"u","amount":1.50,"merchant_id":"m","merchant_category":"c","transaction_type":"purchase",'
        f'"timestamp":"{berlin.isoformat()}","device_id":null}}'
    )
    other = Transaction(**(BARE | {"amount": 1.5}), timestamp=NOW)
    assert canonical(one) == canonical(other)
    assert payload_hash(one) == payload_hash(other)


@pytest.mark.parametrize(
    "change", [{"amount": 12.35}, {"user": "v"}, {"at": NOW + timedelta(microseconds=1)}, {"device_id": None}], ids=str
)
def test_another_payload_has_another_hash(change: dict[str, object]) -> None:
    assert payload_hash(transaction()) != payload_hash(transaction(**change))


def test_the_id_is_no_part_of_the_payload() -> None:
    assert payload_hash(transaction(transaction_id="a")) == payload_hash(transaction(transaction_id="b"))


def test_a_retry_finds_itself_by_id_or_by_its_own_time() -> None:
    assert derived_id(transaction(transaction_id="mine")) == "mine"
    assert derived_id(transaction()) == derived_id(transaction())
    assert derived_id(transaction()) != derived_id(transaction(amount=12.35))
    assert derived_id(Transaction(**BARE)) is None


@given(amount=st.floats(0, 9_999_999.99))
def test_the_amount_that_is_stored_is_the_one_that_the_kernel_counts(amount: float) -> None:
    sent = Transaction(**(BARE | {"amount": amount}))
    body = accepted(sent, transaction_id="t", timestamp=NOW, arrived_at=NOW, currency="EUR")
    assert to_cents(body["amount"]) == to_cents(amount)
    assert round(body["amount"], 2) == body["amount"]


def test_an_accepted_body_holds_what_the_row_needs() -> None:
    arrived = datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)
    body = accepted(transaction(), transaction_id="t", timestamp=NOW, arrived_at=arrived, currency="EUR")
    assert body["transaction_id"] == "t"
    assert body["timestamp"] == "2026-03-01T12:00:00+00:00"
    assert body["arrived_at"] == "2026-03-01T12:00:01+00:00"
    assert (body["currency"], body["source"], body["location_city"]) == ("EUR", "live", "Köln")


def test_hashes_are_written_in_full() -> None:
    assert hexadecimal(1) == "0000000000000001"
    assert hexadecimal(2**64 - 1) == "f" * 16
