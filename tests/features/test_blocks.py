from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.features import blocks
from sentinel_core.features.arrivals import Arrivals
from sentinel_core.features.blocks import Histories, columns_of, ordered_blocks, row_block
from sentinel_core.features.build import build_offline, build_online
from sentinel_core.features.entities import RECORD, USER
from sentinel_core.features.events import Events
from sentinel_core.features.risk import RiskTable
from sentinel_core.schema import TIMESTAMP_MAX, TIMESTAMP_MIN, to_micros
from tests.features.oracle import DAY, Row, to_events
from tests.features.worlds import START, busy_world

FIRST, LAST = to_micros(TIMESTAMP_MIN), to_micros(TIMESTAMP_MAX)


def slices(events: Events) -> list[slice]:
    arrivals = Arrivals.of(events, USER)
    ordered = events.take(arrivals.order)
    found = []
    for rows, block in ordered_blocks(events, arrivals.order, arrivals.starts, USER):
        found.append(rows)
        assert (np.diff(block.key) >= 0).all()
        # An entity is never cut in two.
        assert rows.start == 0 or ordered.user[rows.start] != ordered.user[rows.start - 1]
    return found


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_the_size_of_blocks_changes_no_bit(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    events = busy_world(500, seed=4, users=30, jitter=DAY, labelled=False).events()
    whole = build_offline(events, None).values.tobytes()
    monkeypatch.setattr(blocks, "MAX_EVENTS", size)
    assert build_offline(events, None).values.tobytes() == whole
    found = slices(events)
    assert [s.stop for s in found[:-1]] == [s.start for s in found[1:]]
    assert (found[0].start, found[-1].stop) == (0, 500)
    assert len(found) == {1: 30, 7: 30, 10_000: 1}.get(size, len(found))


def test_keys_stay_below_64_bits_over_a_century() -> None:
    """4,000 users over 128 years would need a key of 1.6 × 10¹⁹: the block is cut instead."""
    rows = [Row(f"u{i}", time, cents=i) for i in range(4000) for time in (FIRST, LAST - DAY, LAST)]
    events = to_events(rows)
    assert len(slices(events)) > 1
    values = build_offline(events, None).values
    few = build_offline(events.take(slice(0, 30)), None).values
    assert values[:30].tobytes() == few.tobytes()


def test_a_row_of_a_micro_batch_sees_no_other_rows_history() -> None:
    """Histories that reach to the very end of the horizon, beside late rows and empty ones."""
    reach = USER.longest_window_us + USER.lateness_us
    rows = [Row(f"u{i}", START + 50 * DAY) for i in range(4)]
    histories = [
        [Row("u0", START + 50 * DAY + USER.lateness_us)],
        [Row("u1", START + 50 * DAY - reach + 1), Row("u1", START + 50 * DAY - reach)],
        [],
        [Row("u3", START + 50 * DAY + USER.lateness_us + 1)],
    ]
    records = [to_events(history).records() for history in histories]
    batch = build_online(to_events(rows), records, RiskTable.empty())
    assert batch.late.tolist() == [False, False, False, True]
    for i, row in enumerate(rows):
        alone = build_online(to_events([row]), [records[i]], RiskTable.empty())
        assert batch.values[i].tobytes() == alone.values[0].tobytes()


def test_a_million_rows_fit_one_micro_batch() -> None:
    n = 1_000_000
    rows = to_events([Row("a", START)]).take(np.zeros(n, dtype=np.int64))
    block, late = row_block(rows.time, columns_of(rows, USER), Histories.none(n, USER), USER)
    assert (np.diff(block.row_key) > 0).all()
    assert not late.any()


def test_histories_of_one_batch_are_laid_end_to_end() -> None:
    world = busy_world(30, seed=9, labelled=False)
    records = world.events().records()
    parts = [records[:10], np.zeros(0, dtype=RECORD), records[10:]]
    histories = Histories.of_records(parts, USER)
    assert histories.lengths.tolist() == [10, 0, 20]
    np.testing.assert_array_equal(histories.time, records["time"])
    np.testing.assert_array_equal(histories.columns["country"], records["country"])
