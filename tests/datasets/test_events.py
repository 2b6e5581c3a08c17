from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sentinel_core.datasets.events import categories, label_arrays, to_events, to_labels
from sentinel_core.errors import DataError
from sentinel_core.schema import CATEGORY_COLUMNS, hash_text, to_micros
from tests.datasets.frames import frame

WEEK = timedelta(days=7)


def test_events_hold_what_a_request_would(tmp_path: Path) -> None:
    rows = frame(
        tmp_path,
        device_id=["d1", "", "d2", "d1"],
        location_country=["NA", "DE", "", "DE"],
        transaction_type=["bank_transfer", "purchase", "", "bank_transfer"],
        amount=["12.34", "0.5", "1.005", "7"],
    )
    events = to_events(rows, first_arrival=10)
    assert events.user.tolist() == [hash_text(user) for user in ("u1", "u2", "u1", "u3")]
    assert events.device.tolist() == [hash_text("d1"), 0, hash_text("d2"), hash_text("d1")]
    assert events.country[[0, 2]].tolist() == [hash_text("NA"), 0]
    assert events.id_hash.tolist() == [hash_text(f"t{n}") for n in (1, 2, 3, 4)]
    assert events.cents.tolist() == [1234, 50, 100, 700]
    assert events.time[0] == to_micros(datetime(2026, 1, 1, 10, tzinfo=UTC))
    assert events.arrival.tolist() == [10, 11, 12, 13]
    assert events.is_bank_transfer.tolist() == [True, False, False, True]


def test_ids_can_be_left_out(tmp_path: Path) -> None:
    assert not to_events(frame(tmp_path), ids=False).id_hash.any()


def test_absent_columns_are_null(tmp_path: Path) -> None:
    events = to_events(frame(tmp_path))
    assert not events.device.any()
    assert not events.country.any()
    assert not events.is_bank_transfer.any()


@pytest.mark.parametrize("amount", ["", "-0.01", "10000000", "inf"])
def test_an_amount_out_of_bounds_is_an_error_that_names_the_row(tmp_path: Path, amount: str) -> None:
    with pytest.raises(DataError, match=r"an amount from 0 to 9999999\.99 .* in row 3\. Validate first"):
        to_events(frame(tmp_path, amount=["1", "2", amount, "4"]))


def test_a_label_counts_from_the_moment_it_was_known(tmp_path: Path) -> None:
    rows = frame(
        tmp_path,
        is_fraud=["1", "0", "", "1"],
        labelled_at=["2026-01-01T12:00:00Z", "", "2026-01-05T00:00:00Z", "2026-03-01T00:00:00Z"],
    )
    is_fraud, known_at = label_arrays(rows, WEEK)
    assert is_fraud.tolist() == [1, 0, -1, 1]
    assert known_at[[0, 1, 3]].tolist() == [
        to_micros(datetime(2026, 1, 1, 12, tzinfo=UTC)),
        to_micros(datetime(2026, 1, 8, 11, tzinfo=UTC)),
        to_micros(datetime(2026, 3, 1, tzinfo=UTC)),
    ]
    labels = to_labels(rows, WEEK)
    assert labels.row.tolist() == [0, 1, 3]
    assert labels.is_fraud.tolist() == [True, False, True]


def test_a_history_without_labels_has_none(tmp_path: Path) -> None:
    assert len(to_labels(frame(tmp_path, is_fraud=None), WEEK).row) == 0


def test_categories_are_text_or_none_for_every_column(tmp_path: Path) -> None:
    raw = categories(frame(tmp_path, merchant_category=["food", "", "travel", "food"]))
    assert list(raw) == list(CATEGORY_COLUMNS)
    assert raw["merchant_category"].tolist() == ["food", None, "travel", "food"]
    assert raw["device_type"].tolist() == [None] * 4
    assert np.array([type(v) for v in raw["merchant_category"]])[0] is str
