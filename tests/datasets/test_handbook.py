"""The public benchmark as a user's file: read by path and column map, whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sentinel_core.datasets.cleaning import clean
from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.files import read_file

ROOT = Path(__file__).parents[2]
FILE = Path(os.environ.get("SENTINEL_HANDBOOK", ROOT.parent / "shared" / "data" / "handbook.parquet"))


@pytest.mark.slow
@pytest.mark.handbook
@pytest.mark.skipif(not FILE.is_file(), reason="the benchmark file is not here: name it by SENTINEL_HANDBOOK")
def test_the_benchmark_is_read_whole_and_nothing_is_invented() -> None:
    column_map = ColumnMap.load(ROOT / "examples" / "handbook.toml")
    reading = read_file(FILE, column_map, max_gb=4.0)
    frame, report = clean(reading.frame, reading.notes)
    assert (len(frame), report.removed) == (1_754_155, {})
    assert sorted(frame) == sorted(column_map.columns or {})
    assert int(frame["is_fraud"].sum()) == 14_681
    assert any("UTC" in note for note in report.notes)
    assert dict(column_map.floors) == {"roc_auc": 0.84, "pr_auc": 0.60}
