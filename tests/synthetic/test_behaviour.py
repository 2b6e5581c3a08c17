"""Genuine customers: habits, hours, devices, and the hard negatives among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sentinel_core.synthetic import Simulation, simulate
from sentinel_core.synthetic.population import NIGHT_WORK, PROFILES, hour_weights, is_night
from sentinel_core.synthetic.stream import GIFT, MICRO, NEW_PHONE, NIGHT, TRAVEL
from tests.synthetic.conftest import END


@pytest.fixture(scope="module")
def genuine(simulation: Simulation, frame: pd.DataFrame) -> pd.DataFrame:
    """Genuine rows with their kind of hard negative."""
    return frame.assign(negative=simulation.stream.negative)[~frame["is_fraud_true"]]


@pytest.mark.parametrize(("rows", "fraud_rate", "seed"), [(100_000, 0.02, 0), (100_000, 0.05, 3), (60_000, 0.01, 4)])
def test_hard_negatives_are_three_times_the_frauds(rows: int, fraud_rate: float, seed: int) -> None:
    negative = simulate(rows, fraud_rate, seed, end=END).stream.negative
    assert (negative > 0).sum() / (rows * fraud_rate) == pytest.approx(3.0, rel=0.2)


def test_every_kind_of_hard_negative_has_its_share(genuine: pd.DataFrame) -> None:
    share = genuine["negative"].value_counts() / 2000
    expected = {TRAVEL: 0.90, GIFT: 0.41, NEW_PHONE: 0.60, MICRO: 0.60, NIGHT: 0.45}
    for kind, size in expected.items():
        assert share[kind] == pytest.approx(size, rel=0.35)


def test_travellers_pay_abroad_and_gifts_are_large_and_micro_payments_small(genuine: pd.DataFrame) -> None:
    ordinary = genuine[genuine["negative"] == 0]
    home = ordinary.groupby("user_id", observed=True)["location_country"].agg(lambda c: c.astype(str).mode()[0])
    trips = genuine[genuine["negative"] == TRAVEL]
    at_home = trips["location_country"].astype(str).to_numpy() == home.reindex(trips["user_id"].astype(str)).to_numpy()
    assert at_home.mean() < 0.05
    assert genuine.loc[genuine["negative"] == GIFT, "amount"].median() > 10 * ordinary["amount"].median()
    micro = genuine[genuine["negative"] == MICRO]
    assert micro["amount"].between(0.50, 5.00).all()
    assert (micro["transaction_type"] == "online").all()


def test_activity_has_a_heavy_tail(genuine: pd.DataFrame) -> None:
    count = genuine["user_id"].value_counts()
    assert count.max() > 5 * count.mean()
    assert count.median() < 0.85 * count.mean()


def test_customers_come_back_to_their_merchants(genuine: pd.DataFrame) -> None:
    by_merchant = genuine.groupby(["user_id", "merchant_category", "merchant_id"], observed=True).size()
    by_category = by_merchant.groupby(level=[0, 1], observed=True).agg(["max", "sum"])
    often = by_category[by_category["sum"] >= 15]
    assert (often["max"] / often["sum"]).median() > 0.4


def test_night_workers_pay_at_night_and_others_do_not(simulation: Simulation) -> None:
    nights = hour_weights().sum(axis=1)[:, is_night(np.arange(24))].sum(axis=1)
    assert nights[NIGHT_WORK] > 0.5
    assert all(nights[index] < 0.25 for index in range(len(PROFILES)) if index != NIGHT_WORK)
    share = (simulation.populations[0].profile == NIGHT_WORK).mean()
    assert 0.005 < share < 0.04


def test_days_and_hours_have_a_season(genuine: pd.DataFrame) -> None:
    hours = (genuine["timestamp"] + pd.Timedelta(hours=1)).dt.hour.value_counts(normalize=True)
    assert hours[[2, 3, 4]].max() < 0.01
    assert hours[[12, 17, 18]].max() > 0.05
    weekday = genuine["timestamp"].dt.dayofweek.value_counts(normalize=True)
    assert weekday[4] > 1.1 * weekday[1]


def test_nothing_changes_over_the_window_but_the_season(genuine: pd.DataFrame) -> None:
    """The warm-up has brought trips, phones and fraud to a steady state: the first weeks are like the last."""
    week = (genuine["timestamp"].max() - genuine["timestamp"]).dt.days // 7
    weeks = genuine.groupby(week)
    rows = weeks.size()[lambda count: count.index < 12]
    assert rows.max() / rows.min() < 1.1
    medians = weeks["amount"].median()[:12]
    assert medians.max() / medians.min() < 1.1


def test_few_users_have_many_devices(genuine: pd.DataFrame) -> None:
    devices = genuine.groupby("user_id", observed=True)["device_id"].nunique()
    assert devices.between(1, 5).all()
    assert 1.2 < devices.mean() < 2.2
    phones = genuine[genuine["negative"] == NEW_PHONE]
    assert (phones["device_type"] == "mobile").mean() > 0.7
