"""Generate: transactions of the generator as a file, to try the platform with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sentinel_core.errors import DataError
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.whole_file import whole_file

SUFFIXES = (".csv", ".parquet")


def write_generated(
    out: Path,
    *,
    rows: int,
    fraud_rate: float,
    seed: int,
    end: datetime,
    drift: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> int:
    """Write generated transactions up to `end` to a CSV or Parquet file, told by its suffix; return their number.

    The file appears whole or not at all. Raises `DataError` for another suffix or arguments out of bounds.
    """
    from sentinel_core.datasets.frames import canonical
    from sentinel_core.synthetic import generate

    if out.suffix not in SUFFIXES:
        raise DataError(f"expected a file that ends in .csv or .parquet, got {out.name!r}.", remedy="Name it so.")
    if not out.parent.is_dir():
        raise DataError(f"expected a folder at {out.parent}, found none.", remedy="Make it first.")
    progress(f"{rows:,} transactions up to {end:%Y-%m-%d %H:%M} UTC")
    frame = canonical(generate(rows, fraud_rate, seed, end=end, drift=drift))
    with whole_file(out) as made:
        if out.suffix == ".csv":
            frame.to_csv(made, index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        else:
            frame.to_parquet(made, index=False, compression="zstd")
    return len(frame)
