"""Features in parts: what one process does with one Arrow table, whoever cut the data into tables and carries them.

    block of the file ──scan_block──► rows ──┬─ all rows of some users ─────build_part──► part ─┐
                                             ├─ … devices, addresses ───────build_part──► part ─┼─join_block──► vectors
                                             └─ … merchants, with risk ─────build_part──► part ─┘

A row is known by its number in the file, which is also its arrival. Both engines, the partitioned scan and Spark, call
these functions and nothing else, so that they cannot differ from each other; the kernel below is that of every build.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sentinel_core.datasets.cleaning import (
    CleaningReport,
    Removed,
    nothing_placed,
    placed,
    remarks,
    removed_together,
)
from sentinel_core.datasets.coerce import Coercion
from sentinel_core.datasets.events import categories, label_arrays, to_events
from sentinel_core.datasets.files import Source
from sentinel_core.datasets.frames import INDEX, to_frame
from sentinel_core.features.build import PARTS, RISK, build_part, join_parts
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.features.entities import ENTITY_KINDS, MERCHANT, EntityKind
from sentinel_core.features.events import Events, Labels
from sentinel_core.features.risk import DayRates, RiskHistory, served_midnight
from sentinel_core.features.risk_rates import LabelCounts
from sentinel_core.flows.identities import Corrections, provisional
from sentinel_core.schema import CATEGORY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

_HASHES: Final = ("user", "merchant", "device", "address", "country")
ROWS: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("id_hash", pa.int64()),
        *((name, pa.int64()) for name in _HASHES),
        *((name, pa.int64()) for name in ("time", "cents", "known_at")),
        ("is_fraud", pa.int8()),
        ("is_bank_transfer", pa.bool_()),
        ("transaction_id", pa.string()),
        *((name, pa.string()) for name in CATEGORY_COLUMNS),
    ]
)
"""Rows as they are scanned; hashes of 64 bits are held as int64, since not every engine has unsigned integers."""
PART: Final = pa.schema([("row", pa.int64()), ("late", pa.bool_()), ("vector", pa.binary())])
"""A part of vectors: the columns of `build.PARTS` for a row, side by side as float32; `late` is told by the user's."""
VECTORS: Final = pa.schema(
    [
        ("transaction_id", pa.string()),
        *((name, pa.float32()) for name in FEATURE_NAMES),
        *((name, pa.string()) for name in CATEGORY_COLUMNS),
    ]
)
"""The file that `sentinel features` writes."""
LABELLED: Final = ("row", "time", "cents", "country", "is_fraud", "known_at")
"""The columns of `ROWS` that labels are counted by."""
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    kind.name: tuple(dict.fromkeys(("row", "time", kind.name, *kind.seen, *(LABELLED if kind is MERCHANT else ()))))
    for kind in ENTITY_KINDS
}
"""The columns of `ROWS` that the part of an entity kind is built from."""
OWN: Final = ("row", "time", "cents", "is_bank_transfer", "transaction_id", *CATEGORY_COLUMNS)
"""The columns of `ROWS` that a row's vector takes from the row itself."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan tells of a block of a file besides its rows; `midnights` are those whose risk tables serve them."""

    first_row: int
    rows: int
    placed: int
    derived: int
    removed: Mapping[str, Removed]
    conversions: Mapping[tuple[str, str], int]
    midnights: Sequence[int]


