"""The proposals against the oracle, and their form for one row against that for a whole table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from sentinel_core.features.blocks import Histories, events_block
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.features.entities import USER, EntityKind
from sentinel_core.features.proposals import PROPOSALS, above_before, build_proposals, proposed_features
from tests.features.oracle import DAY, HOUR, PROPOSED, World
from tests.features.worlds import busy_world, worlds

NAMES = [one.name for one in PROPOSALS]


def judge(world: World, rows: range) -> None:
    """Hold every proposal to the oracle, and the answer for each row alone to the bits of the table's."""
    events, kind = world.events(), with_time(world.kind)
    built = build_proposals(events, world.kind)
    for i in rows:
        row, past = world.rows[i], world.past(i)
        for name, value in zip(NAMES, built[i], strict=True):
            assert value == pytest.approx(float(PROPOSED[name](row, past)), rel=3e-7), (i, name)
        late = world.late
        before = [j for j in range(i) if world.rows[j].user == row.user and not late[j]]
        seen = Histories.gather(events, [np.array(before, dtype=np.int64)], kind)
        alone = proposed_features(events_block(events.take(slice(i, i + 1)), seen, kind))
        assert np.float32([column[0] for column in alone.values()]).tobytes() == built[i].tobytes(), i


def with_time(kind: EntityKind) -> EntityKind:
    return EntityKind(kind.name, kind.column, kind.longest_window_us, kind.lateness_us, kind.cap, (*USER.seen, "time"))


@given(worlds(max_size=20))
@settings(max_examples=100, deadline=None)
def test_proposals_agree_with_the_oracle_in_both_forms(world: World) -> None:
    judge(world, range(len(world.rows)))


@pytest.mark.parametrize("jitter", [0, 2 * HOUR, 3 * DAY])
def test_proposals_of_busy_users_agree_with_the_oracle(jitter: int) -> None:
    judge(busy_world(1000, seed=3, users=3, jitter=jitter), range(940, 1000))


def test_the_catalogue_does_not_hold_what_is_proposed() -> None:
    assert not set(NAMES) & set(FEATURE_NAMES)
    assert set(NAMES) == set(PROPOSED)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 255, 256, 257])
def test_amounts_above_a_limit_are_counted_in_their_window(size: int) -> None:
    random = np.random.default_rng(size)
    values, limit = random.integers(0, 20, size), random.integers(-2, 22, size)
    first = np.maximum(np.arange(size) - random.integers(0, 40, (2, size)), 0)
    expected = [[(values[a:i] > limit[i]).sum() for i, a in enumerate(window)] for window in first.tolist()]
    np.testing.assert_array_equal(above_before(values, limit, first), np.reshape(expected, (2, size)))
