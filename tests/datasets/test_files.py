from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sentinel_core.datasets import files
from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.errors import ColumnError, DataError, DataTooLargeError, EmptyDataError
from tests.datasets.frames import csv, read


def test_csv_and_parquet_of_the_same_rows_read_the_same(tmp_path: Path) -> None:
    one = read(csv(tmp_path / "a.csv")).frame
    one.to_parquet(tmp_path / "b.bin", index=False)
    other = read(tmp_path / "b.bin").frame
    pd.testing.assert_frame_equal(one, other)
    assert {name: str(dtype) for name, dtype in one.dtypes.items()} == {
        "transaction_id": "string",
        "user_id": "string",
        "amount": "float64",
        "merchant_id": "string",
        "timestamp": "datetime64[us, UTC]",
        "is_fraud": "boolean",
    }
    assert one.index.tolist() == [1, 2, 3, 4]


def test_columns_that_a_file_lacks_are_absent_and_foreign_ones_are_left(tmp_path: Path) -> None:
    frame = read(csv(tmp_path / "a.csv", weather=["rain"] * 4)).frame
    assert "weather" not in frame
    assert "merchant_category" not in frame


def test_constants_supply_what_the_column_map_says(tmp_path: Path) -> None:
    frame = read(csv(tmp_path / "a.csv"), ColumnMap(constants={"currency": "EUR", "latitude": 48})).frame
    assert frame["currency"].tolist() == ["EUR"] * 4
    assert frame["latitude"].tolist() == [48.0] * 4


def test_namibia_is_a_country_and_not_a_null(tmp_path: Path) -> None:
    assert read(csv(tmp_path / "a.csv", location_country=["NA", "", "DE", "null"])).frame["location_country"].fillna(
        "?"
    ).tolist() == ["NA", "?", "DE", "?"]


def test_rows_are_numbered_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 4096)
    rows = 2_000
    table = pd.DataFrame(
        {
            "user_id": "u",
            "merchant_id": "m",
            "timestamp": "2026-01-01T00:00:00Z",
            "amount": ["1.00"] * 1_800 + ["one"] * 200,
        },
        index=range(rows),
    )
    table.to_csv(tmp_path / "long.csv", index=False)
    with pytest.raises(ColumnError, match=r"'amount' of long\.csv, got 'one' in row 1,801"):
        read(tmp_path / "long.csv")


def test_a_file_above_the_limit_is_refused_with_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "five.csv"
    with path.open("wb") as file:
        file.truncate(5_000_000_000)  # sparse: it takes no space
    with pytest.raises(
        DataTooLargeError, match=r"at most 4 GB in five\.csv, found 5\.0 GB\. Split .*SENTINEL_MAX_FILE_GB"
    ):
        read(path, max_gb=4.0)


def test_the_limit_holds_for_what_a_parquet_file_unpacks_to(tmp_path: Path) -> None:
    read(csv(tmp_path / "a.csv")).frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataTooLargeError, match=r"in a\.parquet"):
        read(tmp_path / "a.parquet", max_gb=1e-9)


@pytest.mark.parametrize("content", ["", "user_id,amount,merchant_id,timestamp\n"])
def test_an_empty_file_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(content)
    with pytest.raises(EmptyDataError, match=r"rows of transactions in empty\.csv, found an empty file"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"user_id,amount\nu1,1\nu2,2,3\n", r"expected CSV or Parquet in broken\.csv: .*[Rr]ow #3"),
        (b"PAR1 and nothing else", r"expected CSV or Parquet in broken\.csv"),
        (b"user_id,amount\n\xff\xfe,1\n", r"expected (CSV or Parquet|the column)"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(
            path, ColumnMap({"user_id": "user_id", "amount": "amount", "merchant_id": "user_id", "timestamp": "amount"})
        )


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a file at .*none\.csv, found none"):
        read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="found a folder"):
        read(tmp_path)


def test_progress_counts_rows(tmp_path: Path) -> None:
    seen: list[int] = []
    files.read_file(csv(tmp_path / "a.csv"), ColumnMap(), max_gb=1, progress=seen.append)
    assert seen[-1] == 4