@dataclass(frozen=True, slots=True)
class Summary:
    """What scanning a whole file told: the blocks' ends by row number, and what they hold together."""

    blocks: Sequence[Scanned] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that could be placed."""
        return sum(block.placed for block in self.blocks)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """The number of the first row of each block, and the one after the last."""
        last = self.blocks[-1]
        return np.array([*(block.first_row for block in self.blocks), last.first_row + last.rows])

    @property
    def midnights(self) -> list[int]:
        """The midnights whose tables serve the rows."""
        return sorted({midnight for block in self.blocks for midnight in block.midnights})

    def cleaning(self, corrections: Corrections, late: int) -> CleaningReport:
        """The report of `cleaning.clean` on the whole file."""
        rows_in = sum(block.rows for block in self.blocks)
        counts = Coercion("")
        for block in self.blocks:
            counts.counts.update(block.conversions)
        notes = (*counts.notes(), *remarks(sum(block.derived for block in self.blocks), late))
        removed = removed_together(block.removed for block in self.blocks) | corrections.removed_as()
        return CleaningReport(rows_in, self.rows - len(corrections.removed), removed, notes)

    def require_rows(self) -> None:
        """Raise `EmptyDataError` where no row of the file can be placed."""
        if not self.rows:
            raise nothing_placed(sum(block.rows for block in self.blocks))


def frame_of(source: Source, first_row: int, batch: Any, coercion: Coercion) -> pd.DataFrame:
    """Return a block as a canonical frame, indexed by its rows' numbers in the file."""
    table = pa.Table.from_batches([source.typed(batch, first_row, coercion)])
    # A constant is converted for each block; what that says is said once.
    frame = to_frame(source.with_constants(table, coercion if first_row == 1 else Coercion(coercion.where)))
    frame.index += first_row - 1
    return frame.rename_axis(INDEX)


