"""The Spark engine against the partitioned scan, which equals the build in memory: the same file, to the last bit."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.errors import ColumnError, EmptyDataError, EngineError
from sentinel_core.flows.scan import scan_features
from sentinel_core.flows.spark import require_spark, spark_features
from sentinel_core.settings import Settings, load_settings
from tests.datasets.frames import csv
from tests.flows.test_scan import assert_equal_files, messy


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(None, home=tmp_path_factory.mktemp("home"), user_history_cap=64)


@pytest.fixture
def spark() -> None:
    try:
        require_spark()
    except EngineError as missing:
        pytest.skip(str(missing))


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
@pytest.mark.filterwarnings("ignore")  # Spark's own
@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,1024]"])
def test_spark_writes_what_the_scan_writes(settings: Settings, tmp_path: Path, master: str) -> None:
    file = tmp_path / "rows.parquet"
    messy(4_000).to_parquet(file, row_group_size=900)
    here = scan_features(settings, file, ColumnMap(), tmp_path / "scan.parquet", partitions=2)
    there = spark_features(settings, file, ColumnMap(), tmp_path / "spark.parquet", partitions=3, master=master)
    assert_equal_files(tmp_path / "scan.parquet", tmp_path / "spark.parquet")
    assert (there.rows, there.partitions, there.cleaning) == (here.rows, 3, here.cleaning)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "scan.parquet", "spark.parquet"]


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
@pytest.mark.filterwarnings("ignore")
def test_our_errors_come_back_from_the_cluster_as_they_are(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    file = csv(tmp_path / "f.csv", amount=["1", "2", "3", "four"])
    with pytest.raises(ColumnError, match=r"'amount' of f\.csv, got 'four' in row 4"):
        spark_features(settings, file, ColumnMap(), out, master="local[1]")
    with pytest.raises(EmptyDataError, match="found none among 4 rows"):
        spark_features(settings, csv(tmp_path / "f.csv", user_id=[""] * 4), ColumnMap(), out, master="local[1]")
    written = spark_features(settings, csv(tmp_path / "f.csv", is_fraud=None), ColumnMap(), out, master="local[1]")
    assert (written.rows, pq.read_metadata(out).num_rows) == (4, 4)
    with pytest.raises(
        EngineError, match=r"expected the Spark cluster at nonsense to build the vectors, got: .*Could not parse Master"
    ):
        spark_features(settings, file, ColumnMap(), out, master="nonsense")


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pyspark", None)
        with pytest.raises(EngineError, match=r"expected PySpark .*, found none .*make spark"):
            require_spark()
    monkeypatch.setitem(sys.modules, "pyspark", pytest)  # any module: it is there
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"found no java in the PATH\. .*apt-get install default-jre-headless"):
        require_spark()
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    with pytest.raises(EngineError, match=r"expected Java 17 or later .*, found 11\.0\.2 at"):
        require_spark()
