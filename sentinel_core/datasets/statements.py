"""Reading a file of labels and outcomes, row by row: a row that cannot be meant keeps no other from being read.

Of a file without `is_fraud` and without `outcome` every row is a chargeback. One that has either says by each row what
it knows: an empty cell says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.files import Source, readable
from sentinel_core.errors import ColumnError, DataError
from sentinel_core.schema import STATEMENT_COLUMN, Label, OutcomeReport

ROWS: Final = 5_000
BAD_MOST: Final = 1_000
"""Bad rows after which a file is taken to be another one than was meant."""
_LABEL: Final = ("transaction_id", "is_fraud", "labelled_at", "source")
_OUTCOME: Final = ("transaction_id", "outcome", "propensity", "decided_at", "source")


@dataclass(frozen=True, slots=True)
class Stated:
    """A row and what it says: a label, an outcome or both. `values` are its cells by our names, converted."""

    number: int
    values: Mapping[str, Any]
    label: Label | None
    outcome: OutcomeReport | None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not understood: its cells as they came, by our names, and what is wrong with it."""

    number: int
    values: Mapping[str, Any]
    problem: ColumnError


def read_statements(path: Path, column_map: ColumnMap) -> Iterator[tuple[list[Stated], list[BadRow]]]:
    """Yield the rows of a CSV or Parquet file, at most `ROWS` at a time: those understood, and those not.

    `column_map` has the columns `STATEMENT_COLUMN`. Rows are numbered from 1, the header of a CSV not counted. Raises
    `ColumnError` where a column is missing or of a wrong type, `DataError` for a broken file or one with more than
    `BAD_MOST` bad rows; what was yielded before stays good.
    """
    from sentinel_core.datasets.coerce import Coercion

    bad = 0
    with readable(path):
        reader = _Reader(path.name, Source.of(path, column_map), Coercion(path.name))
        for first_row, block in reader.source.blocks():
            for start in range(0, block.num_rows, ROWS):
                stated, refused = reader.read(block.slice(start, ROWS), first_row + start)
                yield stated, refused
                bad += len(refused)
                if bad > BAD_MOST:
                    raise DataError(
                        f"expected at most {BAD_MOST:,} rows that cannot be read in {path.name}, and the first {bad:,} "
                        f"lie before row {first_row + start + ROWS:,}; the last: {refused[-1].problem.message}",
                        remedy="Is the column map that of this file? What was read before is recorded.",
                    )


@dataclass(frozen=True, slots=True)
class _Reader:
    where: str
    source: Source
    coercion: Any

    def read(self, block: Any, first_row: int) -> tuple[list[Stated], list[BadRow]]:
        import pyarrow as pa

        # A row of nulls is no bad one: what is wrong with it is wrong with a column.
        nulls = [pa.nulls(1, column.type) for column in block.columns]
        self._typed(pa.RecordBatch.from_arrays(nulls, schema=block.schema), first_row)
        stated: list[Stated] = []
        bad: list[BadRow] = []
        self._halve(block, first_row, stated, bad)
        return stated, bad

    def _halve(self, block: Any, first_row: int, stated: list[Stated], bad: list[BadRow]) -> None:
        """Convert a block at once; where a row of it is bad, each half alone, until that row stands alone."""
        try:
            columns = self._typed(block, first_row)
        except ColumnError as error:
            if block.num_rows == 1:
                bad.append(BadRow(first_row, self._as_it_came(block, 0), error))
                return
            middle = block.num_rows // 2
            self._halve(block.slice(0, middle), first_row, stated, bad)
            self._halve(block.slice(middle), first_row + middle, stated, bad)
            return
        for place, cells in enumerate(zip(*columns.values(), strict=True)):
            number = first_row + place
            values = dict(zip(columns, cells, strict=True))
            try:
                stated.append(Stated(number, values, *self._meant(values, number)))
            except ColumnError as error:
                bad.append(BadRow(number, self._as_it_came(block, place), error))

    def _typed(self, block: Any, first_row: int) -> dict[str, list[Any]]:
        from sentinel_core.datasets.coerce import coerce

        columns = {
            ours: coerce(ours, block.column(theirs), first_row, self.coercion, STATEMENT_COLUMN).to_pylist()
            for ours, theirs in self.source.matched.items()
        }
        return columns | {name: [value] * block.num_rows for name, value in self.source.constants.items()}

    def _as_it_came(self, block: Any, place: int) -> dict[str, Any]:
        cells = {ours: block.column(theirs)[place].as_py() for ours, theirs in self.source.matched.items()}
        return {**cells, **self.source.constants}

    def _meant(self, values: dict[str, Any], number: int) -> tuple[Label | None, OutcomeReport | None]:
        if not {"is_fraud", "outcome"} & set(values):
            values["is_fraud"] = True
        label = outcome = None
        try:
            if values.get("is_fraud") is not None:
                label = Label(**_given(values, _LABEL))
            if values.get("outcome") is not None or values.get("propensity") is not None:
                outcome = OutcomeReport(**_given(values, _OUTCOME))
        except ValidationError as error:
            raise self._refused(values, number, error) from None
        if label is None and outcome is None:
            raise ColumnError(
                f"expected a value in the column 'is_fraud' or 'outcome' of {self.where}, got none in row {number:,}.",
                remedy="Correct the file, or map another column.",
            )
        return label, outcome

    def _refused(self, values: Mapping[str, Any], number: int, error: ValidationError) -> ColumnError:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(first["loc"][0])
        message = first["msg"].removeprefix("Value error, ")
        return ColumnError(
            f"expected a value of {name} that can be meant in the column {name!r} of {self.where}, got "
            f"{values.get(name)!r} in row {number:,}: {message}.",
            remedy="Correct the file, or map another column.",
        )


def _given(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if values.get(name) is not None}
