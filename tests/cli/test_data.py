from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis

from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.schema import CATEGORY_COLUMNS
from sentinel_core.settings import Settings
from tests.cli.command import Sentinel
from tests.datasets.frames import csv


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sentinel:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    return Sentinel(monkeypatch, capsys)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_generated_files_are_what_features_and_validation_read(sentinel: Sentinel, tmp_path: Path, name: str) -> None:
    rows, out = tmp_path / name, tmp_path / "features.parquet"
    said = sentinel.json("generate", "--rows", 500, "--seed", 7, "--end", "2026-06-01T10:00:00", "--out", rows)
    assert said == {"file": str(rows), "rows": 500, "end": "2026-06-01T10:00:00+00:00", "seed": 7}
    assert sentinel.json("features", rows, "--out", out)["rows"] == 500
    written = pd.read_parquet(out)
    assert list(written.columns) == ["transaction_id", *FEATURE_NAMES, *CATEGORY_COLUMNS]


def test_csv_and_parquet_give_the_same_features(sentinel: Sentinel, tmp_path: Path) -> None:
    frames = []
    for name in ("a.csv", "a.parquet"):
        sentinel("generate", "--rows", 300, "--end", "2026-06-01T10:00:00", "--out", tmp_path / name)
        sentinel("features", tmp_path / name, "--out", tmp_path / "features.parquet")
        frames.append(pd.read_parquet(tmp_path / "features.parquet"))
    pd.testing.assert_frame_equal(*frames)


def test_drift_multiplies_the_amounts(sentinel: Sentinel, tmp_path: Path) -> None:
    means = []
    for name, drift in (("a.csv", ()), ("b.csv", ("--drift", "amount=2"))):
        sentinel("generate", "--rows", 500, "--end", "2026-06-01T10:00:00", "--out", tmp_path / name, *drift)
        means.append(pd.read_csv(tmp_path / name)["amount"].mean())
    assert means[1] == pytest.approx(2 * means[0], rel=1e-3)


def test_validation_says_what_it_checked_and_removed(sentinel: Sentinel, tmp_path: Path) -> None:
    rows = pd.read_csv(csv(tmp_path / "a.csv"), dtype=str)
    ids = rows["transaction_id"]
    many = pd.concat([rows.assign(transaction_id=ids + f"-{n}") for n in range(10)])
    pd.concat([many, many.iloc[:1]]).to_csv(tmp_path / "b.csv", index=False)
    said = sentinel("validate", tmp_path / "b.csv")
    assert "Removed 1 rows: an exact repetition of an earlier row (row 41)." in said
    assert "b.csv: 40 rows satisfy " in said
    assert Path(said.rsplit("Data docs: ", 1)[1].strip()).is_file()


def test_a_failing_file_ends_in_one_line(sentinel: Sentinel, tmp_path: Path) -> None:
    bad = csv(tmp_path / "bad.csv", amount=["1", "-2", "NaN", "4"])
    for command in (("validate", bad), ("ingest", bad)):
        message = sentinel.fails(*command)
        assert "between on amount failed for 1 row (row 2: amount=-2.0)" in message
        assert "not_be_null on amount failed for 1 row (row 3: amount=nan)" in message
        assert "rejected rows are kept in" in message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": None}, "expected the column 'user_id' in bad.csv"),
        ({"amount": ["x", "1", "1", "1"]}, "'amount' of bad.csv, got 'x' in row 1"),
        ({"timestamp": ["yesterday", "", "", ""]}, "'timestamp' of bad.csv, got 'yesterday' in row 1"),
        ({"is_fraud": ["7", "0", "0", "0"]}, "'is_fraud' of bad.csv, got '7' in row 1"),
    ],
)
def test_bad_columns_are_named(sentinel: Sentinel, tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    bad = csv(tmp_path / "bad.csv", **columns)
    out = tmp_path / "out.parquet"
    for command in (("validate", bad), ("ingest", bad), ("features", bad, "--out", out)):
        assert message in sentinel.fails(*command)
    assert not out.exists()
    assert not (tmp_path / "home" / "snapshots").exists()


def test_arguments_that_cannot_be_are_refused(sentinel: Sentinel, tmp_path: Path) -> None:
    assert "ends in .csv or .parquet, got 'a.txt'" in sentinel.fails("generate", "--out", tmp_path / "a.txt")
    assert "a drift such as amount=1.5" in sentinel.fails("generate", "--out", tmp_path / "a.csv", "--drift", "amount")
    assert "a fraud rate from 0 to 0.2" in sentinel.fails("generate", "--out", tmp_path / "a.csv", "--fraud-rate", 0.5)
    assert "expected a folder at" in sentinel.fails("generate", "--rows", 100, "--out", tmp_path / "no" / "a.csv")
    assert "expected a file at" in sentinel.fails("validate", tmp_path / "none.csv")
    assert "a column map at" in sentinel.fails("validate", csv(tmp_path / "a.csv"), "--columns", tmp_path / "none.toml")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_ingest_loads_once(sentinel: Sentinel, settings: Settings, tmp_path: Path) -> None:
    sentinel.use(settings)
    file = csv(tmp_path / "history.csv")
    first = sentinel.json("ingest", file)
    assert (first["new_transactions"], first["new_labels"], first["users"]) == (4, 4, 3)
    assert first["risk"]["published"] is False  # what happened months ago says nothing about the risk of today
    said = sentinel("ingest", file)
    assert "0 of 4 transactions and 0 of 4 known labels are new; histories of 3 users" in said


def test_ingest_rebuilds_a_lost_redis_from_postgresql(
    sentinel: Sentinel, settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    sentinel.use(settings)
    sentinel("ingest", csv(tmp_path / "history.csv"))
    histories = sorted(redis_client.scan_iter(f"{settings.redis_namespace}:*:h:*"))
    redis_client.delete(*histories)
    said = sentinel.json("ingest", "--from-database")
    assert said["histories"]["user"] == 3
    assert sorted(redis_client.scan_iter(f"{settings.redis_namespace}:*:h:*")) == histories
    assert "a FILE or --from-database, got neither" in sentinel.fails("ingest")
    assert "got FILE and --from-database" in sentinel.fails("ingest", "a.csv", "--from-database")


def test_chargebacks_are_recorded_and_what_is_not_understood_is_kept(
    sentinel: Sentinel, settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    sentinel.use(settings)
    sentinel("ingest", csv(tmp_path / "history.csv", is_fraud=None))
    file, bank = tmp_path / "chargebacks.csv", tmp_path / "bank.toml"
    file.write_text("ref,when\nt1,2026-02-01\nt2,soon\nnobody,2026-02-03\n")
    bank.write_text('[columns]\ntransaction_id = "ref"\nlabelled_at = "when"\n[constants]\nsource = "bank"\n')
    said = sentinel.fails("ingest", "--labels", file, "--columns", bank)
    assert "1 of 3 rows were not understood" in said
    assert "column 'labelled_at' of chargebacks.csv, got 'soon' in row 2" in said
    file.write_text(file.read_text().replace("soon", "2026-02-02"))
    said = sentinel.json("ingest", "--labels", file, "--columns", bank)
    assert said["labels"] == {"recorded": 1, "known": 1}
    assert (said["rows"], said["unknown"], said["rejected"]) == (3, 1, 0)
    assert "1 rows are of unknown transactions. Send them again: " in sentinel(
        "ingest", "--labels", said["unknown_file"]
    )
