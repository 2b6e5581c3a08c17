"""Logged vectors of a snapshot: what the service saw when it scored a row, kept beside the rows (docs/decisions/0024).

One Parquet file: `row`, `risk_as_of`, and a float32 column for each definition that vectors were logged under, called
name:hash. What was logged depends on no catalogue of today, and so neither does the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LOGGED: Final = "logged.parquet"
ROW: Final = "row"
RISK_AS_OF: Final = "risk_as_of"


@dataclass(frozen=True, slots=True)
class LoggedVectors:
    """Vectors as they were logged, of n rows of a snapshot.

    `rows` int64 [n], places in the snapshot, ascending; `risk_as_of` int64 µs [n], the midnight of the risk table that
    each holds, 0 for none; `values` float32 [n, len(definitions)], NaN where a row was not logged under one of
    `definitions` (name:hash, sorted).
    """

    rows: NDArray[np.int64]
    risk_as_of: NDArray[np.int64]
    definitions: Sequence[str]
    values: NDArray[np.float32]

    def content_hash(self) -> str:
        """BLAKE2b-16 over rows, midnights, and the definitions with their values; equal in every process."""
        digest = hashlib.blake2b(digest_size=16)
        for integers in (self.rows, self.risk_as_of):
            digest.update(integers.astype("<i8").tobytes())
        for definition, column in zip(self.definitions, self.values.T, strict=True):
            digest.update(f"{definition}:{len(column)};".encode())
            digest.update(column.astype("<f4").tobytes())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Write them as a Parquet file, column after column."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {ROW: self.rows, RISK_AS_OF: self.risk_as_of}
        for definition, column in zip(self.definitions, self.values.T, strict=True):
            columns[definition] = pa.array(column, mask=np.isnan(column))
        pq.write_table(pa.table(columns), path, compression="zstd")


class LoggedFile:
    """The logged vectors of a snapshot on disk, read a column at a time; `rows` and `risk_as_of` as above."""

    def __init__(self, path: Path) -> None:
        """Open the file of a snapshot."""
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path)
        self._names = frozenset(self._file.schema_arrow.names)
        self.rows: NDArray[np.int64] = self._read(ROW)
        self.risk_as_of: NDArray[np.int64] = self._read(RISK_AS_OF)

    def column(self, name: str, definition_hash: str) -> NDArray[np.float32] | None:
        """Return a feature as it was logged, NaN where it was not; None where no row has it by this definition."""
        definition = f"{name}:{definition_hash}"
        return self._read(definition) if definition in self._names else None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self._file.read(columns=[name]).column(0).to_numpy()
        return values
