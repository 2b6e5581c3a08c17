"""Tables of some merchants, with the rates of all: the tables of the whole, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_core.features.events import Labels
from sentinel_core.features.risk import RiskHistory, served_midnight
from sentinel_core.features.risk_rates import LabelCounts, daily_rates
from tests.features.oracle import DAY, World
from tests.features.worlds import busy_world, worlds


def _one_label_a_row(world: World) -> tuple[np.ndarray, np.ndarray]:
    is_fraud, known_at = np.full(len(world.rows), -1, np.int8), np.zeros(len(world.rows), np.int64)
    for label in world.labels:
        is_fraud[label.row], known_at[label.row] = label.is_fraud, label.known_at
    return is_fraud, known_at


def _check(world: World, partitions: int, blocks: int) -> None:
    events, (is_fraud, known_at) = world.events(), _one_label_a_row(world)
    as_of = served_midnight(events.time)
    whole = RiskHistory(events, Labels.of_rows(is_fraud, known_at), world.delay).lookup(events, as_of)
    counts = LabelCounts.merged(
        LabelCounts.of(events.take(rows), is_fraud[rows], known_at[rows], world.delay)
        for rows in np.array_split(np.arange(len(events)), blocks)
    )
    rates = daily_rates(counts, world.delay, np.unique(as_of).tolist())
    for number in range(partitions):
        rows = np.flatnonzero(events.merchant % np.uint64(partitions) == number)
        labels = Labels.of_rows(is_fraud[rows], known_at[rows])
        tables = RiskHistory(events.take(rows), labels, world.delay, rates)
        for name, column in tables.lookup(events.take(rows), as_of[rows]).items():
            np.testing.assert_array_equal(column, whole[name][rows], name)


@given(worlds(), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_partitions_of_merchants_see_the_tables_of_all(world: World, partitions: int, blocks: int) -> None:
    _check(world, partitions, blocks)


@pytest.mark.parametrize("delay", [7 * DAY, 36 * 3_600_000_000 + 1])
def test_many_labels_on_many_days(delay: int) -> None:
    world = busy_world(4_000, seed=5, users=50, days=60)
    _check(World(world.rows, world.labels, delay=delay), 2, 3)


def test_counts_do_not_grow_with_the_rows_of_a_day() -> None:
    few, many = (busy_world(n, seed=1, days=5, users=9) for n in (2_000, 20_000))
    sizes = [len(LabelCounts.of(w.events(), *_one_label_a_row(w), DAY).count) for w in (few, many)]
    assert sizes[1] < 1.2 * sizes[0]
