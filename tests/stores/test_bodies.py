from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.schema import AMOUNT_MAX, Transaction, to_cents
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
    written = orjson.loads(orjson.dumps(body))
    assert written["timestamp"] == "2026-03-01T12:00:00+00:00"
    assert written["arrived_at"] == "2026-03-01T12:00:01+00:00"
    assert (body["currency"], body["source"], body["location_city"]) == ("EUR", "live", "Köln")


def test_hashes_are_written_in_full() -> None:
    assert hexadecimal(1) == "0000000000000001"
    assert hexadecimal(2**64 - 1) == "f" * 16


@given(st.floats(0, AMOUNT_MAX))
def test_cents_are_those_of_the_amounts_text(amount: float) -> None:
    assert to_cents(amount) == to_cents(Decimal(str(amount)))


@given(st.integers(0, round(AMOUNT_MAX * 100)))
def test_an_amount_of_two_decimals_is_its_cents(cents: int) -> None:
    assert to_cents(cents / 100) == cents


@given(
    st.floats(0, 1e6),
    st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1)),  # noqa: DTZ001 (a client may leave the zone out)
    st.floats(-90, 90),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
)
def test_the_canonical_form_stays_what_it_was(amount: float, at: datetime, latitude: float, city: str) -> None:
    # Hashes of the form lie in databases: a release that wrote it otherwise would take every retry for a conflict.
    sent = Transaction(**(BARE | {"amount": amount}), timestamp=at, latitude=latitude, location_city=city)
    fields = sent.model_dump(mode="json", exclude={"transaction_id"}, exclude_none=True) | {"amount": to_cents(amount)}
    assert canonical(sent) == orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
