"""The share of alerts against its hour: quiet weeks ring no bell, a burst does, and little data says nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.monitoring.alert_share import BASELINE, Hour, share_ratio
from sentinel_core.monitoring.alerting import Reading, State, step
from tests.monitoring.test_rules import rule

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def past(days: int, *, predictions: int = 1000, flagged: int = 20) -> list[Hour]:
    """The same hour of so many days before NOW, the newest first."""
    return [Hour(NOW - n * DAY, predictions, flagged) for n in range(1, days + 1)]


def test_it_is_the_share_over_the_same_hours_share() -> None:
    found = share_ratio([Hour(NOW, 2000, 120)], past(28))
    assert (found.predictions, found.flagged, found.expected) == (2000, 120, pytest.approx(40))
    assert found.ratio == pytest.approx(3)


def test_other_hours_are_no_baseline() -> None:
    elsewhere = [Hour(hour.start + HOUR, 1000, 500) for hour in past(28)]
    assert share_ratio([Hour(NOW, 1000, 20)], [*past(28), *elsewhere]).ratio == pytest.approx(1)
    nothing = share_ratio([Hour(NOW, 1000, 20)], elsewhere)
    assert (nothing.ratio, nothing.why) == (None, "there is no baseline yet for Wednesday 12:00 UTC")


def test_the_weekday_counts_where_there_is_enough_of_it() -> None:
    def mixed(days: int) -> list[Hour]:
        return [Hour(hour.start, 1000, 100 if hour.start.weekday() == 2 else 20) for hour in past(days)]

    assert share_ratio([Hour(NOW, 1000, 100)], mixed(28)).expected == pytest.approx(100)
    # Two Wednesdays are not enough: all fourteen days then.
    assert share_ratio([Hour(NOW, 1000, 100)], mixed(14)).expected == pytest.approx((2 * 100 + 12 * 20) / 14)


def test_little_history_says_nothing() -> None:
    assert share_ratio([Hour(NOW, 500, 20)], past(4)).ratio is None
    assert share_ratio([Hour(NOW, 500, 20)], past(5)).ratio is not None
    thin = past(28, predictions=30, flagged=0)  # 840 predictions
    assert share_ratio([Hour(NOW, 500, 20)], thin).ratio is None
    # A baseline holds as much as what it judges.
    assert share_ratio([Hour(NOW, 6000, 20)], past(5)).ratio is None
    assert share_ratio([], past(28)).why == "there was no traffic"


def test_a_few_alerts_where_fewer_were_expected_are_no_news() -> None:
    rare = past(28, flagged=0)
    assert share_ratio([Hour(NOW, 1000, 10)], rare).ratio == pytest.approx(0.5)
    assert share_ratio([Hour(NOW, 1000, 64)], rare).ratio == pytest.approx(3.2)


@given(
    st.lists(
        st.tuples(st.integers(0, 27 * 24), st.integers(0, 5000), st.floats(0, 1)),
        max_size=200,
        unique_by=lambda t: t[0],
    ),
    st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 1)), min_size=1, max_size=2),
)
def test_it_agrees_with_a_slow_sum(hours: list[tuple[int, int, float]], window: list[tuple[int, float]]) -> None:
    earlier = [Hour(NOW - HOUR - n * HOUR, count, int(count * share)) for n, count, share in hours]
    now = [Hour(NOW + n * HOUR, count, int(count * share)) for n, (count, share) in enumerate(window)]
    found = share_ratio(now, earlier)
    expected: float | None = 0.0
    for one in now:
        best = None
        for same, fewest in (
            ([h for h in earlier if h.start.hour == one.start.hour and h.predictions], 5),
            (
                [
                    h
                    for h in earlier
                    if (h.start.hour, h.start.weekday()) == (one.start.hour, one.start.weekday()) and h.predictions
                ],
                3,
            ),
        ):
            total = sum(h.predictions for h in same)
            if len(same) >= fewest and total >= max(1000, one.predictions):
                best = sum(h.flagged for h in same) / total
        expected = None if best is None or expected is None else expected + one.predictions * best
    total = sum(h.predictions for h in now)
    if expected is None or not total:
        assert found.ratio is None
    else:
        assert found.ratio == pytest.approx(sum(h.flagged for h in now) / max(expected, 20))


def seasons(generator: np.random.Generator, days: int, a_day: int, share: float) -> list[Hour]:
    """Hours with a daily and a weekly season in traffic and share, alerts in bursts of one to five."""
    start = NOW.replace(hour=0) - days * DAY
    found = []
    for n in range(days * 24):
        at = start + n * HOUR
        busy = (1.2 + np.sin(2 * np.pi * (at.hour - 8) / 24)) * (0.8 if at.weekday() >= 5 else 1.1) / 24
        predictions = int(generator.poisson(a_day * busy))
        rate = share * (1.6 if at.hour < 6 else 0.9) * (1.2 if at.weekday() >= 5 else 1.0)
        bursts = generator.poisson(predictions * rate / 3)
        found.append(Hour(at, predictions, min(int(generator.integers(1, 6, bursts).sum()), predictions)))
    return found


def fired(hours: list[Hour]) -> list[Any]:
    """Check the default rule thrice after each hour, over the four weeks before; at other times less is new."""
    made = rule(metric="alert_share_ratio", threshold=3, resolves_at=2.5, severity="high")
    state, changes = State(), []
    for place in range(28 * 24, len(hours)):
        window, before = hours[place - 1 : place + 1], hours[place - 1 - int(BASELINE / HOUR) : place - 1]
        found = share_ratio(window, before)
        for minutes in (0, 5, 10):
            at = hours[place].start + timedelta(minutes=minutes)
            after = step(made, state, Reading(found.ratio, at, found.predictions, found.why), at)
            state = after.state
            if after.change:
                changes.append((after.change, at))
    return changes


@pytest.mark.parametrize(("a_day", "share"), [(5_000, 0.02), (100_000, 0.02), (100_000, 0.002), (1_000_000, 0.02)])
def test_sixty_quiet_days_ring_no_bell(a_day: int, share: float) -> None:
    assert [fired(seasons(np.random.default_rng(seed), 88, a_day, share)) for seed in range(3)] == [[], [], []]


def test_a_burst_of_card_testing_is_told_once_and_ends_once() -> None:
    hours = seasons(np.random.default_rng(0), 35, 100_000, 0.02)
    for place in range(30 * 24 + 10, 30 * 24 + 13):
        hour = hours[place]
        hours[place] = Hour(hour.start, hour.predictions, 5 * hour.flagged)
    changes = fired(hours)
    assert [change for change, _ in changes] == ["firing", "resolved"]
    assert changes[0][1] - hours[30 * 24 + 10].start <= 2 * HOUR
