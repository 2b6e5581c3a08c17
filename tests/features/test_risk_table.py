from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from sentinel_core.errors import BundleError
from sentinel_core.features.risk import RiskHistory
from sentinel_core.features.risk_table import COUNTRY_NAMES, MERCHANT_NAMES, RISK_NAMES, RiskTable
from tests.features.oracle import DAY
from tests.features.worlds import START, busy_world


def table() -> RiskTable:
    world = busy_world(300, seed=1)
    return RiskHistory(world.events(), world.label_arrays(), world.delay).at(START + 30 * DAY)


TABLE = table()
BLOB = TABLE.to_bytes()


def test_a_table_comes_back_from_its_bytes() -> None:
    again = RiskTable.from_bytes(BLOB)
    assert again.as_of == TABLE.as_of == START + 30 * DAY
    for name in ("merchants", "merchant_values", "countries", "country_values"):
        got, expected = getattr(again, name), getattr(TABLE, name)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    empty = RiskTable.from_bytes(RiskTable.empty().to_bytes())
    assert empty.as_of == 0


def test_equal_tables_have_equal_bytes() -> None:
    assert table().to_bytes() == BLOB


def test_the_bytes_hold_no_pickle() -> None:
    with np.load(io.BytesIO(BLOB), allow_pickle=False) as archive:
        assert {archive[name].dtype.kind for name in archive.files} == {"i", "u", "f"}


def test_a_lookup_has_a_float32_a_row_for_every_name() -> None:
    wanted = np.array([TABLE.merchants[1], 0, 2**64 - 1], dtype=np.uint64)
    columns = TABLE.lookup(wanted, np.zeros(3, dtype=np.uint64))
    assert tuple(columns) == RISK_NAMES
    assert {(column.dtype.name, column.shape) for column in columns.values()} == {("float32", (3,))}
    got = np.array([columns[name] for name in MERCHANT_NAMES])
    np.testing.assert_array_equal(got[:, 0], TABLE.merchant_values[1])
    np.testing.assert_array_equal(got[:, 1], TABLE.merchant_values[-1])
    np.testing.assert_array_equal(got[:, 2], TABLE.merchant_values[-1])
    np.testing.assert_array_equal(columns[COUNTRY_NAMES[0]], np.repeat(TABLE.country_values[-1], 3))


@pytest.mark.parametrize("blob", [b"", b"nonsense", b"PK\x03\x04 nonsense", BLOB[:-30], BLOB[: len(BLOB) // 2]])
def test_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(BundleError, match=rf"risk table in \.npz form, found {len(blob)} bytes.*next daily refresh"):
        RiskTable.from_bytes(blob)


@pytest.mark.parametrize("mask", [1, 128, 255])
def test_a_flipped_byte_is_refused_or_harmless(mask: int) -> None:
    harmless = 0
    for at in range(len(BLOB)):
        broken = bytearray(BLOB)
        broken[at] ^= mask
        try:
            read = RiskTable.from_bytes(bytes(broken))
        except BundleError:
            continue
        # Some bytes of a zip archive carry nothing that is read, such as a file's date.
        harmless += 1
        assert read.as_of == TABLE.as_of
        for name in ("merchants", "merchant_values", "countries", "country_values"):
            np.testing.assert_array_equal(getattr(read, name), getattr(TABLE, name))
    assert harmless < len(BLOB) / 2


def test_an_array_instead_of_an_archive_is_refused() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    with pytest.raises(BundleError, match="something else"):
        RiskTable.from_bytes(buffer.getvalue())


def test_a_table_of_another_release_is_refused() -> None:
    narrow = replace(TABLE, merchant_values=TABLE.merchant_values[:, :-1])
    with pytest.raises(BundleError, match=r"merchant matrix of shape \(6, 8\).*found \(6, 7\).*another release"):
        RiskTable.from_bytes(narrow.to_bytes())
    integers = replace(TABLE, country_values=TABLE.country_values.astype(np.float64))
    with pytest.raises(BundleError, match="something else: Cannot cast"):
        RiskTable.from_bytes(integers.to_bytes())


def test_a_table_that_would_answer_wrongly_is_refused() -> None:
    unsorted = replace(TABLE, merchants=TABLE.merchants[::-1])
    infinite = replace(TABLE, country_values=TABLE.country_values * np.float32(np.inf))
    for broken, name in ((unsorted, "merchant"), (infinite, "country")):
        with pytest.raises(BundleError, match=f"ascending {name} keys and finite values"):
            RiskTable.from_bytes(broken.to_bytes())
