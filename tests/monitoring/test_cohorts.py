"""Who is in a cohort's figures, with which truth and weight: against a slow reading of the rules, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.monitoring.cohorts import Cohort, as_known, cohort, day_end, due, newest_day
from tests.monitoring.cohorts import DAY, Row, Told, record_of

WINDOW = 5
DAYS = st.integers(0, 9)
ROWS = st.lists(
    st.builds(
        Row,
        score=st.sampled_from([0.1, 0.5, 0.9]),
        flagged=st.booleans(),
        time=st.integers(0, 3),
        answered=st.none() | DAYS,
        user=st.integers(0, 3),
        degraded=st.sampled_from([False, False, False, True]),
        outcome=st.none() | st.sampled_from(["approved", "challenged", "declined"]),
        labels=st.lists(st.builds(Told, st.booleans(), DAYS, st.none() | DAYS), max_size=3),
        outcomes=st.lists(
            st.builds(Told, st.sampled_from(["approved", "challenged", "declined"]), DAYS, st.none() | DAYS)
            | st.builds(Told, st.just("explored"), DAYS, st.none() | DAYS, st.sampled_from([0.1, 0.5])),
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=12,
)


def _cohort(rows: Sequence[Row], known_at: float = 9, window: float = WINDOW) -> Cohort:
    return cohort([as_known(record_of(rows), known_at=int(known_at * DAY), label_window=int(window * DAY))])


def _latest(said: Sequence[Told], known_at: float) -> Told | None:
    seen = [told for told in said if max(told.said, told.said if told.recorded is None else told.recorded) <= known_at]
    return max(enumerate(seen), key=lambda pair: (pair[1].said, pair[0]))[1] if seen else None


def _slowly(rows: Sequence[Row], known_at: float) -> list[tuple[int, bool, bool, float, bool]]:
    """Return user, truth, decision, weight and whether it is presumed, of each row in the figures."""
    described = []
    for row in rows:
        if row.degraded or (row.time if row.answered is None else row.answered) > known_at:
            continue
        outcome, propensity = row.outcome or ("declined" if row.flagged else "approved"), None
        said = _latest(row.outcomes, known_at)
        explored = _latest([told for told in row.outcomes if told.value == "explored"], known_at)
        outcome = str(said.value) if said else outcome
        if explored and outcome in ("approved", "explored"):
            outcome, propensity = "explored", explored.propensity
        label = _latest(row.labels, known_at)
        described.append((row, outcome, propensity, label))
    any_explored = any(outcome == "explored" for _, outcome, _, _ in described)
    found = []
    for row, outcome, propensity, label in described:
        if outcome == "declined" and any_explored:
            continue
        if label is None and outcome not in ("approved", "explored"):
            continue
        presumed = label is None and row.time + WINDOW > known_at
        found.append((row.user, bool(label and label.value), row.flagged, 1 / (propensity or 1), presumed))
    return found


@given(ROWS, DAYS)
def test_a_cohort_is_what_the_rules_say_of_each_row(rows: list[Row], known_at: int) -> None:
    found, expected = _cohort(rows, known_at), _slowly(rows, known_at)
    weight = [1.0] * len(expected) if found.rows.weight is None else found.rows.weight.tolist()
    seen = zip(found.rows.user.tolist(), found.rows.is_fraud.tolist(), found.flagged.tolist(), weight, strict=True)
    assert list(seen) == [row[:4] for row in expected]
    assert found.counts["presumed"] == sum(row[4] for row in expected)
    assert found.provisional == any(row[4] for row in expected)
    counted = ("rows", "degraded_left_out", "declined_left_out", "challenged_left_out")
    assert sum(found.counts[name] for name in counted) == found.counts["scored"]


@given(ROWS, DAYS)
def test_what_is_said_or_recorded_after_the_age_changes_nothing(rows: list[Row], known_at: int) -> None:
    later = [Told(value, known_at + 1) for value in (True, False)]
    backdated = [Told(True, 0, recorded=known_at + 1)]
    more = [Row(**{**vars(row), "labels": [*row.labels, *later, *backdated]}) for row in rows]
    outcomes = [Told("explored", 0, known_at + 1, 0.5), Told("declined", known_at + 1)]
    more = [Row(**{**vars(row), "outcomes": [*row.outcomes, *outcomes]}) for row in more]
    first, second = _cohort(rows, known_at), _cohort(more, known_at)
    assert first.counts == second.counts
    assert first.rows.is_fraud.tolist() == second.rows.is_fraud.tolist()


@given(ROWS, DAYS, st.randoms(use_true_random=False))
def test_a_part_of_a_record_keeps_what_was_said_of_it(rows: list[Row], known_at: int, chance: Random) -> None:
    taken = [chance.random() < 0.5 for _ in rows]
    part = record_of(rows).take(np.array(taken))
    own = record_of([row for row, is_taken in zip(rows, taken, strict=True) if is_taken])
    first, second = (as_known(r, known_at=known_at * DAY, label_window=DAY) for r in (part, own))
    assert first.label.tolist() == second.label.tolist()
    assert first.outcome.tolist() == second.outcome.tolist()
    np.testing.assert_array_equal(first.propensity, second.propensity)


def test_nothing_that_was_declined_counts_as_legitimate_however_old() -> None:
    declined = [Row(flagged=True), Row(outcome="declined"), Row(outcomes=[Told("challenged", 1)])]
    found = _cohort([*declined, Row()], known_at=1000)
    assert (found.counts["rows"], found.counts["declined_left_out"], found.counts["challenged_left_out"]) == (1, 2, 1)
    assert found.on_approved_traffic
    labelled = [Row(**{**vars(row), "labels": [Told(False, 2)]}) for row in declined]
    found = _cohort(labelled)
    assert found.counts["rows"] == 3
    assert not found.on_approved_traffic


def test_early_labels_are_not_the_cohort() -> None:
    """Frauds are reported first: by the labels' arrival, every transaction would be fraud."""
    rows = [*([Row(labels=[Told(True, 2)])] * 3), *([Row()] * 97)]
    found = _cohort(rows, known_at=3)
    assert (found.counts["rows"], found.counts["frauds"], found.counts["presumed"]) == (100, 3, 97)
    assert not _cohort(rows, known_at=6).provisional


