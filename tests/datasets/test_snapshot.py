from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sentinel_core.datasets import snapshot as snapshots
from sentinel_core.datasets.snapshot import Snapshot, content_hash, load_snapshot, write_snapshot
from sentinel_core.errors import DataError
from tests.datasets.frames import frame

NOW = datetime(2026, 2, 1, tzinfo=UTC)
TERMS = {"profile": "file", "floors": {"roc_auc": 0.8}, "as_of": NOW.isoformat(), "label_delay_days": 7.0}


def write(home: Path, rows: pd.DataFrame, **terms: Any) -> Snapshot:
    return write_snapshot(rows, home, source={"kind": "file"}, terms={**TERMS, **terms}, cleaning={}, now=NOW)


def test_a_snapshot_gives_back_the_rows_and_says_what_they_are(tmp_path: Path) -> None:
    rows = frame(tmp_path).drop(index=2)
    snapshot = write(tmp_path, rows)
    pd.testing.assert_frame_equal(load_snapshot(tmp_path, snapshot.id).frame(), rows)
    assert snapshot.frame(["user_id"]).index.tolist() == [1, 3, 4]
    assert snapshot.as_of == NOW
    assert snapshot.manifest["labels"] == {"fraud": 1, "legitimate": 2, "unknown": 0}
    assert snapshot.manifest["first_timestamp"] == "2026-01-01T10:00:00+00:00"
    assert snapshot.manifest["rows"] == 3


def test_equal_rows_under_equal_terms_are_one_snapshot(tmp_path: Path) -> None:
    rows = frame(tmp_path)
    first = write(tmp_path, rows)
    again = write_snapshot(
        rows, tmp_path, source={"kind": "database"}, terms=TERMS, cleaning={}, now=datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert again == first
    assert write(tmp_path, rows, floors={}).id != first.id
    assert write(tmp_path, rows.iloc[::-1]).id != first.id


def test_the_content_hash_sees_every_value_and_no_storage_detail(tmp_path: Path) -> None:
    rows = frame(tmp_path, location_city=["a", "bc", None, ""])
    hashed = content_hash(rows)
    assert content_hash(rows.iloc[[0, 1, 2, 3]].copy()) == hashed
    assert content_hash(pd.concat([rows.iloc[:2], rows.iloc[2:]])) == hashed
    assert content_hash(frame(tmp_path, location_city=["ab", "c", None, ""])) != hashed
    assert content_hash(rows.assign(is_fraud=rows["is_fraud"].mask(rows.index == 1))) != hashed
    assert content_hash(rows.assign(amount=rows["amount"].where(rows.index != 1, 12.35))) != hashed


def test_a_snapshot_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "_sync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, frame(tmp_path))
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_a_snapshot_cannot_be_written_to(tmp_path: Path) -> None:
    snapshot = write(tmp_path, frame(tmp_path))
    assert {(snapshot.path / name).stat().st_mode & 0o222 for name in ("data.parquet", "manifest.json")} == {0}
    assert json.loads((snapshot.path / "manifest.json").read_text())["id"] == snapshot.id


def test_an_unknown_snapshot_is_named_with_the_nearest(tmp_path: Path) -> None:
    snapshot = write(tmp_path, frame(tmp_path))
    with pytest.raises(DataError, match=rf"found none\. Did you mean '{snapshot.id}'\?"):
        load_snapshot(tmp_path, snapshot.id[:-1])
