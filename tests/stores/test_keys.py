from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.features.entities import ENTITY_KINDS
from sentinel_core.settings import load_settings
from sentinel_core.stores.keys import Keys, slot

ids = st.text(min_size=1, max_size=128)


def test_a_slot_is_the_crc32_of_the_users_id() -> None:
    assert slot("user-1", 16) == zlib.crc32(b"user-1") % 16
    assert slot("user-1", 1) == 0


@given(user=ids, transaction=ids)
def test_the_keys_of_one_script_share_a_hash_tag(user: str, transaction: str) -> None:
    keys = Keys.of(load_settings(None, redis_namespace="ns"))
    tag = f"ns:{{{slot(user, 16)}}}:"
    for key in (*keys.for_record(user, transaction), *keys.for_commit(user, transaction), keys.history(user)):
        assert key.startswith(tag)
    history, quarantine, counts, answer, stream, _ = keys.for_record(user, transaction)
    assert (history, quarantine, answer) == (keys.history(user), keys.quarantine(user), keys.answer(user, transaction))
    assert stream in keys.streams()
    assert counts in [keys.counts(number) for number in range(16)]


@given(entity=ids)
def test_kinds_of_entities_do_not_share_a_history(entity: str) -> None:
    keys = Keys("ns", 16)
    histories = {keys.for_history(entity, kind.name)[0] for kind in ENTITY_KINDS}
    assert histories == {keys.history(entity, kind.name) for kind in ENTITY_KINDS}
    assert len(histories) == len(ENTITY_KINDS)


@given(one=st.tuples(ids, ids), other=st.tuples(ids, ids))
def test_no_two_things_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = Keys("ns", 16)
    first, second = keys.for_record(*one), keys.for_record(*other)
    assert len(set(first)) == 6
    if one[0] != other[0]:
        assert first[0] != second[0]
    if one[1] != other[1]:
        assert first[3] != second[3]
        assert first[5] != second[5]
