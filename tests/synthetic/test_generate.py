"""The frame: exactly the rows asked for, in order, valid, reproducible."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_core.errors import DataError
from sentinel_core.schema import COLUMNS, REQUEST_COLUMNS, Transaction
from sentinel_core.synthetic import Difficulty, generate
from tests.synthetic.conftest import END


@settings(max_examples=12, deadline=None)
@given(
    n_rows=st.integers(100, 6000), fraud_rate=st.floats(0.0, 0.2), seed=st.integers(0, 2**32), hour=st.integers(0, 23)
)
def test_every_order_is_filled_exactly(n_rows: int, fraud_rate: float, seed: int, hour: int) -> None:
    end = datetime(2026, 6, 15, hour, 59, 59, tzinfo=UTC)
    frame = generate(n_rows, fraud_rate, seed, end=end)
    assert len(frame) == n_rows
    assert abs(int(frame["is_fraud_true"].sum()) - n_rows * fraud_rate) <= 0.5
    assert frame["timestamp"].is_monotonic_increasing
    assert frame["timestamp"].min() >= end - timedelta(days=90)
    assert frame["timestamp"].max() < end
    assert frame["transaction_id"].is_unique


def test_the_columns_are_the_schemas_in_its_order(frame: pd.DataFrame) -> None:
    unknown_to_the_generator = {"currency", "outcome", "propensity"}
    assert list(frame.columns) == [c.name for c in COLUMNS if c.name not in unknown_to_the_generator]
    assert str(frame["timestamp"].dtype) == str(frame["labelled_at"].dtype) == "datetime64[us, UTC]"
    assert frame["transaction_id"].dtype == "string"
    assert frame["amount"].dtype == np.float64
    assert frame["is_fraud"].dtype == frame["is_fraud_true"].dtype == np.bool_


def test_1500_users_make_the_default_data_set(frame: pd.DataFrame) -> None:
    assert len(frame) == 100_000
    assert 1450 <= frame["user_id"].nunique() <= 1500
    assert frame["is_fraud_true"].mean() == 0.02


def test_every_kind_of_row_is_a_valid_request(frame: pd.DataFrame) -> None:
    kinds = frame.groupby(["fraud_scenario", "transaction_type", "merchant_category"], observed=True, dropna=False)
    rows = kinds.head(2)[list(REQUEST_COLUMNS)].astype(object)
    for row in rows.where(rows.notna(), None).to_dict("records"):
        Transaction(**row)
    assert len(rows) > 100


def test_amounts_are_whole_cents_within_bounds(frame: pd.DataFrame) -> None:
    cents = frame["amount"] * 100
    assert np.allclose(cents, cents.round(), atol=1e-6)
    assert frame["amount"].min() >= 0.30
    assert frame["amount"].max() <= 25_000


def test_a_seed_gives_the_same_frame_and_another_seed_another() -> None:
    first, again, other = (generate(3000, seed=seed, end=END) for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(first, again)
    assert (first["amount"].to_numpy() != other["amount"].to_numpy()).mean() > 0.9
    assert not set(first["transaction_id"]) & set(other["transaction_id"])


def test_moving_the_end_moves_the_data(frame: pd.DataFrame) -> None:
    moved = generate(3000, end=END - timedelta(days=365))
    assert moved["timestamp"].max() < END - timedelta(days=365)
    assert moved["timestamp"].max() > END - timedelta(days=366)


def test_blocks_of_users_share_a_world_but_no_user_device_or_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["sentinel_core.synthetic.generate"], "BLOCK_USERS", 40)
    frame = generate(10_000, seed=1, end=END)
    assert len(frame) == 10_000
    assert frame["is_fraud_true"].sum() == 200
    assert frame["user_id"].nunique() > 140
    own = frame[~frame["is_fraud_true"] & (frame["device_type"] == "desktop")]
    owners = own.groupby("device_id", observed=True)["user_id"].nunique()
    assert (owners > 1).sum() == 0


def test_drift_multiplies_the_amounts_and_nothing_else() -> None:
    plain, drifted = (generate(3000, end=END, drift=drift) for drift in (None, {"amount": 1.5}))
    assert np.allclose(drifted["amount"], plain["amount"] * 1.5, atol=0.0051)
    same = ["user_id", "merchant_id", "timestamp", "device_id", "is_fraud"]
    pd.testing.assert_frame_equal(plain[same], drifted[same])
    assert plain["transaction_id"][0] != drifted["transaction_id"][0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_rows": 99}, r"expected 100 to 30000000 rows to generate, got 99\. Ask for a number in that range\."),
        ({"fraud_rate": 0.5}, r"expected a fraud rate from 0 to 0\.2, got 0\.5\. Give a share, such as 0\.02 for 2%\."),
        ({"fraud_rate": float("nan")}, r"expected a fraud rate from 0 to 0\.2, got nan"),
        ({"drift": {"ammount": 1.5}}, r"one of the drifts amount, voucher_fraud, got 'ammount'\. Correct its name\."),
        (
            {"drift": {"amount": 0.0}},
            r"expected drift amount between 0 and 100, got 0\.0\. Give a factor such as 1\.5\.",
        ),
    ],
)
def test_orders_out_of_bounds_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(**{"end": END, **wrong})  # type: ignore[arg-type]


def test_an_end_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a time with a zone"):
        generate(1000, end=datetime(2026, 3, 1))  # noqa: DTZ001


def test_difficulty_is_an_argument() -> None:
    easy = generate(20_000, end=END, difficulty=Difficulty(hidden_share=0.0, ambiguous_share=0.0, missed_share=0.0))
    assert "mimicry" not in set(easy["fraud_scenario"].dropna())
    assert easy["is_fraud"][easy["is_fraud_true"]].all()


def test_a_longer_window_holds_as_many_users_as_its_rows_a_day_say() -> None:
    short, long = generate(9_000, 0.02, 1, end=END), generate(15_000, 0.02, 1, end=END, days=150)
    assert long["timestamp"].min() < END - timedelta(days=148)
    assert long["timestamp"].max() < END
    assert long["user_id"].nunique() == pytest.approx(short["user_id"].nunique(), rel=0.1)
    assert long["is_fraud_true"].mean() == pytest.approx(0.02, abs=0.0005)
    fifth = pd.qcut(long["timestamp"].astype("int64"), 5, labels=False)
    by_fifth = long.groupby(fifth)["amount"].median()
    assert by_fifth.max() / by_fifth.min() < 1.1


def test_a_window_out_of_bounds_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected 90 to 365 days to generate, got 30\."):
        generate(1_000, end=END, days=30)
