from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from sentinel_core.features.arrivals import Arrivals
from sentinel_core.features.build import build_offline
from sentinel_core.features.entities import USER
from tests.features.oracle import DAY, HOUR, Row, World, to_events
from tests.features.worlds import START, busy_world, row_lists


@given(row_lists())
@settings(max_examples=100, deadline=None)
def test_late_rows_are_those_of_the_oracle(rows: list[Row]) -> None:
    world = World(rows)
    arrivals = Arrivals.of(world.events(), USER)
    assert sorted(arrivals.late.tolist()) == [i for i, late in enumerate(world.late) if late]
    assert sorted([*arrivals.order.tolist(), *arrivals.late.tolist()]) == list(range(len(rows)))


def test_rows_in_order_are_not_displaced() -> None:
    events = busy_world(300, seed=1, users=9, labelled=False).events()
    arrivals = Arrivals.of(events, USER)
    assert len(arrivals.displaced) == len(arrivals.late) == 0
    assert list(arrivals.histories(events, USER)) == []


def test_a_straggler_displaces_itself_and_those_that_came_while_it_was_missing() -> None:
    rows = [Row("a", START + hour * HOUR) for hour in (0, 1, 3, 4, 2, 5)]
    rows.insert(3, Row("b", START))
    arrivals = Arrivals.of(to_events(rows), USER)
    places = np.argsort(arrivals.rank)
    assert sorted(arrivals.order[places[arrivals.displaced]].tolist()) == [2, 4, 5]


def test_the_order_of_rows_does_not_matter_where_arrival_is_given() -> None:
    events = busy_world(400, seed=2, users=10, jitter=2 * DAY, labelled=False).events()
    shuffled = np.random.default_rng(0).permutation(400)
    values = build_offline(events, None).values
    assert build_offline(events.take(shuffled), None).values.tobytes() == values[shuffled].tobytes()
