"""One block of a file's column becomes a column of the schema, or an error that names the row.

Types are settled here; bounds (negative amounts, overlong ids, …) are the validation suite's to judge.
Rows are numbered from 1, the header of a CSV not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sentinel_core.errors import ColumnError
from sentinel_core.schema import COLUMN, Column, ColumnType, canonical_address, to_cents

ARROW_TYPE: Final[dict[ColumnType, Any]] = {
    ColumnType.ID: pa.string(),
    ColumnType.TEXT: pa.string(),
    ColumnType.MONEY: pa.float64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    ColumnType.BOOLEAN: pa.bool_(),
}
_ZONE: Final = r"(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
_WORDS: Final = {"true": True, "t": True, "yes": True, "1": True, "1.0": True}
_WORDS_FALSE: Final = {"false": False, "f": False, "no": False, "0": False, "0.0": False}


@dataclass(slots=True)
class Coercion:
    """What was converted on the way: (column, what happened) → rows; it becomes the notes of the cleaning report."""

    where: str
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, column: Column, what: str, rows: int) -> None:
        """Count `rows` of `column` to which `what` happened."""
        if rows:
            self.counts[column.name, what] += rows

    def notes(self) -> tuple[str, ...]:
        """One sentence for each kind of conversion."""
        return tuple(f"{column}: {what} ({rows:,} rows)." for (column, what), rows in self.counts.items())


def coerce(name: str, values: Any, first_row: int, coercion: Coercion, known: Mapping[str, Column] = COLUMN) -> Any:
    """Convert the Arrow array `values` to the type that the schema `known` gives the column `name`.

    Empty text is null. Raises `ColumnError` that names the file, the column, the first bad row
    (`first_row` is the number of the block's first one), its value and the remedy.
    """
    column = known[name]
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if pa.types.is_null(values.type):
        return values.cast(ARROW_TYPE[column.type])
    converted = _CONVERT[column.type](column, values, first_row, coercion)
    return _one_spelling(converted) if name == "ip_address" else converted


def exact_cents(amounts: Any) -> Any:
    """Convert finite amounts (float64) to int64 cents exactly as `schema.to_cents` does, in bulk.

    Products that fall within 1e-6 of a tie go through the decimal arithmetic one by one.
    """
    amounts = np.asarray(amounts, dtype=np.float64)
    scaled = amounts * 100.0
    cents = np.rint(scaled)
    ties = np.flatnonzero(np.abs(np.abs(scaled - cents) - 0.5) < 1e-6)
    for index in ties:
        cents[index] = to_cents(float(amounts[index]))
    return cents.astype(np.int64)


def _text(column: Column, values: Any, first_row: int, coercion: Coercion) -> Any:
    kind = values.type
    if pa.types.is_floating(kind):
        # What a data frame makes of whole numbers as soon as one is missing.
        values = pc.if_else(pc.is_nan(values), None, values)
        whole = pc.fill_null(pc.and_(pc.equal(values, pc.floor(values)), pc.is_finite(values)), True)
        if not pc.all(whole).as_py():
            _refuse(column, values, whole, first_row, coercion, "text or a whole number")
        coercion.note(column, "whole numbers stored as floats became text", len(values) - values.null_count)
        values = values.cast(pa.int64())
    elif not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise _wrong_type(column, kind, coercion, "text")
    text = values.cast(pa.string())
    clean = pc.fill_null(pc.invert(pc.match_substring(text, "\x00")), True)
    if not pc.all(clean).as_py():
        # Here and not in the suite: pandas drops a trailing NUL on the way to a regular expression.
        _refuse(column, text, clean, first_row, coercion, "text without the character NUL")
    return pc.if_else(pc.equal(text, ""), None, text)


def _one_spelling(addresses: Any) -> Any:
    """Write IPv6 addresses as a request's is written: one address is one entity. What is no address stays as it is."""
    several = pc.fill_null(pc.match_substring(addresses, ":"), False)
    if not pc.any(several).as_py():
        return addresses
    distinct = addresses.dictionary_encode()
    words = pa.array([canonical_address(text) for text in distinct.dictionary.to_pylist()], pa.string())
    return words.take(distinct.indices)


def _number(column: Column, values: Any, first_row: int, coercion: Coercion) -> Any:
    kind = values.type
    if pa.types.is_string(kind):
        try:
            numbers = values.cast(pa.float64())
        except pa.ArrowInvalid:
            parsed = pd.to_numeric(values.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
            numbers = pa.array(parsed, from_pandas=True)
            good = pc.or_(pc.is_valid(numbers), pc.is_null(values))
            if not pc.all(good).as_py():
                _refuse(column, values, good, first_row, coercion, "a number such as 12.34")
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64(), safe=False)
    else:
        raise _wrong_type(column, kind, coercion, "a number")
    return pc.if_else(pc.is_nan(numbers), None, numbers)


def _money(column: Column, values: Any, first_row: int, coercion: Coercion) -> Any:
    amounts = _number(column, values, first_row, coercion).to_numpy(zero_copy_only=False)
    bounded = np.isfinite(amounts) & (np.abs(amounts) < 1e13)
    rounded = amounts.copy()
    rounded[bounded] = exact_cents(amounts[bounded]) / 100.0
    # Sums of floats such as 57.160000000000004 are not worth a word.
    changed = int(np.count_nonzero(np.abs(rounded[bounded] - amounts[bounded]) > 1e-6))
    coercion.note(column, "more than two decimals, rounded half to even", changed)
    return pa.array(rounded, from_pandas=True)


def _timestamp(column: Column, values: Any, first_row: int, coercion: Coercion) -> Any:
    kind = values.type
    if pa.types.is_string(kind):
        moments, naive = _parsed_times(column, values, first_row, coercion)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        naive = len(values) - values.null_count if getattr(kind, "tz", None) is None else 0
        moments = values.cast(pa.timestamp("us"), safe=False) if naive else values
        moments = moments.cast(ARROW_TYPE[ColumnType.TIMESTAMP], safe=False)
    else:
        remedy = "Write ISO 8601 such as 2026-01-31T12:00:00Z; plain integers do not say their unit."
        raise _wrong_type(column, kind, coercion, "a time", remedy)
    coercion.note(column, "times without a zone were taken as UTC", naive)
    return moments


def _parsed_times(column: Column, values: Any, first_row: int, coercion: Coercion) -> tuple[Any, int]:
    series = values.to_pandas()
    parsed = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
    moments = pa.array(parsed).cast(ARROW_TYPE[ColumnType.TIMESTAMP], safe=False)
    good = pc.or_(pc.is_valid(moments), pc.is_null(values))
    if not pc.all(good).as_py():
        _refuse(column, values, good, first_row, coercion, "a time in ISO 8601 such as 2026-01-31T12:00:00Z")
    zoned = pc.sum(pc.match_substring_regex(values, _ZONE)).as_py() or 0
    # A bare date such as 2026-01-31 ends like an offset (-31) but has none.
    bare = pc.sum(pc.match_substring_regex(values, r"^\d{4}-\d{2}-\d{2}$")).as_py() or 0
    return moments, len(values) - values.null_count - (zoned - bare)


def _boolean(column: Column, values: Any, first_row: int, coercion: Coercion) -> Any:
    kind = values.type
    if pa.types.is_boolean(kind):
        return values
    if pa.types.is_string(kind):
        words = _WORDS | _WORDS_FALSE
        truth = pa.array([None if v is None else words.get(v.strip().lower()) for v in values.to_pylist()], pa.bool_())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if pa.types.is_floating(kind):
            values = pc.if_else(pc.is_nan(values), None, values)
        truth = pc.if_else(pc.equal(values, 1), True, pc.if_else(pc.equal(values, 0), False, None))
    else:
        raise _wrong_type(column, kind, coercion, "true or false")
    good = pc.or_(pc.is_valid(truth), pc.is_null(values))
    if not pc.all(good).as_py():
        _refuse(column, values, good, first_row, coercion, "true or false, 1 or 0")
    return truth


def _refuse(column: Column, values: Any, good: Any, first_row: int, coercion: Coercion, expected: str) -> None:
    bad = np.flatnonzero(~np.asarray(good.to_numpy(zero_copy_only=False), dtype=bool))
    value = values[int(bad[0])].as_py()
    raise ColumnError(
        f"expected {expected} in the column {column.name!r} of {coercion.where}, got {value!r} in row "
        f"{first_row + int(bad[0]):,}{f' (and {len(bad) - 1:,} more rows near it)' if len(bad) > 1 else ''}.",
        remedy="Correct the file, or map another column.",
    )


def _wrong_type(column: Column, kind: Any, coercion: Coercion, expected: str, remedy: str = "") -> ColumnError:
    return ColumnError(
        f"expected {expected} in the column {column.name!r} of {coercion.where}, got the type {kind} from row 1 on.",
        remedy=remedy or "Convert the column, or map another one.",
    )


_CONVERT: Final[dict[ColumnType, Callable[[Column, Any, int, Coercion], Any]]] = {
    ColumnType.ID: _text,
    ColumnType.TEXT: _text,
    ColumnType.MONEY: _money,
    ColumnType.FLOAT: _number,
    ColumnType.TIMESTAMP: _timestamp,
    ColumnType.BOOLEAN: _boolean,
}
