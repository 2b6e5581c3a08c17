"""The canonical frame: the one form in which rows travel between data sets, training and flows.

Schema column names, only those that the source has, rows in arrival order; ids and texts `string[pyarrow]`,
timestamp and labelled_at datetime64[us, UTC], amount float64 in whole cents, labels nullable boolean. The index
`source_row` numbers the rows of the source from 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sentinel_core.schema import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

INDEX: Final = "source_row"


def to_frame(table: Any) -> pd.DataFrame:
    """Convert an Arrow table of schema columns to the canonical frame."""
    import pandas as pd
    import pyarrow as pa

    text = pd.StringDtype("pyarrow")
    types = {pa.string(): text, pa.large_string(): text, pa.bool_(): pd.BooleanDtype()}
    # Parquet written by pandas remembers other string types; ours win.
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas(types_mapper=types.get)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name=INDEX)
    return frame


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring a frame with schema column names (the generator's, the database's) into the canonical form.

    Columns that the schema does not know are left out. Raises `ColumnError` for a column of the wrong type.
    """
    import pyarrow as pa

    from sentinel_core.datasets.coerce import ARROW_TYPE, Coercion, coerce

    coercion = Coercion("the frame")
    known = [column for column in COLUMNS if column.name in frame]
    arrays = []
    for column in known:
        values = pa.Array.from_pandas(frame[column.name])
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        arrays.append(coerce(column.name, values, 1, coercion))
    schema = pa.schema([(column.name, ARROW_TYPE[column.type]) for column in known])
    return to_frame(pa.Table.from_arrays(arrays, schema=schema))
