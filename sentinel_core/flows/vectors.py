"""The file of vectors: who writes it, it has one schema and appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentinel_core.datasets.cleaning import CleaningReport
from sentinel_core.flows.whole_file import whole_file
from sentinel_core.schema import CATEGORY_COLUMNS


@dataclass(frozen=True, slots=True)
class Written:
    """A written file of vectors: its rows, what cleaning did, and into how many partitions each kind was cut."""

    rows: int
    cleaning: CleaningReport
    partitions: int


@contextmanager
def vector_file(out: Path, schema: Any) -> Iterator[Any]:
    """Yield a Parquet writer; the file is at `out` when the block ends without an error."""
    import pyarrow.parquet as pq

    # Dictionaries of floats cost a third of the time and save nothing.
    how = {"compression": "zstd", "use_dictionary": list(CATEGORY_COLUMNS)}
    with whole_file(out) as made, pq.ParquetWriter(made, schema, **how) as writer:
        yield writer
