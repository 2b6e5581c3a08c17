"""Risk tables: only what was known at midnight, from one function, and never from the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_core.features.build import build_offline
from sentinel_core.features.events import Labels
from sentinel_core.features.risk import RiskHistory, RiskTable, served_midnight
from sentinel_core.features.risk_table import RISK_NAMES
from sentinel_core.schema import hash_text
from tests.features.oracle import DAY, HOUR, Label, Row, World, risk, to_events
from tests.features.worlds import START, busy_world, worlds

MIDNIGHT = START + 60 * DAY


def history(world: World) -> RiskHistory:
    return RiskHistory(world.events(), world.label_arrays(), world.delay)


def features_of(world: World, row: Row, as_of: int = MIDNIGHT) -> dict[str, float]:
    """The features that the table of a midnight gives to a row which need not be in the world."""
    merchant = np.array([hash_text(row.merchant)], dtype=np.uint64)
    country = np.array([hash_text(row.country)], dtype=np.uint64)
    return {name: float(column[0]) for name, column in history(world).at(as_of).lookup(merchant, country).items()}


def at_merchant(*entries: tuple[int, bool, int], merchant: str = "m") -> World:
    """A world of one merchant: (event time, is_fraud, known_at) each."""
    rows = [Row("a", time, merchant=merchant, country="DE") for time, _, _ in entries]
    labels = [Label(i, is_fraud, known_at) for i, (_, is_fraud, known_at) in enumerate(entries)]
    return World(rows, labels)


@given(worlds(max_size=16), st.sampled_from((0, 3 * DAY, 30 * DAY)))
@settings(max_examples=60, deadline=None)
def test_the_table_of_any_midnight_agrees_with_the_oracle(world: World, later: int) -> None:
    tables = history(world)
    for row in (*world.rows, Row("x", START, merchant="never seen", country="XX")):
        as_of = served_midnight(row.time) + later
        expected = risk(world, row, as_of)
        columns = tables.lookup(to_events([row]), np.array([as_of]))
        for name, column in columns.items():
            assert column[0] == pytest.approx(float(expected[name]), rel=3e-7), name


@pytest.mark.parametrize(("moment", "day"), [(0, -1), (HOUR - 1, -1), (HOUR, 0), (DAY - 1, 0), (DAY + HOUR - 1, 0)])
def test_a_table_serves_from_one_oclock(moment: int, day: int) -> None:
    assert served_midnight(START + moment) == START + day * DAY


def test_windows_begin_after_their_first_moment_and_end_with_their_last() -> None:
    upto = MIDNIGHT - 7 * DAY
    times = (upto - 30 * DAY, upto - 30 * DAY + 1, upto - 7 * DAY, upto - DAY, upto - DAY + 1, upto, upto + 1)
    got = features_of(at_merchant(*((time, True, time) for time in times)), Row("x", 0))
    assert (got["merchant_count_30d"], got["merchant_count_7d"], got["merchant_count_1d"]) == (5, 3, 2)
    assert got["merchant_recent_known_frauds"] == 1


def test_the_delay_is_an_argument() -> None:
    world = replace(at_merchant((MIDNIGHT - 3 * DAY, True, MIDNIGHT - 2 * DAY)), delay=2 * DAY)
    assert features_of(world, Row("x", 0))["merchant_count_1d"] == 0
    assert features_of(world, Row("x", 0))["merchant_count_7d"] == 1


def test_a_label_counts_from_the_moment_at_which_it_is_known() -> None:
    event = MIDNIGHT - 10 * DAY
    for known_at, count in ((MIDNIGHT, 1), (MIDNIGHT + 1, 0)):
        got = features_of(at_merchant((event, True, known_at)), Row("x", 0))
        assert got["merchant_count_30d"] == count
        assert got["merchant_days_since_known_fraud"] == (10 if count else 90)


def test_a_reversal_counts_from_its_own_moment_on() -> None:
    world = at_merchant((MIDNIGHT - 10 * DAY, True, MIDNIGHT - 5 * DAY))
    reversed_later = replace(world, labels=[*world.labels, Label(0, False, MIDNIGHT + DAY)])
    assert features_of(reversed_later, Row("x", 0)) == features_of(world, Row("x", 0))
    after = features_of(reversed_later, Row("x", 0), MIDNIGHT + DAY)
    assert after["merchant_count_30d"] == 1
    assert after["merchant_risk_score"] == 0
    assert after["merchant_days_since_known_fraud"] == 90


def test_a_label_planted_in_the_future_changes_no_earlier_row() -> None:
    world = busy_world(600, seed=6, users=20)
    planted_at = START + 25 * DAY
    planted = [Label(i, True, planted_at + DAY // 2) for i, row in enumerate(world.rows) if row.time < planted_at]
    changed = replace(world, labels=[*world.labels, *planted])
    before = build_offline(world.events(), history(world))
    after = build_offline(changed.events(), history(changed))
    earlier = before.risk_as_of < planted_at + DAY // 2
    assert 100 < earlier.sum() < 500
    assert after.values[earlier].tobytes() == before.values[earlier].tobytes()
    assert (after.values[~earlier] != before.values[~earlier]).any()


def test_who_has_no_past_gets_the_prior() -> None:
    times = [MIDNIGHT - 9 * DAY - i * HOUR for i in range(40)]
    world = at_merchant(*((time, i < 10, time) for i, time in enumerate(times)))
    for row in (Row("x", 0, merchant="new", country="XX"), Row("x", 0, merchant=None, country=None)):
        got = features_of(world, row)
        assert got["merchant_risk_score"] == got["country_risk_score"] == 0.25
        assert got["merchant_count_30d"] == got["merchant_recent_known_frauds"] == 0
        assert got["merchant_days_since_known_fraud"] == 90


def test_events_without_a_merchant_count_for_the_prior_only() -> None:
    time = MIDNIGHT - 8 * DAY
    rows = [Row("a", time, merchant=None), Row("a", time, merchant="m"), Row("a", time, merchant=None)]
    world = World(rows, [Label(i, i != 1, time) for i in range(3)])
    assert hash_text(None) not in history(world).at(MIDNIGHT).merchants
    got = features_of(world, Row("x", 0, merchant="m"))
    assert got["merchant_count_30d"] == 1
    assert got["merchant_risk_score"] == pytest.approx((0 + 20 * 2 / 3) / 21, rel=1e-6)


def test_without_any_label_every_risk_is_zero() -> None:
    world = busy_world(20, seed=1, labelled=False)
    assert features_of(world, world.rows[0]) == dict.fromkeys(RISK_NAMES, 0.0) | {
        "merchant_days_since_known_fraud": 90.0
    }
    nothing = RiskHistory(World([]).events(), Labels.of_rows(np.zeros(0, np.int8), np.zeros(0, np.int64)), 7 * DAY)
    assert len(nothing.at(MIDNIGHT).merchants) == 0


def test_offline_rows_are_lookups_in_the_published_tables() -> None:
    world = busy_world(500, seed=8, users=10, jitter=3 * DAY)
    events, tables = world.events(), history(world)
    as_of = served_midnight(events.time)
    got = tables.lookup(events, as_of)
    for day in np.unique(as_of).tolist():
        rows = np.flatnonzero(as_of == day)
        published = RiskTable.from_bytes(tables.at(day).to_bytes())
        for name, column in published.lookup(events.merchant[rows], events.country[rows]).items():
            assert got[name][rows].tobytes() == column.tobytes()
