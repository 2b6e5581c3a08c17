"""Exactness: the same bits whatever lies in the block, and no digit lost at the bounds."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_core.features.build import build_offline, build_online
from sentinel_core.features.catalog import POSITION
from sentinel_core.features.entities import USER
from sentinel_core.features.events import Events
from sentinel_core.features.risk import RiskTable
from tests.features.oracle import Row, to_events
from tests.features.worlds import MAX_CENTS, START

OWN = POSITION["device_txn_count_10m"]
"""Up to here a vector tells of its user alone: the merchant is everybody's."""
LARGEST_CAP = replace(USER, cap=1_000_000)
amounts = st.integers(0, MAX_CENTS)


def spread_of(cents: list[int]) -> tuple[float, float]:
    """Return what a row behind these amounts sees as their mean and deviation."""
    rows = [Row("a", START, amount) for amount in cents]
    last = to_events([Row("a", START + 1)])
    values = build_online(last, [to_events(rows).records()], RiskTable.empty()).values[0]
    return float(values[POSITION["user_avg_amount_7d"]]), float(values[POSITION["user_std_amount_7d"]])


def exact(cents: list[int]) -> tuple[float, float]:
    mean = Fraction(sum(cents), len(cents))
    variance = sum((x - mean) ** 2 for x in cents) / len(cents)
    return float(np.float32(float(mean / 100))), float(np.float32(math.sqrt(variance) / 100))


@given(st.lists(amounts, min_size=1, max_size=50))
@settings(max_examples=150, deadline=None)
def test_mean_and_deviation_are_exact(cents: list[int]) -> None:
    assert spread_of(cents) == pytest.approx(exact(cents), rel=1.2e-7)


@given(amounts, st.lists(st.integers(-2, 2), min_size=2, max_size=50))
@settings(max_examples=150, deadline=None)
def test_nothing_cancels_where_amounts_hardly_differ(amount: int, offsets: list[int]) -> None:
    cents = [min(max(amount + offset, 0), MAX_CENTS) for offset in offsets]
    assert spread_of(cents) == pytest.approx(exact(cents), rel=1.2e-7)


@pytest.mark.parametrize("cents", [(MAX_CENTS, MAX_CENTS - 1), (MAX_CENTS, 0), (MAX_CENTS, MAX_CENTS), (0, 0)])
def test_a_full_history_at_the_bound_does_not_overflow(cents: tuple[int, int]) -> None:
    n = LARGEST_CAP.cap
    history = np.resize(np.array(cents, dtype=np.int64), n)
    events = Events(
        id_hash=np.zeros(n, np.uint64),
        user=np.ones(n, np.uint64),
        merchant=np.zeros(n, np.uint64),
        device=np.zeros(n, np.uint64),
        address=np.zeros(n, np.uint64),
        country=np.zeros(n, np.uint64),
        time=START + np.arange(n, dtype=np.int64),
        cents=history,
        arrival=np.arange(n, dtype=np.int64),
        is_bank_transfer=np.zeros(n, np.bool_),
    )
    row = to_events([Row("a", START + n)])
    values = build_online(row, [events.records()], RiskTable.empty(), kind=LARGEST_CAP).values[0]
    assert values[POSITION["user_prior_count"]] == n
    assert values[POSITION["user_avg_amount_7d"]] == np.float32(sum(cents) / 200)
    assert values[POSITION["user_std_amount_7d"]] == np.float32((cents[0] - cents[1]) / 200)


def test_what_else_lies_in_the_block_changes_no_bit() -> None:
    """Users with enormous sums before and behind: the differences of prefix sums stay the same."""
    own = [Row("m", START + i, cents=(7 * i) % 1000 + 1) for i in range(50)]
    alone = build_offline(to_events(own), None).values
    others = [Row(f"{letter}{i}", START + i, MAX_CENTS) for letter in "az" for i in range(2000)]
    together = build_offline(to_events([*others[:2000], *own, *others[2000:]]), None).values
    assert together[2000:2050, :OWN].tobytes() == alone[:, :OWN].tobytes()
