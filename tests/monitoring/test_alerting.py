"""A rule fires and resolves once each, whatever is read: against an oracle that looks at the whole past each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.monitoring.alerting import Reading, State, step
from sentinel_core.monitoring.rules import Rule
from tests.monitoring.test_rules import rule

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = timedelta(minutes=5)
RULE = rule(threshold=100, resolves_at=90, fires_after=2, resolves_after=3, at_least=10)
VALUES = st.lists(st.sampled_from([80.0, 90.0, 95.0, 100.0, 101.0, 200.0, None]), max_size=60)


def run(made: Rule, values: Sequence[float | None], state: State | None = None) -> tuple[list[str | None], State]:
    state, changes = state or State(), []
    for number, value in enumerate(values):
        at = START + number * MINUTES
        after = step(made, state, Reading(value, at, 50), at)
        state = after.state
        changes.append(after.change)
    return changes, state


def oracle(made: Rule, values: Sequence[float | None]) -> list[str | None]:
    """After every reading look at all that was read since the last change."""
    changes: list[str | None] = []
    firing, begin = False, 0
    for end in range(1, len(values) + 1):
        seen = [value for value in values[begin:end] if value is not None]
        needed = made.resolves_after if firing else made.fires_after
        last = seen[-needed:]
        against = [value <= made.resolves_at if firing else value > made.threshold for value in last]
        turned = values[end - 1] is not None and len(last) == needed and all(against)
        changes.append(("resolved" if firing else "firing") if turned else None)
        if turned:
            firing, begin = not firing, end
    return changes


@given(VALUES, st.integers(1, 4), st.integers(1, 4))
def test_it_changes_when_enough_readings_in_a_row_say_so(
    values: list[float | None], fires_after: int, resolves_after: int
) -> None:
    made = replace(RULE, fires_after=fires_after, resolves_after=resolves_after)
    changes, state = run(made, values)
    assert changes == oracle(made, values)
    said = [change for change in changes if change]
    assert said == (["firing", "resolved"] * len(said))[: len(said)]
    assert state.firing == (len(said) % 2 == 1)


@given(VALUES)
def test_readings_without_a_value_change_nothing(values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    assert [c for c in run(RULE, values)[0] if c] == [c for c in run(RULE, known)[0] if c]


@given(st.lists(st.sampled_from([91.0, 95.0, 100.0]), min_size=1, max_size=30))
def test_between_the_two_bounds_nothing_begins_and_nothing_ends(values: list[float]) -> None:
    assert set(run(RULE, values)[0]) == {None}
    changes, state = run(RULE, [200.0, 200.0, *values])
    assert changes == [None, "firing", *[None] * len(values)]
    assert state.firing


def test_a_figure_that_is_read_twice_counts_once() -> None:
    breach = Reading(200.0, START, 50)
    first = step(RULE, State(), breach, START)
    again = step(RULE, first.state, breach, START + MINUTES)
    assert (again.change, again.state) == (None, first.state)
    assert "counted before" in again.says
    later = step(RULE, again.state, replace(breach, at=START + MINUTES), START + MINUTES)
    assert later.change == "firing"
    assert later.state.since == START


def test_a_clock_that_was_put_back_does_not_blind() -> None:
    ahead = State(counted_at=START + timedelta(days=1))
    assert step(RULE, ahead, Reading(200.0, START, 50), START).state.streak == 1


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading(None, START, why="there was no traffic"), "not judged: there was no traffic"),
        (Reading(500.0, START, 9), "not judged: 9 predictions, expected at least 10"),
        (Reading(math.nan, START, 50), "not judged: the value is nan"),
        (Reading(math.inf, START, 50), "not judged: the value is inf"),
    ],
)
def test_what_cannot_be_judged_says_why_and_stays(reading: Reading, said: str) -> None:
    for state in (State(), State(firing=True, streak=2, since=START)):
        after = step(RULE, state, reading, START)
        assert (after.state, after.change, after.judged) == (state, None, False)
        assert after.says == said


def test_it_says_how_far_it_is() -> None:
    first = step(RULE, State(), Reading(123.456, START, 5000), START)
    assert first.says == (
        "latency_p99_ms is 123.5 ms (fires > 100 ms, window 1h, 5,000 predictions); 1 of 2 readings until it fires"
    )
    clear = step(RULE, State(firing=True, since=START), Reading(50.0, START, 50), START)
    assert clear.says.endswith("; 1 of 3 readings until it resolves")
