"""The features: every promised name is in the catalogue, and the simple cases of each hold in the service."""

from __future__ import annotations

import math
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.schema import CATEGORY_COLUMNS
from tests.seed.test_predict import MINIMAL
from tests.serving.conftest import Service

TRANSACTION = ("amount", "amount_log", "is_small_amount", "is_round_amount", "is_bank_transfer")
TEMPORAL = ("hour_of_day", "day_of_week", "day_of_month", "is_weekend", "is_night")
USER = (
    *("user_txn_count_1h", "user_txn_count_24h", "user_txn_count_7d", "user_avg_amount_7d", "user_std_amount_7d"),
    *("amount_zscore", "amount_to_avg_ratio", "txn_velocity_1h", "txn_velocity_24h", "time_since_last_txn"),
)
RISK = ("merchant_risk_score", "country_risk_score")
CHANGE = ("device_change_flag", "location_change_flag")
ENCODED = ("merchant_category", "transaction_type", "device_type", "card_type", "location_country")
MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_catalogue_has_every_promised_feature() -> None:
    promised = (*TRANSACTION, *TEMPORAL, *USER, *RISK, *CHANGE)
    assert len(promised) == 24
    assert set(promised) <= set(FEATURE_NAMES)
    assert {"user_prior_count", "merchant_count_30d", "user_avg_amount_30d", "user_txn_count_30d"} <= set(FEATURE_NAMES)
    assert CATEGORY_COLUMNS == ENCODED


def features(service: Service, *transactions: dict[str, Any]) -> dict[str, float]:
    """Send transactions of a new user, in order, and return the features of the last."""
    user = f"user-{secrets.token_hex(8)}"
    items = [{**MINIMAL, "user_id": user, "timestamp": MONDAY.isoformat(), **one} for one in transactions]
    answers = [service.predict(item) for item in items]
    assert all(answer.status_code == 200 for answer in answers), answers[-1].text
    found: dict[str, float] = service.stored(answers[-1].json()["transaction_id"])["features"]
    return found


@pytest.mark.parametrize(
    ("amount", "small", "whole_tens"),
    [(4.99, 1, 0), (5.00, 1, 0), (5.01, 0, 0), (10.00, 0, 1), (10.50, 0, 0), (15.00, 0, 0), (1250.00, 0, 1)],
)
def test_the_amount(service: Service, amount: float, small: int, whole_tens: int) -> None:
    found = features(service, {"amount": amount})
    assert found["amount"] == pytest.approx(amount, rel=1e-6)
    assert found["amount_log"] == pytest.approx(math.log(1 + amount), rel=1e-6)
    assert (found["is_small_amount"], found["is_round_amount"]) == (small, whole_tens)


@pytest.mark.parametrize(("kind", "expected"), [("bank_transfer", 1), ("purchase", 0)])
def test_a_bank_transfer(service: Service, kind: str, expected: int) -> None:
    assert features(service, {"transaction_type": kind})["is_bank_transfer"] == expected


@pytest.mark.parametrize(
    ("time", "hour", "weekday", "day", "weekend", "night"),
    [
        ("2026-03-02T21:59:59Z", 21, 0, 2, 0, 0),
        ("2026-03-02T22:00:00Z", 22, 0, 2, 0, 1),
        ("2026-03-03T05:59:59Z", 5, 1, 3, 0, 1),
        ("2026-03-03T06:00:00Z", 6, 1, 3, 0, 0),
        ("2026-02-28T12:00:00Z", 12, 5, 28, 1, 0),
        ("2026-03-01T12:00:00Z", 12, 6, 1, 1, 0),
    ],
)
def test_the_time(service: Service, time: str, hour: int, weekday: int, day: int, weekend: int, night: int) -> None:
    found = features(service, {"timestamp": time})
    assert [found[name] for name in TEMPORAL] == [hour, weekday, day, weekend, night]


def ago(**past: float) -> str:
    return (MONDAY - timedelta(**past)).isoformat()


def test_a_first_transaction_has_no_past(service: Service) -> None:
    found = features(service, {})
    assert [found[f"user_txn_count_{window}"] for window in ("1h", "24h", "7d")] == [1, 1, 1]
    assert found["user_prior_count"] == 0
    assert (found["amount_zscore"], found["amount_to_avg_ratio"]) == (0, 1)
    assert (found["device_change_flag"], found["location_change_flag"]) == (0, 0)
    assert found["time_since_last_txn"] == 30 * 86_400


def test_the_behaviour_of_the_user(service: Service) -> None:
    past = [
        {"timestamp": ago(days=3), "amount": 10.0},
        {"timestamp": ago(hours=5), "amount": 20.0},
        {"timestamp": ago(minutes=30), "amount": 30.0},
    ]
    found = features(service, *past, {"amount": 40.0})
    # Counts include the transaction itself; means and deviations are of the earlier ones.
    assert [found[f"user_txn_count_{window}"] for window in ("1h", "24h", "7d")] == [2, 3, 4]
    assert found["user_avg_amount_7d"] == pytest.approx(20)
    assert found["user_std_amount_7d"] == pytest.approx(math.sqrt(200 / 3))
    assert found["amount_zscore"] == pytest.approx(20 / math.sqrt(200 / 3), rel=1e-5)
    assert found["amount_to_avg_ratio"] == pytest.approx(2)
    assert found["time_since_last_txn"] == 30 * 60


def test_a_change_of_device_and_of_country(service: Service) -> None:
    home = {"device_id": "phone", "location_country": "DE", "timestamp": ago(hours=1)}
    for now, changed in (
        ({"device_id": "phone", "location_country": "DE"}, (0, 0)),
        ({"device_id": "laptop", "location_country": "FR"}, (1, 1)),
        ({}, (0, 0)),
    ):
        found = features(service, home, now)
        assert (found["device_change_flag"], found["location_change_flag"]) == changed


def test_the_risk_of_a_merchant_and_a_country_lies_between_0_and_1(service: Service) -> None:
    found = features(service, {"location_country": "DE"})
    assert all(0 <= found[name] <= 1 for name in RISK)
