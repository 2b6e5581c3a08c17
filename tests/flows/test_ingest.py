from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.errors import ColumnError, DataError, DataTooLargeError
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.settings import Settings, load_settings
from tests.datasets.frames import csv

NOW = datetime(2026, 6, 1, 10, 42, tzinfo=UTC)


@pytest.fixture
def at_home(tmp_path: Path) -> Settings:
    return load_settings(None, home=tmp_path / "home")


def test_generated_rows_end_at_the_full_hour_and_know_no_later_label(at_home: Settings) -> None:
    identity = make_snapshot(at_home, Request(rows=2_000, seed=3), now=NOW)
    snapshot = load_snapshot(at_home.home, identity)
    assert snapshot.as_of == datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert snapshot.frame()["timestamp"].max() < snapshot.as_of
    assert snapshot.manifest["source"] == {
        "kind": "synthetic",
        "rows": 2_000,
        "fraud_rate": 0.02,
        "seed": 3,
        "end": "2026-06-01T10:00:00+00:00",
    }
    assert snapshot.manifest["profile"] == "synthetic"
    assert make_snapshot(at_home, Request(rows=2_000, seed=3), now=NOW.replace(minute=59)) == identity
    assert make_snapshot(at_home, Request(rows=2_000, seed=4), now=NOW) != identity


def test_a_file_brings_its_floors_and_the_time_of_its_last_label(at_home: Settings, tmp_path: Path) -> None:
    floors = tmp_path / "map.toml"
    floors.write_text("[floors]\nroc_auc = 0.8\n")
    file = csv(tmp_path / "their rows.csv")
    said: list[str] = []
    identity = make_snapshot(
        at_home, Request(source="file", file=str(file), column_map=str(floors)), now=NOW, progress=said.append
    )
    manifest = load_snapshot(at_home.home, identity).manifest
    assert manifest["profile"] == "their rows"
    assert manifest["floors"] == {"roc_auc": 0.8}
    assert manifest["as_of"] == "2026-01-09T00:00:00+00:00"  # the last event, and the label delay of seven days
    assert said[-1] == "reading their rows.csv: 4 rows"


def test_labelled_at_counts_where_a_file_has_it(at_home: Settings, tmp_path: Path) -> None:
    labelled_at = ["2026-01-01T11:00:00Z", "2026-03-01T00:00:00Z", "", "2026-01-02T12:00:00Z"]
    file = csv(tmp_path / "f.csv", labelled_at=labelled_at, is_fraud=["0", "1", "", "1"])
    identity = make_snapshot(at_home, Request(source="file", file=str(file)), now=NOW)
    assert load_snapshot(at_home.home, identity).manifest["as_of"] == "2026-03-01T00:00:00+00:00"


def test_history_without_labels_is_known_at_its_last_event(at_home: Settings, tmp_path: Path) -> None:
    identity = make_snapshot(at_home, Request("file", file=str(csv(tmp_path / "f.csv", is_fraud=None))), now=NOW)
    manifest = load_snapshot(at_home.home, identity).manifest
    assert manifest["as_of"] == "2026-01-02T00:00:00+00:00"
    assert "labels" not in manifest


def test_what_cleaning_removed_is_in_the_manifest(at_home: Settings, tmp_path: Path) -> None:
    file = csv(tmp_path / "f.csv", user_id=["u1", "", "u1", "u3"])
    identity = make_snapshot(at_home, Request("file", file=str(file)), now=NOW)
    cleaning = load_snapshot(at_home.home, identity).manifest["cleaning"]
    assert cleaning["removed"] == {"user_id is missing": {"count": 1, "rows": [2]}}


def test_a_bad_request_leaves_nothing_behind(at_home: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got 'synthetc'\. Did you mean 'synthetic'\?"):
        make_snapshot(at_home, Request(source="synthetc"), now=NOW)
    with pytest.raises(DataError, match="a file for the source 'file', got none"):
        make_snapshot(at_home, Request(source="file"), now=NOW)
    with pytest.raises(ColumnError, match=r"'amount' of f\.csv, got 'x' in row 1"):
        make_snapshot(at_home, Request("file", file=str(csv(tmp_path / "f.csv", amount=["x"] * 4))), now=NOW)
    with pytest.raises(DataTooLargeError, match="at most 1e-08 GB"):
        tight = at_home.model_copy(update={"max_file_gb": 1e-8})
        make_snapshot(tight, Request("file", file=str(csv(tmp_path / "f.csv"))), now=NOW)
    assert not at_home.home.exists()


def test_a_request_takes_its_fields_from_the_parameters_of_a_run() -> None:
    assert Request.of({"source": "file", "file": "f.csv", "models": ["x"]}) == Request(source="file", file="f.csv")