def test_explored_ones_stand_for_all_that_was_declined() -> None:
    """Half of the declined is fraud, and for that half somebody always finds out: only the chance is no biased one."""
    declined = [Row(flagged=True, labels=[Told(True, 2)])] * 45 + [Row(flagged=True)] * 45
    explored = [
        Row(flagged=True, outcome="explored", propensity=0.1, labels=[Told(True, 2)] if fraud else [])
        for fraud in [True] * 5 + [False] * 5
    ]
    found = _cohort([*declined, *explored, *([Row()] * 100)])
    assert found.rows.weight is not None
    assert found.rows.weight[found.flagged].sum() == pytest.approx(100)
    assert found.rows.weight[found.flagged & found.rows.is_fraud].sum() == pytest.approx(50)
    assert (found.counts["explored"], found.counts["declined_left_out"]) == (10, 90)
    assert not found.on_approved_traffic


def test_an_explored_payment_that_is_reported_as_approved_keeps_its_weight() -> None:
    found = _cohort([Row(flagged=True, outcome="explored", propensity=0.25, outcomes=[Told("approved", 1)])])
    assert found.rows.weight is not None
    assert found.rows.weight.tolist() == [4.0]


def test_explored_without_a_propensity_cannot_be_weighed_and_is_left_out() -> None:
    found = _cohort([Row(flagged=True, outcome="explored", labels=[Told(True, 1)]), Row()])
    assert (found.counts["rows"], found.rows.weight) == (1, None)


def test_days_together_are_one_cohort() -> None:
    """Exploration on one of the days stands for what was declined on the others."""
    days = [
        [Row(flagged=True, labels=[Told(True, 1)]), Row(user=1)],
        [Row(flagged=True, outcome="explored", propensity=0.5, user=2)],
    ]
    seen = [as_known(record_of(day), known_at=9 * DAY, label_window=DAY) for day in days]
    found = cohort(seen)
    assert found.rows.user.tolist() == [1, 2]
    assert found.counts["scored"] == 3


def test_a_day_reaches_an_age_at_the_midnight_that_ends_it_and_so_many_days_later() -> None:
    ended = datetime(2026, 3, 9, tzinfo=UTC)
    assert day_end(date(2026, 3, 1)) + timedelta(days=7) == ended
    assert newest_day(7, ended) == date(2026, 3, 1)
    assert newest_day(7, ended - timedelta(microseconds=1)) == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("measured", "days"),
    [(None, [19, 20, 21, 22]), (date(2026, 2, 20), [21, 22]), (date(2026, 2, 22), []), (date(2026, 2, 26), [])],
)
def test_days_are_due_once_and_missed_ones_are_made_up_for(measured: date | None, days: list[int]) -> None:
    answer, now = datetime(2026, 2, 27, 15, tzinfo=UTC), datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert due(7, first_answer=answer, measured=measured, now=now) == [date(2026, 2, day) for day in days]