def frame_of_rows(source: Source, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Read the canonical frame of some rows of a file, ascending."""
    import pandas as pd

    frames = []
    for first_row, batch in source.blocks():
        here = rows[(rows >= first_row) & (rows < first_row + batch.num_rows)]
        if len(here):
            frames.append(frame_of(source, first_row, batch, Coercion(source.path.name)).loc[here])
    together: pd.DataFrame = pd.concat(frames)
    return together


def scan_block(source: Source, delay_us: int, first_row: int, batch: Any) -> tuple[Any, Scanned]:
    """Convert and clean a block as far as its rows tell: a table of `ROWS`, and what there is to say of it.

    Rows without an id have a provisional one, which `identities.corrections` sets right where it is not unique.
    Raises `ColumnError` and `DataError` for what cannot be converted.
    """
    import pandas as pd

    coercion = Coercion(source.path.name)
    frame = frame_of(source, first_row, batch, coercion)
    rows = len(frame)
    frame, removed = placed(frame)
    ids, derived = provisional(frame)
    events = to_events(frame, ids=False)
    is_fraud, known_at = label_arrays(frame, pd.Timedelta(microseconds=delay_us).to_pytimedelta())
    columns = {
        "row": frame.index.to_numpy(),
        "id_hash": pd.util.hash_array(ids, categorize=False).view(np.int64),
        **{name: getattr(events, name).view(np.int64) for name in _HASHES},
        "time": events.time,
        "cents": events.cents,
        "known_at": known_at,
        "is_fraud": is_fraud,
        "is_bank_transfer": events.is_bank_transfer,
        "transaction_id": ids,
        **categories(frame),
    }
    arrays = [pa.array(columns[column.name], column.type) for column in ROWS]
    scanned = Scanned(
        first_row=first_row,
        rows=rows,
        placed=len(frame),
        derived=derived,
        removed=removed,
        conversions=coercion.counts,
        midnights=np.unique(served_midnight(events.time)).tolist(),
    )
    return pa.Table.from_arrays(arrays, schema=ROWS), scanned


def count_labels(table: Any, delay_us: int) -> LabelCounts:
    """Count the labels of some rows, a table with the columns `LABELLED`, for the risk tables."""
    columns = {name: _values(table, name) for name in LABELLED}
    return LabelCounts.of(_events(columns), columns["is_fraud"], columns["known_at"], delay_us)


def build_parts(
    table: Any, kind: EntityKind, delay_us: int, rates: Mapping[int, DayRates], bounds: NDArray[np.int64]
) -> Iterator[Any]:
    """Build what the histories of a kind tell of rows that are all of each of their entities; risk with the merchant's.

    `table` has the columns of `NEEDED`, in any order of rows. Yields a record batch of `PART` for each block between
    `bounds`, in order.
    """
    columns = {name: _values(table, name) for name in NEEDED[kind.name]}
    order = columns["row"].argsort(kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    rows, events = columns["row"], _events(columns)
    values, late = build_part(events, kind)
    if kind.name == MERCHANT.name:
        labels = Labels.of_rows(columns["is_fraud"], columns["known_at"])
        tables = RiskHistory(events, labels, delay_us, rates)
        risk = tables.lookup(events, served_midnight(events.time))
        values = np.concatenate((np.stack(list(risk.values()), axis=1), values), axis=1)
    ends = rows.searchsorted(bounds)
    for start, end in pairwise(ends.tolist()):
        part = slice(start, end)
        arrays = [pa.array(rows[part]), pa.array(late[part]), _packed(values[part])]
        yield pa.RecordBatch.from_arrays(arrays, schema=PART)


def join_block(table: Any, parts: Mapping[str, Iterable[Any]], corrections: Corrections) -> tuple[Any, int]:
    """Join rows (`OWN`, in order) and the parts that hold them, by the name of their kind: `VECTORS`, and late rows."""
    table = table.filter(pa.array(corrections.keep(_values(table, "row"))))
    rows = _values(table, "row")
    placed_parts: list[tuple[str, NDArray[np.int64], NDArray[np.float32]]] = []
    late = 0
    for name, pieces in parts.items():
        for piece in pieces:
            places = rows.searchsorted(_values(piece, "row"))
            late += int(np.count_nonzero(_values(piece, "late"))) if name == ENTITY_KINDS[0].name else 0
            placed_parts += [(part, places, values) for part, values in _unpacked(name, piece)]
    values = join_parts(_events({name: _values(table, name) for name in OWN[:4]}), placed_parts)
    ids = corrections.ids(rows, table.column("transaction_id"))
    return vectors_table(ids, values, {name: table.column(name) for name in CATEGORY_COLUMNS}), late


def vectors_table(ids: Any, values: NDArray[np.float32], raw: Mapping[str, Any]) -> Any:
    """Return a table of `VECTORS` from ids, values of shape (n, features) and the raw categories."""
    texts = [
        column if isinstance(column, pa.ChunkedArray) else pa.array(column, pa.string()) for column in raw.values()
    ]
    first = ids if isinstance(ids, pa.ChunkedArray) else pa.array(ids, pa.string())
    columns = [pa.array(column) for column in np.ascontiguousarray(values.T)]
    return pa.Table.from_arrays([first, *columns, *texts], schema=VECTORS)


def _values(table: Any, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table.column(name).to_numpy(zero_copy_only=False)
    return values


def _events(columns: Mapping[str, NDArray[Any]]) -> Events:
    """Return events of some columns; what is not there is null."""
    rows = columns["row"]
    nothing = np.zeros(len(rows), dtype=np.int64)
    flags = columns.get("is_bank_transfer", nothing).astype(np.bool_)
    hashes = {name: columns.get(name, nothing).view(np.uint64) for name in ("id_hash", *_HASHES)}
    return Events(**hashes, time=columns["time"], cents=columns["cents"], arrival=rows, is_bank_transfer=flags)


def _packed(values: NDArray[np.float32]) -> Any:
    """Return rows of float32 as an Arrow array of bytes."""
    rows, width = values.shape
    ends = pa.py_buffer(np.arange(rows + 1, dtype=np.int32) * np.int32(4 * width))
    return pa.Array.from_buffers(pa.binary(), rows, [None, ends, pa.py_buffer(np.ascontiguousarray(values))])


def _unpacked(name: str, piece: Any) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the parts that a piece of a kind holds, by their names in `build.PARTS`."""
    names = (RISK, name) if name == MERCHANT.name else (name,)
    widths = [PARTS[part].stop - PARTS[part].start for part in names]
    column = piece.column("vector")
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    _, ends, data = array.buffers()
    begin = int(np.frombuffer(ends, np.int32)[array.offset]) if len(array) else 0
    values = np.frombuffer(data or b"", np.float32, len(array) * sum(widths), begin).reshape(-1, sum(widths))
    at = 0
    for part, width in zip(names, widths, strict=True):
        yield part, values[:, at : at + width]
        at += width


def with_cap(kind: EntityKind, user_cap: int) -> EntityKind:
    """Return a kind under the settings' cap of user histories."""
    return replace(kind, cap=user_cap) if kind.name == ENTITY_KINDS[0].name else kind
