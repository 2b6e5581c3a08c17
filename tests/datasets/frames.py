"""Small files for the tests of data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.files import Reading, read_file

PLAIN: Mapping[str, Sequence[Any]] = {
    "transaction_id": ["t1", "t2", "t3", "t4"],
    "user_id": ["u1", "u2", "u1", "u3"],
    "amount": ["12.34", "0.50", "100", "7"],
    "merchant_id": ["m1", "m1", "m2", "m3"],
    "timestamp": ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z", "2026-01-02T00:00:00Z"],
    "is_fraud": ["0", "1", "false", "true"],
}


def csv(path: Path, **columns: Sequence[Any] | None) -> Path:
    """Write PLAIN as CSV with some columns replaced, or left out by None."""
    merged = {name: values for name, values in {**PLAIN, **columns}.items() if values is not None}
    pd.DataFrame(merged).to_csv(path, index=False)
    return path


def read(path: Path, column_map: ColumnMap | None = None, max_gb: float = 1.0) -> Reading:
    """Read a file, by default in our own spelling."""
    return read_file(path, column_map or ColumnMap(), max_gb=max_gb)


def frame(tmp_path: Path, **columns: Sequence[Any] | None) -> pd.DataFrame:
    """The canonical frame of PLAIN with some columns replaced."""
    return read(csv(tmp_path / "plain.csv", **columns)).frame
