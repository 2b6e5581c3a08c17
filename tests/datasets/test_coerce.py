from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.datasets.coerce import Coercion, coerce, exact_cents
from sentinel_core.errors import ColumnError
from sentinel_core.schema import to_cents


def convert(name: str, values: Any) -> tuple[list[Any], tuple[str, ...]]:
    coercion = Coercion("f.csv")
    return coerce(name, values, 1, coercion).to_pylist(), coercion.notes()


@given(st.lists(st.decimals(0, 9_999_999, places=4), min_size=1))
def test_cents_in_bulk_are_the_cents_of_the_schema(amounts: list[Decimal]) -> None:
    floats = [float(amount) for amount in amounts]
    assert exact_cents(np.array(floats)).tolist() == [to_cents(amount) for amount in floats]


def test_ties_go_to_even_as_decimals_say_not_as_floats_do() -> None:
    assert exact_cents([1.005, 2.675, 1.015, 0.125, -1.005]).tolist() == [100, 268, 102, 12, -100]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([7, None, 596], pa.int16()), ["7", None, "596"]),
        (pa.array(["a", "", None]), ["a", None, None]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a"], pa.large_string()), ["a"]),
        (pa.array([3.0, float("nan")]), ["3", None]),
        (pa.array([Decimal("12")]), ["12"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_ids_become_text(values: Any, expected: list[str | None]) -> None:
    assert convert("user_id", values)[0] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["12.34", None, " 5 "]), [12.34, None, 5.0]),
        (pa.array([1, -2]), [1.0, -2.0]),
        (pa.array([Decimal("1.25")]), [1.25]),
        (pa.array([float("nan"), 1.0]), [None, 1.0]),
        (pa.array([57.160000000000004]), [57.16]),
    ],
)
def test_amounts_become_floats_of_whole_cents(values: Any, expected: list[float | None]) -> None:
    assert convert("amount", values) == (expected, ())


def test_rounded_amounts_are_reported() -> None:
    assert convert("amount", pa.array([1.005, 2.0])) == (
        [1.0, 2.0],
        ("amount: more than two decimals, rounded half to even (1 rows).",),
    )


def test_times_without_a_zone_are_utc_and_said_so() -> None:
    moment = datetime(2026, 1, 31, 10, tzinfo=UTC)
    texts = pa.array(["2026-01-31T10:00:00", "2026-01-31 11:00:00+01:00", "2026-01-31T10:00:00Z", "2026-01-31", None])
    values, notes = convert("timestamp", texts)
    assert values == [moment, moment, moment, moment.replace(hour=0), None]
    assert notes == ("timestamp: times without a zone were taken as UTC (2 rows).",)


def test_parquet_times_keep_their_moment() -> None:
    moment = datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert convert("timestamp", pa.array([moment], pa.timestamp("ns", "Europe/Paris"))) == ([moment], ())
    naive, notes = convert("timestamp", pa.array([moment.replace(tzinfo=None)], pa.timestamp("ns")))
    assert naive == [moment]
    assert "taken as UTC (1 rows)" in notes[0]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 0, None]),
        pa.array([1.0, 0.0, float("nan")]),
        pa.array([True, False, None]),
        pa.array(["Yes", "no", None]),
        pa.array(["1", " 0", None]),
    ],
)
def test_labels_become_true_false_or_unknown(values: Any) -> None:
    assert convert("is_fraud", values)[0] == [True, False, None]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "amount",
            pa.array(["1", "12,50", "x"]),
            r"expected a number .* 'amount' of f\.csv, got '12,50' in row 2 \(and 1",
        ),
        ("amount", pa.array([True]), r"'amount' of f\.csv, got the type bool from row 1"),
        ("timestamp", pa.array(["2026-01-01", "31/01/2026"]), r"ISO 8601 .* 'timestamp'.* got '31/01/2026' in row 2"),
        ("timestamp", pa.array([1700000000]), r"'timestamp'.* the type int64 .* do not say their unit"),
        ("is_fraud", pa.array([0, 2]), r"true or false, 1 or 0 .* 'is_fraud'.* got 2 in row 2"),
        ("is_fraud", pa.array(["maybe"]), r"'is_fraud'.* got 'maybe' in row 1"),
        ("is_fraud", pa.array([datetime(2026, 1, 1)]), r"'is_fraud'.* got the type timestamp"),  # noqa: DTZ001
        ("user_id", pa.array([1.5]), r"text or a whole number .* 'user_id'.* got 1\.5 in row 1"),
        ("user_id", pa.array(["a", "b\x00"]), r"without the character NUL .* 'user_id'.* row 2"),
        ("user_id", pa.array([True]), r"'user_id'.* got the type bool"),
        ("latitude", pa.array(["north"]), r"'latitude'.* got 'north' in row 1"),
    ],
)
def test_a_wrong_value_names_column_row_and_remedy(name: str, values: Any, message: str) -> None:
    with pytest.raises(ColumnError, match=message) as raised:
        convert(name, values)
    assert raised.value.remedy


def test_an_address_has_one_spelling() -> None:
    """The service sees requests in this spelling: another one in a file would be another entity."""
    given = ["192.0.2.1", "2001:DB8:0:0::1", None, "2001:db8::1", "no: address"]
    expected = ["192.0.2.1", "2001:db8::1", None, "2001:db8::1", "no: address"]
    assert convert("ip_address", pa.array(given))[0] == expected
