from __future__ import annotations

from pathlib import Path

import pytest

from sentinel_core.datasets.cleaning import CleaningReport, clean
from sentinel_core.errors import EmptyDataError
from tests.datasets.frames import frame


def test_rows_that_cannot_be_placed_are_removed_and_counted(tmp_path: Path) -> None:
    dirty = frame(tmp_path, user_id=["u1", "", "u1", "u3"], merchant_id=["m", "m", None, "m"])
    kept, report = clean(dirty, ("a note of the reading.",))
    assert kept["transaction_id"].tolist() == ["t1", "t4"]
    assert kept.index.tolist() == [1, 4]
    assert report.to_dict() == {
        "rows_in": 4,
        "rows_out": 2,
        "removed": {
            "user_id is missing": {"count": 1, "rows": [2]},
            "merchant_id is missing": {"count": 1, "rows": [3]},
        },
        "notes": ["a note of the reading."],
    }
    assert CleaningReport.from_dict(report.to_dict()) == report
    assert report.removed_share == 0.5
    assert report.lines()[0] == "Removed 1 rows: user_id is missing (row 2)."


def test_only_exact_repetitions_go_and_the_first_stays(tmp_path: Path) -> None:
    same = {"transaction_id": ["t1"] * 4, "user_id": ["u"] * 4, "merchant_id": ["m"] * 4, "is_fraud": ["0"] * 4}
    dirty = frame(tmp_path, **same, amount=["1", "1", "2", "1"], timestamp=["2026-01-01T00:00:00Z"] * 4)
    kept, report = clean(dirty)
    assert kept.index.tolist() == [1, 3]  # row 3 says another amount: validation rejects the pair
    assert report.removed["an exact repetition of an earlier row"].rows == (2, 4)


def test_a_missing_amount_is_left_for_validation(tmp_path: Path) -> None:
    kept, report = clean(frame(tmp_path, amount=["1", "NaN", "-3", "4"]))
    assert len(kept) == 4
    assert not report.removed


def test_rows_without_an_id_get_one_from_their_content(tmp_path: Path) -> None:
    twice = {"user_id": ["u", "u", "v", "w"], "merchant_id": ["m"] * 4, "amount": ["1"] * 4, "is_fraud": ["0"] * 4}
    dirty = frame(tmp_path, transaction_id=None, timestamp=["2026-01-01T00:00:00Z"] * 4, **twice)
    kept, report = clean(dirty)
    assert kept["transaction_id"].is_unique
    assert len(kept) == 4  # two equal rows may be two purchases
    assert kept["transaction_id"].equals(clean(dirty)[0]["transaction_id"])
    assert "transaction_id: absent" in report.notes[0]


def test_an_id_that_is_missing_here_and_there_is_filled_in(tmp_path: Path) -> None:
    kept, report = clean(frame(tmp_path, transaction_id=["t1", "", "t3", ""]))
    assert kept["transaction_id"].tolist()[::2] == ["t1", "t3"]
    assert kept["transaction_id"].notna().all()
    assert "(2 rows)" in report.notes[0]


def test_events_far_behind_their_user_are_noticed(tmp_path: Path) -> None:
    times = ["2026-01-05T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"]
    _, report = clean(frame(tmp_path, timestamp=times))
    assert report.notes == (
        "timestamp: 1 rows lie more than 24 h behind an earlier row of their user and count as late events; if the "
        "file's order is not the order of arrival, sort it by time.",
    )


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmptyDataError, match=r"user_id, merchant_id, timestamp, found none among 4 rows"):
        clean(frame(tmp_path, user_id=[None] * 4))
