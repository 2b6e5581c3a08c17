"""The partitioned scan against the build in memory: the same file, to the last bit, and the same report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sentinel_core.datasets import files
from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.errors import DataError, EmptyDataError
from sentinel_core.flows.features import write_features
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.scan import scan_features
from sentinel_core.settings import Settings, load_settings
from sentinel_core.synthetic.generate import generate
from tests.datasets.frames import csv

NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(None, home=tmp_path_factory.mktemp("home"), user_history_cap=64)


def messy(rows: int) -> pd.DataFrame:
    """Generated rows, a fifth out of order; ids, users and devices missing; rows repeated, near and far."""
    random = np.random.default_rng(4)
    frame = generate(rows, 0.03, 3, end=NOW)
    place = np.arange(rows) + np.where(random.random(rows) < 0.2, random.integers(-900, 900, rows), 0)
    frame = frame.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)
    for name, share in {"transaction_id": 0.1, "user_id": 0.01, "device_id": 0.2, "labelled_at": 0.1}.items():
        frame.loc[random.random(rows) < share, name] = None
    again = frame.iloc[random.integers(0, rows, rows // 50)]
    return pd.concat([frame.iloc[: rows // 2], frame.iloc[:40], frame.iloc[rows // 2 :], again], ignore_index=True)


def in_memory(settings: Settings, file: Path, out: Path, column_map: Path | None = None) -> dict[str, object]:
    request = Request("file", file=str(file), column_map=str(column_map) if column_map else None)
    snapshot = make_snapshot(settings, request, now=NOW)
    write_features(settings, snapshot, out)
    cleaning: dict[str, object] = load_snapshot(settings.home, snapshot).manifest["cleaning"]
    return cleaning


def assert_equal_files(one: Path, other: Path) -> None:
    a, b = pq.read_table(one), pq.read_table(other)
    assert a.schema.equals(b.schema)
    for name in a.column_names:
        assert a.column(name).equals(b.column(name)), name


@pytest.mark.parametrize(("suffix", "partitions", "workers"), [("parquet", 5, 1), ("csv", 1, 1), ("parquet", 3, 2)])
def test_a_scan_writes_what_the_build_in_memory_writes(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    partitions: int,
    workers: int,
) -> None:
    file = tmp_path / f"rows.{suffix}"
    frame = messy(6_000)
    frame.to_parquet(file, row_group_size=1_500) if suffix == "parquet" else frame.to_csv(file, index=False)
    monkeypatch.setattr(files, "BATCH_ROWS", 1_000)
    monkeypatch.setattr(files, "BLOCK_BYTES", 200_000)
    written = scan_features(
        settings, file, ColumnMap(), tmp_path / "scan.parquet", partitions=partitions, workers=workers
    )
    cleaning = in_memory(settings, file, tmp_path / "memory.parquet")
    assert_equal_files(tmp_path / "scan.parquet", tmp_path / "memory.parquet")
    assert written.cleaning.to_dict() == cleaning
    assert written.cleaning.lines()
    assert (written.rows, written.partitions) == (cleaning["rows_out"], partitions)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["scan.parquet", "memory.parquet", file.name])


def test_ids_that_were_derived_once_are_not_given_twice(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows exported with their derived ids stand beside the same rows without: each id names one row in both builds."""
    bare = {"user_id": ["u"] * 6, "amount": ["1"] * 6, "merchant_id": ["m"] * 6, "is_fraud": ["0"] * 6}
    times = ["2026-01-01T10:00:00Z"] * 5 + ["2026-01-02T10:00:00Z"]
    plain = csv(tmp_path / "plain.csv", transaction_id=None, timestamp=times, **bare)
    in_memory(settings, plain, tmp_path / "first.parquet")
    ids = pq.read_table(tmp_path / "first.parquet").column("transaction_id").to_pylist()
    assert [text.rpartition("-")[2] for text in ids] == ["0", "1", "2", "3", "4", "0"]
    mixed = csv(
        tmp_path / "mixed.csv",
        transaction_id=[*ids[:3], "", "", "", "", ids[5]],
        timestamp=[*times[:5], times[0], times[5], times[5]],
        **{name: values[:1] * 8 for name, values in bare.items()},
    )
    monkeypatch.setattr(files, "BLOCK_BYTES", 200)
    written = scan_features(settings, mixed, ColumnMap(), tmp_path / "scan.parquet", partitions=2)
    cleaning = in_memory(settings, mixed, tmp_path / "memory.parquet")
    assert_equal_files(tmp_path / "scan.parquet", tmp_path / "memory.parquet")
    assert written.cleaning.to_dict() == cleaning


def test_a_column_map_with_constants_and_few_columns(settings: Settings, tmp_path: Path) -> None:
    file = csv(tmp_path / "f.csv", is_fraud=None, transaction_id=None)
    column_map = tmp_path / "map.toml"
    column_map.write_text('[constants]\nlocation_country = "DE"\ncurrency = "EUR"\n')
    scan_features(settings, file, ColumnMap.load(column_map), tmp_path / "scan.parquet", partitions=9)
    in_memory(settings, file, tmp_path / "memory.parquet", column_map)
    assert_equal_files(tmp_path / "scan.parquet", tmp_path / "memory.parquet")


def test_an_error_names_the_row_of_the_file_and_leaves_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 200)
    file = csv(tmp_path / "f.csv", amount=["1", "2", "3", "-4"])
    with pytest.raises(DataError, match=r"got -4\.0 in row 4"):
        scan_features(settings, file, ColumnMap(), tmp_path / "out.parquet")
    file = csv(tmp_path / "f.csv", amount=["1", "2", "3", "four"])
    for workers in (1, 2):
        with pytest.raises(DataError, match=r"'amount' of f\.csv, got 'four' in row 4"):
            scan_features(settings, file, ColumnMap(), tmp_path / "out.parquet", workers=workers)
    file = csv(tmp_path / "f.csv", user_id=[""] * 4)
    with pytest.raises(EmptyDataError, match="found none among 4 rows"):
        scan_features(settings, file, ColumnMap(), tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["f.csv"]


def test_a_file_without_rows_is_empty_to_both_builds(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "f.parquet"
    messy(200).iloc[:0].to_parquet(file)
    with pytest.raises(EmptyDataError, match=r"expected rows of transactions in f\.parquet, found an empty file"):
        scan_features(settings, file, ColumnMap(), tmp_path / "out.parquet")
    with pytest.raises(EmptyDataError, match=r"expected rows of transactions in f\.parquet, found an empty file"):
        in_memory(settings, file, tmp_path / "out.parquet")
