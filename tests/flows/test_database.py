from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import Engine

from sentinel_core.errors import EmptyDataError
from sentinel_core.flows.database import read_transactions
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.settings import Settings
from sentinel_core.stores.history_load import load_labels, load_transactions

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=61)
RECENTLY = NOW - timedelta(days=5)


def load(engine: Engine) -> None:
    columns = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at", "outcome")
    rows = [
        ("declined", "u", "1.10", "m", LONG_AGO, LONG_AGO, "declined"),
        ("approved", "u", "2.20", "m", LONG_AGO, LONG_AGO + timedelta(seconds=1), "approved"),
        ("unknown", "u", "3.30", "m", LONG_AGO, LONG_AGO + timedelta(seconds=2), None),
        ("fraud", "v", "4.40", "m", RECENTLY, RECENTLY, None),
        ("fresh", "v", "5.50", "m", RECENTLY, RECENTLY + timedelta(seconds=1), "approved"),
        ("later", "v", "6.60", "m", RECENTLY, NOW + timedelta(days=1), None),
    ]
    with engine.begin() as conn:
        load_transactions(conn, columns, rows, now=NOW)
        load_labels(
            conn,
            [("fraud", True, RECENTLY, "review"), ("fresh", True, NOW + timedelta(days=1), "chargeback")],
            now=NOW,
        )


def test_only_approved_transactions_mature_and_only_known_labels_count(settings: Settings, engine: Engine) -> None:
    load(engine)
    frame = read_transactions(settings, NOW)
    assert frame["transaction_id"].tolist() == ["declined", "approved", "unknown", "fraud", "fresh"]
    labels = [None if pd.isna(value) else bool(value) for value in frame["is_fraud"]]
    assert labels == [None, False, None, True, None]
    assert frame["labelled_at"].tolist()[1] == pd.Timestamp(LONG_AGO + settings.label_window)
    assert frame["amount"].tolist() == [1.1, 2.2, 3.3, 4.4, 5.5]
    assert "merchant_category" not in frame
    assert str(frame["timestamp"].dtype) == "datetime64[us, UTC]"


def test_the_database_gives_a_snapshot(settings: Settings, engine: Engine) -> None:
    load(engine)
    first = make_snapshot(settings, Request(source="database"), now=NOW)
    assert make_snapshot(settings, Request(source="database"), now=NOW) == first


def test_an_empty_database_says_so(settings: Settings) -> None:
    with pytest.raises(EmptyDataError, match=r"transactions in PostgreSQL, found none\. Load some"):
        read_transactions(settings, NOW)
