"""Drifts: what changes, from when on, how much of it; and that all else stays as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from sentinel_core.errors import DataError
from sentinel_core.schema import to_micros
from sentinel_core.synthetic import Ramp, generate

END = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 20_000
BEGIN = END - timedelta(days=30)
SUDDEN = Ramp(to_micros(BEGIN), to_micros(BEGIN))


@pytest.fixture(scope="module")
def plain() -> pd.DataFrame:
    return generate(ROWS, 0.02, 1, end=END)


@pytest.fixture(scope="module")
def vouchers() -> pd.DataFrame:
    return generate(ROWS, 0.02, 1, end=END, drift={"voucher_fraud": 0.03}, ramp=SUDDEN)


def test_prices_rise_from_the_moment_that_the_ramp_names(plain: pd.DataFrame) -> None:
    found = generate(ROWS, 0.02, 1, end=END, drift={"amount": 2.0}, ramp=SUDDEN)
    factor = found["amount"].to_numpy() / plain["amount"].to_numpy()
    after = (plain["timestamp"] >= BEGIN).to_numpy()
    assert factor[~after] == pytest.approx(1.0)
    assert factor[after] == pytest.approx(2.0)


def test_a_ramp_grows_evenly() -> None:
    ramp = Ramp(100, 300)
    assert ramp.share(np.array([0, 100, 150, 200, 300, 999])).tolist() == [0, 0, 0.25, 0.5, 1, 1]
    assert SUDDEN.share(np.array([SUDDEN.begin - 1, SUDDEN.begin])).tolist() == [0, 1]


def test_voucher_fraud_has_its_share_its_time_and_its_rows(plain: pd.DataFrame, vouchers: pd.DataFrame) -> None:
    assert len(vouchers) == ROWS
    assert vouchers["timestamp"].is_monotonic_increasing
    new = vouchers[vouchers["fraud_scenario"] == "voucher_fraud"]
    assert (new["timestamp"] >= BEGIN).all()
    after = vouchers["timestamp"] >= BEGIN
    assert len(new) / after.sum() == pytest.approx(0.03, rel=0.05)
    assert new["is_fraud_true"].all()
    # The other patterns have as many frauds as before.
    others = vouchers["is_fraud_true"] & (vouchers["fraud_scenario"] != "voucher_fraud")
    assert others.sum() == plain["is_fraud_true"].sum()
    assert (plain["fraud_scenario"] != "voucher_fraud").all()


def test_voucher_fraud_shows_none_of_the_cues_of_the_known_patterns(vouchers: pd.DataFrame) -> None:
    """A device, an address and a country that the victim pays from by themselves."""
    own = vouchers[~vouchers["is_fraud_true"]]
    new = vouchers[vouchers["fraud_scenario"] == "voucher_fraud"]
    for column in ("device_id", "location_city"):
        known = set(zip(own["user_id"], own[column], strict=True))
        assert np.mean([pair in known for pair in zip(new["user_id"], new[column], strict=True)]) > 0.97
    assert set(new["amount"]) == {25.0, 50.0, 100.0}
    assert set(new["merchant_category"]) == {"digital_goods"}
    # Runs of several within minutes.
    gaps = new.sort_values(["user_id", "timestamp"]).groupby("user_id", observed=True)["timestamp"].diff()
    assert gaps.median() < pd.Timedelta(minutes=5)


def test_the_same_arguments_give_the_same_rows_and_others_have_other_ids(vouchers: pd.DataFrame) -> None:
    again = generate(ROWS, 0.02, 1, end=END, drift={"voucher_fraud": 0.03}, ramp=SUDDEN)
    pd.testing.assert_frame_equal(vouchers, again)
    always = generate(ROWS, 0.02, 1, end=END, drift={"voucher_fraud": 0.03})
    assert set(always["transaction_id"]).isdisjoint(vouchers["transaction_id"])


def test_a_share_out_of_bounds_is_refused_with_what_to_give() -> None:
    with pytest.raises(DataError, match=r"expected drift voucher_fraud between 0 and 0\.1, got 0\.5\. Give a share"):
        generate(ROWS, end=END, drift={"voucher_fraud": 0.5})
