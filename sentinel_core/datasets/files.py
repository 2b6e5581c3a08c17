"""Reading a user's file, CSV or Parquet, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    where = path.name
    coercion = Coercion(where)
    try:
        size = path.stat().st_size
        _bound(size, max_gb, where)
        if size == 0:
            raise _empty(where)
        names, blocks = _open_parquet(path, max_gb) if _is_parquet(path) else _open_csv(path)
        matched = column_map.resolve(names, where)
        table = _typed(blocks(list(dict.fromkeys(matched.values()))), matched, max_gb, coercion, progress)
    except FileNotFoundError:
        raise DataError(f"expected a file at {path}, found none.", remedy="Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"expected a file at {path}, found a folder.", remedy="Name one CSV or Parquet file.") from None
    except pa.ArrowInvalid as error:
        raise DataError(
            f"expected CSV or Parquet in {where}: {str(error).strip().splitlines()[0]}.",
            remedy="Check that the file is complete, UTF-8, and has the same number of fields in each row.",
        ) from None
    if not table.num_rows:
        raise _empty(where)
    return Reading(to_frame(_with_constants(table, column_map, coercion)), coercion.notes())


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _open_parquet(path: Path, max_gb: float) -> tuple[list[str], Callable[[list[str]], Iterator[Any]]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    meta = file.metadata
    _bound(sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)), max_gb, path.name)
    names: list[str] = file.schema_arrow.names
    return names, lambda wanted: file.iter_batches(BATCH_ROWS, columns=wanted)


def _open_csv(path: Path) -> tuple[list[str], Callable[[list[str]], Iterator[Any]]]:
    import pyarrow as pa
    from pyarrow import csv

    read = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    with csv.open_csv(path, read_options=read) as head:
        names: list[str] = head.schema.names

    def blocks(wanted: list[str]) -> Iterator[Any]:
        # All as text: the conversion is ours, so that an error can name the row.
        convert = csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=True,
            null_values=list(NULLS),
        )
        with csv.open_csv(path, read_options=read, convert_options=convert) as reader:
            yield from reader

    return names, blocks


def _typed(
    batches: Iterator[Any], matched: dict[str, str], max_gb: float, coercion: Any, progress: Progress | None
) -> Any:
    import pyarrow as pa

    from sentinel_core.datasets.coerce import ARROW_TYPE, coerce
    from sentinel_core.schema import COLUMN

    schema = pa.schema([(name, ARROW_TYPE[COLUMN[name].type]) for name in matched])
    typed, rows, unpacked = [], 0, 0
    for batch in batches:
        unpacked += batch.nbytes
        _bound(unpacked, max_gb, coercion.where)
        columns = [coerce(ours, batch.column(theirs), rows + 1, coercion) for ours, theirs in matched.items()]
        typed.append(pa.RecordBatch.from_arrays(columns, schema=schema))
        rows += batch.num_rows
        if progress is not None:
            progress(rows)
    return pa.Table.from_batches(typed, schema=schema)


def _with_constants(table: Any, column_map: ColumnMap, coercion: Any) -> Any:
    import pyarrow as pa

    from sentinel_core.datasets.coerce import coerce

    for name, value in column_map.constants.items():
        block = coerce(name, pa.array([value]), 1, coercion)
        table = table.append_column(name, pa.chunked_array([pa.repeat(block[0], table.num_rows)]))
    return table


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
