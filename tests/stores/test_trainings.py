from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from sentinel_core.stores.postgres import hold, is_held
from sentinel_core.stores.trainings import (
    last_training,
    list_trainings,
    lock_of,
    note_begin,
    note_end,
    note_not_started,
    note_snapshot,
    was_not_started,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def begin(conn: Connection, run: str, at: datetime, model: str = "m") -> int:
    return note_begin(conn, model, run=run, holder="airflow", source="database", now=at)


def test_a_training_is_told_by_its_notes_as_they_stood_at_a_moment(engine: Engine) -> None:
    with engine.begin() as conn:
        number = begin(conn, "one", NOW)
        begin(conn, "of another model", NOW, "n")
        note_snapshot(
            conn,
            "m",
            number,
            snapshot="s1",
            as_of=NOW,
            recorded_by=None,
            matured_before=NOW - 60 * HOUR,
            now=NOW + HOUR,
        )
        note_end(conn, "m", number, outcome="completed", reason="v1: promote", version="v1", now=NOW + 2 * HOUR)
        note_end(conn, "m", number, outcome="failed", reason="said twice", now=NOW + 3 * HOUR)
        begin(conn, "two", NOW + 4 * HOUR)
        assert last_training(conn, "m", now=NOW - HOUR) is None
        before = last_training(conn, "m", now=NOW + HOUR)
        assert before is not None
        assert (before.run, before.ended_at, before.outcome) == ("one", None, None)
        first, second = (last_training(conn, "m", now=NOW + 9 * HOUR, completed=done) for done in (True, False))
        assert first is not None
        assert second is not None
        assert (first.run, first.begun_at, first.ended_at, first.outcome, first.version) == (
            *("one", NOW, NOW + 2 * HOUR, "completed", "v1"),
        )
        assert (first.as_of, first.recorded_by, first.matured_before) == (NOW, None, NOW - 60 * HOUR)
        assert (second.run, second.snapshot, second.outcome) == ("two", None, None)
        assert [one.run for one in list_trainings(conn, "m", now=NOW + 9 * HOUR)] == ["two", "one"]
        assert last_training(conn, "m", now=NOW + 9 * HOUR, run="one") == first


def test_a_run_that_is_done_over_is_a_training_of_its_own(engine: Engine) -> None:
    with engine.begin() as conn:
        note_end(conn, "m", begin(conn, "one", NOW), outcome="failed", reason="no", now=NOW)
        begin(conn, "one", NOW + HOUR)
        again = last_training(conn, "m", now=NOW + HOUR, run="one")
        assert again is not None
        assert (again.begun_at, again.outcome) == (NOW + HOUR, None)


def test_what_was_decided_and_never_began_is_remembered(engine: Engine) -> None:
    with engine.begin() as conn:
        note_not_started(conn, "m", "one", reason="Airflow refused", now=NOW)
        assert was_not_started(conn, "m", "one")
        assert not was_not_started(conn, "m", "two")
        assert not was_not_started(conn, "n", "one")
        assert last_training(conn, "m", now=NOW) is None


def test_the_lock_is_held_by_one_until_the_block_ends_even_where_it_raises(engine: Engine) -> None:
    name = lock_of("m")
    with engine.connect() as conn:
        assert not is_held(conn, name)
        with pytest.raises(ValueError, match="literal"), hold(engine, name) as ours:
            assert ours
            assert is_held(conn, name)
            assert not is_held(conn, lock_of("n"))
            with hold(engine, name) as theirs:
                assert not theirs
            assert is_held(conn, name)
            int("nothing")
        assert not is_held(conn, name)
