"""Fraud as sequences: each scenario has the pattern that docs/synthetic.md describes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sentinel_core.synthetic import Simulation
from sentinel_core.synthetic.difficulty import STOLEN, TAKEOVER, TESTING
from sentinel_core.synthetic.stream import LOOKALIKE, PLAIN

NIGHT = {22, 23, 0, 1, 2, 3, 4, 5}


@pytest.fixture(scope="module")
def seen(simulation: Simulation, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame beside the truth, with each row's home country, local hour and step of its sequence."""
    s = simulation.stream
    people = simulation.populations[0]
    home = frame["location_country"].cat.categories[people.country[s.user]]
    hidden = pd.DataFrame(
        {"scenario": s.scenario, "visibility": s.visibility, "sequence": s.sequence, "negative": s.negative}
    )
    local = frame["timestamp"] + pd.Timedelta(hours=1)  # Most customers live at UTC+1.
    return pd.concat([frame, hidden], axis=1).assign(home=home, hour=local.dt.hour)


def plain(seen: pd.DataFrame, scenario: int) -> pd.DataFrame:
    return seen[(seen["scenario"] == scenario) & (seen["visibility"] == PLAIN)]


def test_stolen_cards_are_used_for_high_amounts_abroad_and_at_night(seen: pd.DataFrame) -> None:
    stolen = plain(seen, STOLEN)
    ordinary = seen[(seen["scenario"] == 0) & (seen["negative"] == 0) & (seen["transaction_type"] != "bank_transfer")]
    assert stolen["amount"].median() > 10 * ordinary["amount"].median()
    assert (stolen["location_country"].astype(str) != stolen["home"]).mean() > 0.75
    assert stolen["hour"].isin(NIGHT).mean() > 0.65
    assert ordinary["hour"].isin(NIGHT).mean() < 0.25
    assert stolen["transaction_type"].isin(["purchase", "online", "withdrawal"]).all()


def test_stolen_cards_are_used_at_merchants_unusual_for_the_user(seen: pd.DataFrame) -> None:
    pairs = seen.assign(pair=list(zip(seen["user_id"], seen["merchant_id"], strict=True)))
    ordinary = pairs[pairs["scenario"] == 0]
    usual = set(ordinary["pair"][ordinary["pair"].duplicated()])
    stolen = plain(pairs, STOLEN)
    assert stolen["pair"].isin(usual).mean() < 0.15
    assert ordinary["pair"].isin(usual).mean() > 0.7


def test_stolen_cards_are_used_several_times_over_hours(seen: pd.DataFrame) -> None:
    spans = plain(seen, STOLEN).groupby("sequence")["timestamp"].agg(["count", "min", "max"])
    assert 3.5 < spans["count"].mean() < 5.5
    assert pd.Timedelta(minutes=20) < (spans["max"] - spans["min"]).median() < pd.Timedelta(hours=6)


def test_takeovers_are_large_bank_transfers_at_any_hour(seen: pd.DataFrame) -> None:
    takeover = seen[seen["scenario"] == TAKEOVER]
    assert (takeover["transaction_type"] == "bank_transfer").all()
    assert takeover["card_type"].isna().all()
    transfers = seen[(seen["scenario"] == 0) & (seen["transaction_type"] == "bank_transfer")]
    assert plain(seen, TAKEOVER)["amount"].median() > 5 * transfers["amount"].median()
    assert abs(takeover["hour"].isin(NIGHT).mean() - 8 / 24) < 0.1
    assert takeover["location_country"].nunique() > 10


def test_card_testing_is_many_rapid_small_attempts_at_subscription_merchants(seen: pd.DataFrame) -> None:
    testing = seen[seen["scenario"] == TESTING]
    assert testing["amount"].between(0.50, 5.00).all()
    assert testing["merchant_category"].isin(["subscription", "digital_goods"]).all()
    assert (testing["merchant_category"] == "subscription").mean() > 0.7
    runs = plain(seen, TESTING).groupby("sequence")
    gaps = runs["timestamp"].diff().dropna()
    assert gaps.median() < pd.Timedelta(seconds=20)
    assert runs.size().mean() > 7


def test_bursts_run_over_many_cards_at_one_merchant(seen: pd.DataFrame) -> None:
    runs = (
        plain(seen, TESTING)
        .groupby("sequence")
        .agg(
            cards=("user_id", "nunique"),
            merchants=("merchant_id", "nunique"),
            attempts=("amount", "size"),
            devices=("device_id", "nunique"),
        )
    )
    bursts = runs[runs["cards"] > 1]
    assert 0.15 < bursts["attempts"].sum() / runs["attempts"].sum() < 0.35
    assert (bursts["cards"] > bursts["attempts"] / 3).mean() > 0.9
    # A merchant where fraud gathers changes at midnight, within a burst too.
    assert (bursts["merchants"] <= 2).all()
    assert (bursts["devices"] == 1).all()


def test_rings_use_the_same_devices_on_many_victims(seen: pd.DataFrame) -> None:
    attacks = seen[(seen["scenario"] > 0) & (seen["visibility"] == PLAIN)]
    single = attacks[attacks.groupby("sequence")["user_id"].transform("nunique") == 1]
    victims = single.groupby("device_id", observed=True)["user_id"].nunique()
    assert (victims >= 5).sum() >= 5


def test_families_share_tablets(seen: pd.DataFrame) -> None:
    tablets = seen[(seen["scenario"] == 0) & (seen["device_type"] == "tablet")]
    users = tablets.groupby("device_id", observed=True)["user_id"].nunique()
    assert 0.05 < (users > 1).mean() < 0.6


def test_lookalikes_are_genuine_and_half_as_many_as_the_ambiguous_frauds(simulation: Simulation) -> None:
    s = simulation.stream
    assert int((s.negative == LOOKALIKE).sum()) == 80
    assert not (s.scenario[s.negative == LOOKALIKE] > 0).any()


def test_fraud_gathers_at_merchants(seen: pd.DataFrame) -> None:
    fraud = seen[(seen["scenario"] > 0) & (seen["visibility"] == PLAIN)]
    by_merchant = fraud["merchant_id"].value_counts(normalize=True)
    assert by_merchant.head(50).sum() > 0.4
    genuine = seen[seen["scenario"] == 0]["merchant_id"].isin(by_merchant.head(50).index).mean()
    assert 0.02 < genuine < 0.5


def test_attacks_tell_nothing_by_the_form_of_their_times(simulation: Simulation) -> None:
    s = simulation.stream
    assert not (s.time % 1000).any()
    last_digits = s.time // 1000 % 1000
    for rows in (s.scenario == 0, s.scenario > 0):
        assert abs(last_digits[rows].mean() - 499.5) < 30
    assert np.unique(s.time).size > 0.999 * len(s)
