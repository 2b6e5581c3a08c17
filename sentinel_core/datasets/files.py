"""Reading a user's file, CSV or Parquet, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.frames import to_frame
from sentinel_core.errors import DataError, DataTooLargeError, EmptyDataError

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int], None]
"""Called with the number of rows read so far."""
BLOCK_BYTES: Final = 1 << 24
BATCH_ROWS: Final = 1 << 18
GIGABYTE: Final = 1_000_000_000
# Not "NA": that is Namibia.
NULLS: Final = ("", "NULL", "null", "NaN", "nan", "N/A", "None", "\\N")


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as read: the typed frame and what had to be converted or supplied on the way.

    The frame's index `source_row` numbers the file's rows from 1, the header of a CSV not counted.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


def read_file(path: Path, column_map: ColumnMap, *, max_gb: float, progress: Progress | None = None) -> Reading:
    """Read a CSV or Parquet file (told apart by content) into the columns of the schema, rows in file order.

    Only mapped columns are read and only a block at a time is held as text. `max_gb` bounds the bytes of the file
    and, where it is compressed, what it unpacks to (10^9 bytes each). Raises `DataTooLargeError` with that limit,
    `EmptyDataError` without rows, `ColumnError` for missing or wrongly typed columns, `DataError` for a broken file.
    """
    import pyarrow as pa

    from sentinel_core.datasets.coerce import Coercion

    coercion = Coercion(path.name)
    with readable(path):
        _bound(path.stat().st_size, max_gb, path.name)
        source = Source.of(path, column_map)
        if source.unpacked is not None:
            _bound(source.unpacked, max_gb, path.name)
        typed, unpacked = [], 0
        for first_row, batch in source.blocks():
            unpacked += batch.nbytes
            _bound(unpacked, max_gb, path.name)
            typed.append(source.typed(batch, first_row, coercion))
            if progress is not None:
                progress(first_row - 1 + batch.num_rows)
        table = pa.Table.from_batches(typed, schema=source.schema)
    return Reading(to_frame(source.with_constants(table, coercion)), coercion.notes())


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what opening and reading a file raises into `DataError`s that name it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise DataError(f"expected a file at {path}, found none.", remedy="Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"expected a file at {path}, found a folder.", remedy="Name one CSV or Parquet file.") from None
    except pa.ArrowInvalid as error:
        raise DataError(
            f"expected CSV or Parquet in {path.name}: {str(error).strip().splitlines()[0]}.",
            remedy="Check that the file is complete, UTF-8, and has the same number of fields in each row.",
        ) from None


@dataclass(frozen=True, slots=True)
class Source:
    """An opened file: which of its columns are ours (our name → theirs), and constants for what it lacks.

    `groups` is the number of parts that can be read each by itself (a Parquet file's row groups; 1 for CSV),
    `unpacked` the bytes that a Parquet file unpacks to.
    """

    path: Path
    matched: Mapping[str, str]
    constants: Mapping[str, Any]
    groups: int
    unpacked: int | None

    @classmethod
    def of(cls, path: Path, column_map: ColumnMap) -> Source:
        """Open a file and match its columns; raises as `read_file` does, but for its size."""
        if path.stat().st_size == 0:
            raise _empty(path.name)
        if _is_parquet(path):
            import pyarrow.parquet as pq

            file = pq.ParquetFile(path)
            meta = file.metadata
            unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
            matched = column_map.resolve(file.schema_arrow.names, path.name)
            if not meta.num_rows:
                raise _empty(path.name)
            return cls(path, matched, column_map.constants, meta.num_row_groups, unpacked)
        return cls(path, column_map.resolve(_csv_names(path), path.name), column_map.constants, 1, None)

    @property
    def schema(self) -> Any:
        """The Arrow schema of typed blocks."""
        import pyarrow as pa

        from sentinel_core.datasets.coerce import ARROW_TYPE
        from sentinel_core.schema import COLUMN

        return pa.schema([(name, ARROW_TYPE[COLUMN[name].type]) for name in self.matched])

    def blocks(self, group: int | None = None) -> Iterator[tuple[int, Any]]:
        """Yield record batches of their columns, unconverted, each with the number of its first row.

        All rows in file order, or those of one group. Raises `EmptyDataError` where the file has no rows.
        """
        wanted = list(dict.fromkeys(self.matched.values()))
        row = 1
        batches = _csv_batches(self.path, wanted)
        if self.unpacked is not None:
            import pyarrow.parquet as pq

            # Streamed: a row group may be as large as the file.
            file = pq.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20)
            if group is not None:
                row += sum(file.metadata.row_group(i).num_rows for i in range(group))
            batches = file.iter_batches(BATCH_ROWS, None if group is None else [group], wanted)
        for batch in batches:
            if batch.num_rows:
                yield row, batch
                row += batch.num_rows
        if group is None and row == 1:
            raise _empty(self.path.name)

    def typed(self, batch: Any, first_row: int, coercion: Any) -> Any:
        """Convert a block to the columns of the schema; raises `ColumnError` that names the first bad row."""
        import pyarrow as pa

        from sentinel_core.datasets.coerce import coerce

        columns = [coerce(ours, batch.column(theirs), first_row, coercion) for ours, theirs in self.matched.items()]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def with_constants(self, table: Any, coercion: Any) -> Any:
        """Add the constants to a typed table as columns."""
        import pyarrow as pa

        from sentinel_core.datasets.coerce import coerce

        for name, value in self.constants.items():
            block = coerce(name, pa.array([value]), 1, coercion)
            table = table.append_column(name, pa.chunked_array([pa.repeat(block[0], table.num_rows)]))
        return table


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _csv_names(path: Path) -> list[str]:
    from pyarrow import csv

    with csv.open_csv(path, read_options=_csv_reading()) as head:
        names: list[str] = head.schema.names
        return names


def _csv_batches(path: Path, wanted: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    # All as text: the conversion is ours, so that an error can name the row.
    convert = csv.ConvertOptions(
        include_columns=wanted,
        column_types=dict.fromkeys(wanted, pa.string()),
        strings_can_be_null=True,
        null_values=list(NULLS),
    )
    with csv.open_csv(path, read_options=_csv_reading(), convert_options=convert) as reader:
        yield from reader


def _csv_reading() -> Any:
    from pyarrow import csv

    return csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)


def _bound(size: int, max_gb: float, where: str) -> None:
    if size > max_gb * GIGABYTE:
        raise DataTooLargeError(
            f"expected at most {max_gb:g} GB in {where}, found {size / GIGABYTE:.1f} GB.",
            remedy="Split the file by time, or raise SENTINEL_MAX_FILE_GB on a machine with four times the memory.",
        )


def _empty(where: str) -> EmptyDataError:
    return EmptyDataError(
        f"expected rows of transactions in {where}, found an empty file.", remedy="Check the export that wrote it."
    )
