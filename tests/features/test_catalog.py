from __future__ import annotations

import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from sentinel_core.errors import BundleError
from sentinel_core.features import catalog
from sentinel_core.features.build import build_offline, build_online
from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES, POSITION, Feature, catalogue_hash, feature
from sentinel_core.features.entities import RECORD, USER
from sentinel_core.features.risk import RiskTable
from tests.features.oracle import Row, World, to_events, vector
from tests.features.worlds import START

FIRST = Row("a", START, cents=123_45, device="d", country="DE", address="192.0.2.1")
ids = pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.name)


def test_the_names_that_the_design_lists_are_there() -> None:
    listed = [
        *("amount", "amount_log", "is_small_amount", "is_round_amount", "is_bank_transfer"),
        *("hour_of_day", "day_of_week", "day_of_month", "is_weekend", "is_night"),
        *("user_txn_count_1h", "user_txn_count_24h", "user_txn_count_7d", "user_txn_count_30d"),
        *("user_avg_amount_7d", "user_avg_amount_30d", "user_std_amount_7d", "amount_zscore", "amount_to_avg_ratio"),
        *("user_prior_count", "txn_velocity_1h", "txn_velocity_24h", "time_since_last_txn"),
        *("merchant_risk_score", "country_risk_score", "merchant_risk_1d", "merchant_risk_7d"),
        *("merchant_count_1d", "merchant_count_7d", "merchant_count_30d"),
        *("merchant_recent_known_frauds", "merchant_days_since_known_fraud"),
        *("device_change_flag", "location_change_flag"),
    ]
    assert set(listed) <= set(FEATURE_NAMES)
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert [POSITION[name] for name in FEATURE_NAMES] == list(range(len(FEATURE_NAMES)))


def test_the_oracle_judges_every_feature() -> None:
    assert set(vector(World([FIRST]), 0)) == set(FEATURE_NAMES)


@ids
def test_a_feature_says_what_it_is(one: Feature) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", one.name)
    assert one.formula
    assert one.unit
    assert (one.entity is None) == (one.window == "") == (one.cold_start is None)
    assert re.fullmatch(r"(\(.*, .*\])?", one.window)
    assert re.fullmatch(r"[0-9a-f]{16}", one.definition_hash)


@ids
def test_a_feature_is_finite_float32_and_starts_cold_as_declared(one: Feature) -> None:
    events = to_events([FIRST])
    for vectors in (
        build_offline(events, None),
        build_online(events, [np.zeros(0, dtype=RECORD)], RiskTable.empty()),
    ):
        column = vectors.values[:, POSITION[one.name]]
        assert column.dtype == np.float32
        assert np.isfinite(column).all()
        if one.cold_start is not None:
            assert column[0] == np.float32(one.cold_start)


def test_another_definition_has_another_hash() -> None:
    one = feature("user_avg_amount_7d")
    others = [
        replace(one, name="user_mean_amount_7d"),
        replace(one, group="change"),
        replace(one, formula=one.formula + " at all"),
        replace(one, unit="cents"),
        replace(one, cold_start=1.0),
        replace(one, entity="merchant"),
        replace(one, window="(t − 8 d, t]"),
    ]
    assert len({other.definition_hash for other in (one, *others)}) == 8


def test_the_limits_of_histories_belong_to_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = feature("user_avg_amount_7d"), feature("amount")
    before = one.definition_hash, other.definition_hash
    monkeypatch.setitem(catalog._RESTS_ON, ("user", False), asdict(replace(USER, cap=5000)))
    assert one.definition_hash != before[0]
    assert other.definition_hash == before[1]


def test_hashes_differ_between_features() -> None:
    assert len({one.definition_hash for one in CATALOGUE}) == len(CATALOGUE)
    assert re.fullmatch(r"[0-9a-f]{16}", catalogue_hash())


def test_an_unknown_feature_is_named() -> None:
    with pytest.raises(BundleError, match=r"a feature of the catalogue, got 'nope'\. docs/features\.md lists them"):
        feature("nope")
