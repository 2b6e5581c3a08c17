from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.errors import DataError
from sentinel_core.features.entities import ENTITY_KINDS, RECORD, USER, pack, unpack
from tests.features.worlds import busy_world

RECORDS = busy_world(20, seed=1, labelled=False).events().records(np.arange(20, dtype=np.uint64))


def test_a_record_is_72_bytes_in_a_fixed_order() -> None:
    assert RECORD.itemsize == 72
    offsets = {name: RECORD.fields[name][1] for name in RECORD.names or ()} if RECORD.fields else {}
    assert offsets == {
        "time": 0,
        "cents": 8,
        "arrival": 16,
        "id_hash": 24,
        "payload_hash": 32,
        "device": 40,
        "country": 48,
        "merchant": 56,
        "kind": 64,
        "version": 65,
        "reserved": 66,
    }


def test_packed_records_come_back() -> None:
    blob = pack(RECORDS)
    assert len(blob) == 20 * 72
    np.testing.assert_array_equal(unpack(blob), RECORDS)
    np.testing.assert_array_equal(unpack(pack(RECORDS[::2])), RECORDS[::2])
    assert len(unpack(b"")) == 0


def test_bytes_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match=r"multiple of 72 bytes, got 1439\. .*rebuild the history"):
        unpack(pack(RECORDS)[:-1])


def test_records_of_another_version_are_refused() -> None:
    foreign = RECORDS.copy()
    foreign["version"][7] = 9
    with pytest.raises(DataError, match=r"records of version 1, got version 9\. .*set it aside"):
        unpack(pack(foreign))


def test_the_user_is_the_first_entity() -> None:
    assert USER in ENTITY_KINDS
    assert (USER.cap, USER.longest_window_us, USER.lateness_us) == (4096, 30 * 86_400_000_000, 86_400_000_000)
