from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.command import Sentinel
from tests.datasets.frames import csv


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sentinel:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    return Sentinel(monkeypatch, capsys)


def test_the_same_file_comes_out_of_memory_and_of_partitions(sentinel: Sentinel, tmp_path: Path) -> None:
    file, whole, parts = csv(tmp_path / "f.csv"), tmp_path / "whole.parquet", tmp_path / "parts.parquet"
    assert sentinel.json("features", file, "--out", whole)["rows"] == 4
    said = sentinel.json("features", file, "--out", parts, "--partitions", 3)
    assert (said["rows"], said["engine"], said["partitions"], said["workers"]) == (4, "local", 3, 1)
    assert pq.read_table(whole).equals(pq.read_table(parts))


def test_a_file_that_may_not_be_read_whole_is_scanned(
    sentinel: Sentinel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_MAX_FILE_GB", "0.0000001")
    said = sentinel.json("features", csv(tmp_path / "f.csv"), "--out", tmp_path / "out.parquet")
    assert (said["rows"], said["engine"]) == (4, "local")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "sparc"], "expected an engine among local, spark, got 'sparc'. Did you mean 'spark'?"),
        (["--workers", "many"], "expected 'all' or 1 to 256 workers, got 'many'."),
        (["--workers", "0"], "expected 'all' or 1 to 256 workers, got '0'."),
        (["--partitions", "0"], "expected 1 to 10,000 partitions, got 0."),
        (["--master", "spark://h:7077"], "expected --master with --engine spark only, got 'spark://h:7077'."),
        (["--engine", "spark", "--workers", "2"], "expected --workers with --engine local only, got '2'."),
    ],
)
def test_options_that_do_not_fit_are_refused(
    sentinel: Sentinel, tmp_path: Path, options: list[str], message: str
) -> None:
    file = csv(tmp_path / "f.csv")
    assert message in sentinel.fails("features", file, "--out", tmp_path / "out.parquet", *options)


def test_an_output_needs_its_folder_and_a_scan_its_file(sentinel: Sentinel, tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "out.parquet"
    assert "expected a folder for" in sentinel.fails("features", csv(tmp_path / "f.csv"), "--out", nowhere)
    missing = sentinel.fails("features", tmp_path / "x.csv", "--out", tmp_path / "o.parquet", "--partitions", 2)
    assert f"expected a file at {tmp_path / 'x.csv'}, found none." in missing
