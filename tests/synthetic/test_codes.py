"""Ids: unique, valid, and telling nothing."""

from __future__ import annotations

import ipaddress

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.synthetic.codes import Codes, device_texts


@given(n_users=st.integers(10, 100_000), n_sequences=st.integers(0, 1_000_000), data=st.data())
def test_addresses_are_valid_private_and_unlike(n_users: int, n_sequences: int, data: st.DataObject) -> None:
    codes = Codes(n_users, n_sequences)
    some = data.draw(st.sets(st.integers(0, codes.n_addresses - 1), min_size=1, max_size=50))
    texts = codes.address_texts(np.array(sorted(some)))
    assert len(set(texts)) == len(some)
    assert not any(ipaddress.ip_address(text).is_global for text in texts)


@given(st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=200))
def test_device_ids_are_unlike(some: set[int]) -> None:
    assert len(set(device_texts(np.array(sorted(some))))) == len(some)


def test_ids_do_not_tell_who_is_an_attacker(frame: pd.DataFrame) -> None:
    """Neither the numbers of devices nor those of home addresses put attackers before or after customers."""
    devices = frame["device_id"].astype(str).str.removeprefix("device_").map(lambda digits: int(digits, 16))
    addresses = frame["ip_address"].astype(str)
    homes = addresses[addresses.str.startswith("10.")].map(lambda address: int(ipaddress.ip_address(address)))
    for number in (devices, homes):
        first_seen = number.drop_duplicates()
        fraud = frame["is_fraud_true"][first_seen.index]
        assert abs(first_seen.rank(pct=True)[fraud].mean() - 0.5) < 0.06
