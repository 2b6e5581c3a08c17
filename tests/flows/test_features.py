from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sentinel_core.datasets.events import categories, to_events, to_labels
from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.errors import DataError
from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import FEATURE_NAMES, catalogue_hash
from sentinel_core.features.risk import RiskHistory, served_midnight
from sentinel_core.flows.features import build_feature_set, load_feature_set, write_features
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.schema import CATEGORY_COLUMNS, to_micros
from sentinel_core.settings import Settings, load_settings
from tests.datasets.frames import csv

NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(None, home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def snapshot(at_home: Settings) -> str:
    return make_snapshot(at_home, Request(rows=3_000), now=NOW)


def test_a_feature_set_holds_what_the_offline_build_gives(at_home: Settings, snapshot: str) -> None:
    identity = build_feature_set(at_home, snapshot)
    assert identity == f"{snapshot}-{catalogue_hash()}"
    found = load_feature_set(at_home, identity)
    frame = load_snapshot(at_home.home, snapshot).frame()
    events = to_events(frame)
    risk = RiskHistory(events, to_labels(frame, WEEK), WEEK // timedelta(microseconds=1))
    np.testing.assert_array_equal(found.values, build_offline(events, risk).values)
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.time, events.time)
    np.testing.assert_array_equal(found.user, events.user)
    np.testing.assert_array_equal(found.cents, events.cents)
    assert found.is_fraud.sum() == frame["is_fraud"].sum()
    assert found.is_fraud_true is not None
    assert found.is_fraud_true.sum() == frame["is_fraud_true"].sum()
    assert list(found.categories) == list(CATEGORY_COLUMNS)
    for name, raw in categories(frame).items():
        assert found.categories[name].tolist() == raw.tolist(), name
    assert found.risk.as_of == served_midnight(to_micros(NOW.replace(minute=0)))


def test_it_is_built_once(at_home: Settings, snapshot: str) -> None:
    said: list[str] = []
    first = build_feature_set(at_home, snapshot)
    assert build_feature_set(at_home, snapshot, progress=said.append) == first
    assert said == []


def test_columns_that_a_file_lacks_are_no_categories(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    identity = make_snapshot(settings, Request("file", file=str(csv(tmp_path / "f.csv"))), now=NOW)
    found = load_feature_set(settings, build_feature_set(settings, identity))
    assert found.categories == {}
    assert found.is_fraud_true is None


def test_the_file_of_features_is_in_the_order_of_the_catalogue(
    at_home: Settings, snapshot: str, tmp_path: Path
) -> None:
    out = tmp_path / "features.parquet"
    assert write_features(at_home, snapshot, out) == 3_000
    written = pd.read_parquet(out)
    assert list(written.columns) == ["transaction_id", *FEATURE_NAMES, *CATEGORY_COLUMNS]
    assert {str(written[name].dtype) for name in FEATURE_NAMES} == {"float32"}
    assert [path.name for path in tmp_path.iterdir()] == ["features.parquet"]


def test_bad_amounts_leave_no_half_built_set(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    file = csv(tmp_path / "f.csv", amount=["1", "-2", "3", "4"])
    identity = make_snapshot(settings, Request("file", file=str(file)), now=NOW)
    with pytest.raises(DataError, match=r"got -2\.0 in row 2"):
        build_feature_set(settings, identity)
    assert list((settings.home / "features").iterdir()) == []
