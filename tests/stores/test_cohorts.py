"""Reading a day's answers back is the same as never having stored them."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text

from sentinel_core.monitoring.answers import Record
from sentinel_core.monitoring.performance import Expected
from sentinel_core.stores import cohorts
from sentinel_core.stores.cohorts import read_day, read_sums
from tests.monitoring.cohorts import Row, Told, record_of
from tests.stores.answers import write_rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = (START - EPOCH).days
ROWS = [
    Row(0.2, time=0.0, user=1),
    Row(0.9, flagged=True, time=0.3, user=2, labels=[Told(True, 3.5), Told(False, 5, 6), Told(True, 1)]),
    Row(0.4, time=0.999999, answered=1.5, user=1, degraded=True, outcome="challenged", labels=[Told(False, 2)]),
    Row(0.95, flagged=True, time=0.5, outcome="explored", propensity=0.1, outcomes=[Told("approved", 1)]),
    Row(0.8, flagged=True, time=0.5, outcomes=[Told("explored", 0.5, 0.6, 0.25), Told("declined", 2, 3)]),
]


def _same(found: Record, rows: list[Row]) -> None:
    """Compare with what the rows say; users only by who shares one, and rows in any order."""
    expected = record_of(rows)
    place = np.argsort(found.answers.time, kind="stable")
    there = np.argsort(expected.answers.time, kind="stable")
    moment = DAYS * 86_400_000_000
    for field in fields(expected.answers):
        ours, theirs = (getattr(r.answers, field.name)[order] for r, order in ((found, place), (expected, there)))
        assert ours.dtype == theirs.dtype or field.name == "user"
        if field.name == "user":
            ours, theirs = (np.unique(column, return_inverse=True)[1] for column in (ours, theirs))
            assert ((ours[:, None] == ours) == (theirs[:, None] == theirs)).all()
        else:
            shift = moment if field.name in ("time", "answered") else 0
            np.testing.assert_array_equal(ours - shift if shift else ours, theirs)
    for name in ("labels", "outcomes"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert found.answers.time[ours.row].tolist() == (expected.answers.time[theirs.row] + moment).tolist()
        assert found.answers.score[ours.row].tolist() == expected.answers.score[theirs.row].tolist()
        assert ours.value.tolist() == theirs.value.tolist()
        for moments in ("said", "recorded"):
            assert getattr(ours, moments).tolist() == (getattr(theirs, moments) + moment).tolist()
        np.testing.assert_array_equal(ours.propensity, theirs.propensity)


@pytest.mark.parametrize("chunk", [2, 50_000])
def test_a_day_is_read_with_all_that_was_said_of_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(cohorts, "CHUNK_ROWS", chunk)
    with engine.begin() as conn:
        write_rows(conn, ROWS, start=START)
        other = [Row(0.7, flagged=True, time=0.1, user=9, labels=[Told(True, 2)])]
        write_rows(conn, other, start=START, version="v2", prefix="other ")
        outside = [Row(time=-0.000001, labels=[Told(True, 1)]), Row(time=1.0, labels=[Told(True, 2)])]
        write_rows(conn, outside, start=START, prefix="outside ")
        found = read_day(conn, date(2026, 3, 1))
    assert sorted(found.versions) == ["v1", "v2"]
    _same(found.of("v1"), ROWS)
    _same(found.of("v2"), other)
    assert len(found.of("v3").answers.time) == 0


def test_what_was_never_scored_and_answers_from_the_cache_are_not_read(engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, [Row(), Row(labels=[Told(True, 1)])], start=START)
        conn.exec_driver_sql("DELETE FROM prediction_logs WHERE transaction_id = 't1'")
        conn.exec_driver_sql(
            "INSERT INTO prediction_logs SELECT 'cached', transaction_id, 1, 0.5, true, 'low', 'v9', 'champion', true, "
            "false, created_at FROM prediction_logs"
        )
        found = read_day(conn, date(2026, 3, 1))
        sums = read_sums(conn, START, START + timedelta(days=1))
    assert found.versions == ("v1",)
    assert (len(found.record.answers.time), len(found.record.labels.row)) == (1, 0)
    assert sums == {("v1", date(2026, 3, 1)): Expected(1, 0, 0.0, 0.1)}


def test_an_answer_counts_from_when_it_was_written_down(engine: Engine) -> None:
    days = (0.5, 9.0)
    with engine.begin() as conn:
        write_rows(conn, [Row(0.2, time=0.0), Row(0.9, time=0.5), Row(0.4, time=0.7)], start=START)
        # PostgreSQL was away: in time for no cohort of seven days. The third is of a release that did not note it.
        for name, day in zip(("t0", "t1"), days, strict=True):
            values = {"name": name, "at": START + timedelta(days=day)}
            conn.execute(text("UPDATE prediction_logs SET recorded_at = :at WHERE transaction_id = :name"), values)
        answers = read_day(conn, date(2026, 3, 1)).of("v1").answers
    answered = answers.answered[np.argsort(answers.time)] / 86_400_000_000 - DAYS
    np.testing.assert_allclose(answered, (*days, 0.7), atol=1e-9)


def test_a_day_without_traffic_is_empty(engine: Engine) -> None:
    with engine.begin() as conn:
        found = read_day(conn, date(2026, 3, 1))
    assert found.versions == ()
    assert len(found.of("v1").answers.score) == 0


def test_scores_are_summed_by_day_and_model_without_degraded_ones(engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, [*ROWS, Row(0.5, time=1.2)], start=START)
        write_rows(conn, [Row(0.25, flagged=True, time=1.9)], start=START, version="v2", prefix="other ")
        found = read_sums(conn, START, START + timedelta(days=2))
    first, second = date(2026, 3, 1), date(2026, 3, 2)
    assert list(found) == [("v1", first), ("v1", second), ("v2", second)]
    assert (found["v1", first].rows, found["v1", first].alerts) == (4, 3)
    assert found["v1", first].hits == pytest.approx(0.9 + 0.95 + 0.8)
    assert found["v1", first].frauds == pytest.approx(0.9 + 0.95 + 0.8 + 0.2)
    assert found["v2", second] == Expected(1, 1, 0.25, 0.25)
