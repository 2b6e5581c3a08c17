from __future__ import annotations

import numpy as np

from sentinel_core.features.entities import USER
from sentinel_core.features.events import NEVER, Labels, hash_texts
from sentinel_core.schema import hash_text
from tests.features.worlds import busy_world


def test_texts_are_hashed_as_the_schema_says() -> None:
    texts = ["a", None, "用户", "a", "", "🦊"]
    hashes = hash_texts(iter(texts))
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [hash_text(text) for text in texts]
    assert hashes[1] == 0
    assert (hashes[[0, 2, 4, 5]] != 0).all()
    assert hash_texts([]).shape == (0,)


def test_records_hold_what_the_events_hold() -> None:
    events = busy_world(9, seed=2, labelled=False).events()
    records = events.records(np.arange(9, dtype=np.uint64))
    for name in ("time", "cents", "arrival", "id_hash", "device", "country", "merchant"):
        np.testing.assert_array_equal(records[name], getattr(events, name))
    np.testing.assert_array_equal(records["payload_hash"], np.arange(9))
    assert set(records["version"].tolist()) == {1}
    assert set(records["kind"].tolist()) == {0}
    assert set(events.records()["payload_hash"].tolist()) == {0}


def test_rows_are_taken_by_number_mask_and_slice() -> None:
    events = busy_world(9, seed=2, users=3, labelled=False).events()
    np.testing.assert_array_equal(events.take(np.array([3, 1])).time, events.time[[3, 1]])
    np.testing.assert_array_equal(events.take(events.cents > 5).user, events.user[events.cents > 5])
    assert len(events.take(slice(2, 5))) == 3
    np.testing.assert_array_equal(events.entity(USER), events.user)


def test_a_label_ends_where_the_next_of_its_row_begins() -> None:
    labels = Labels.of(np.array([4, 2, 4, 4]), np.array([True, True, False, True]), np.array([30, 5, 10, 50]))
    assert labels.row.tolist() == [2, 4, 4, 4]
    assert labels.is_fraud.tolist() == [True, False, True, True]
    assert labels.known_at.tolist() == [5, 10, 30, 50]
    assert labels.superseded_at.tolist() == [NEVER, 30, 50, NEVER]


def test_rows_without_a_label_give_no_entry() -> None:
    labels = Labels.of_rows(np.array([-1, 1, 0, -1], dtype=np.int8), np.array([1, 2, 3, 4]))
    assert labels.row.tolist() == [1, 2]
    assert labels.is_fraud.tolist() == [True, False]
    assert labels.known_at.tolist() == [2, 3]
    assert len(Labels.of_rows(np.full(3, -1, dtype=np.int8), np.zeros(3, dtype=np.int64)).row) == 0
