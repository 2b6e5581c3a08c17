"""Never two trainings at once, whoever starts them, and whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine

from sentinel_core.errors import DataError, TrainingError
from sentinel_core.flows.ingest import Request
from sentinel_core.flows.trainings import begin_training, end_training, holding_training, under_way
from sentinel_core.settings import Settings
from sentinel_core.stores.trainings import Training, last_training, list_trainings
from tests.datasets.frames import csv
from tests.e2e.stack import until

NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
JUDGED = {"version": "v1", "verdict": {"outcome": "reject"}}


@pytest.fixture
def small(tmp_path: Path) -> Request:
    return Request("file", file=str(csv(tmp_path / "small.csv", is_fraud=["0", "1", "0", "0"])))


def last(engine: Engine, settings: Settings) -> Training:
    with engine.connect() as conn:
        found = last_training(conn, settings.model_name, now=NOW + 999 * HOUR)
    assert found is not None
    return found


def running(engine: Engine, settings: Settings, runs: int | None = None, now: datetime = NOW) -> str | None:
    with engine.connect() as conn:
        return under_way(conn, settings, last_training(conn, settings.model_name, now=now), runs, now)


def test_a_run_of_airflow_notes_its_beginning_its_snapshot_and_its_end(
    settings: Settings, engine: Engine, small: Request
) -> None:
    snapshot = begin_training(settings, small, run="manual__1", now=NOW)
    assert begin_training(settings, small, run="manual__1", now=NOW + HOUR) == snapshot, "a task that is tried again"
    assert running(engine, settings) == "manual__1"
    assert end_training(settings, JUDGED, run="manual__1", now=NOW + HOUR) == "completed"
    assert running(engine, settings, now=NOW + HOUR) is None
    found = last(engine, settings)
    assert (found.run, found.holder, found.source, found.snapshot) == ("manual__1", "airflow", "file", snapshot)
    assert (found.begun_at, found.ended_at, found.outcome, found.version) == (NOW, NOW + HOUR, "completed", "v1")
    assert found.as_of is not None
    assert found.matured_before == found.as_of - settings.label_delay
    with engine.connect() as conn:
        assert len(list_trainings(conn, settings.model_name, now=NOW + HOUR)) == 1


def test_a_run_that_fails_frees_the_way_and_the_next_one_is_another_training(
    settings: Settings, engine: Engine, small: Request
) -> None:
    with pytest.raises(DataError, match="nowhere"):
        begin_training(settings, Request("file", file="/nowhere.csv"), run="manual__1", now=NOW)
    assert running(engine, settings) == "manual__1", "the run goes on to its end"
    assert end_training(settings, None, run="manual__1", now=NOW) == "failed"
    assert running(engine, settings) is None
    assert (last(engine, settings).outcome, last(engine, settings).snapshot) == ("failed", None)
    # One that was killed with everything that could have said so does not stop the next run: Airflow has one at a time.
    begin_training(settings, small, run="manual__2", now=NOW)
    begin_training(settings, small, run="manual__3", now=NOW + HOUR)
    assert last(engine, settings).run == "manual__3"


def test_the_end_of_a_run_that_never_began_is_nothing(settings: Settings, engine: Engine) -> None:
    assert end_training(settings, None, run="manual__1", now=NOW) == "failed"
    with engine.connect() as conn:
        assert last_training(conn, settings.model_name, now=NOW) is None


def test_no_training_begins_while_a_process_trains(settings: Settings, engine: Engine, small: Request) -> None:
    with holding_training(settings, small, run="process__1", clock=lambda: NOW) as held:
        assert running(engine, settings) == running(engine, settings, 0, NOW + 99 * HOUR) == "process__1"
        with pytest.raises(TrainingError, match="expected no training to be under way, found process__1"):
            begin_training(settings, small, run="manual__1", now=NOW)
        with (
            pytest.raises(TrainingError, match="found process__1: never two at once"),
            holding_training(settings, small, run="process__2", clock=lambda: NOW),
        ):
            pass
        held.judged = JUDGED
    assert (last(engine, settings).run, last(engine, settings).outcome) == ("process__1", "completed")
    assert running(engine, settings) is None
    begin_training(settings, small, run="manual__2", now=NOW)


@pytest.mark.parametrize(
    ("runs", "hours", "busy"),
    [(1, 0, True), (1, 99, True), (0, 0, False), (0, 99, False), (None, 11.9, True), (None, 12, False)],
)
def test_airflow_says_whether_a_run_is_under_way_and_without_it_the_notes_do_for_a_while(
    settings: Settings, engine: Engine, small: Request, runs: int | None, hours: float, busy: bool
) -> None:
    begin_training(settings, small, run="manual__1", now=NOW)
    later = NOW + hours * HOUR
    assert running(engine, settings, runs, later) == ("manual__1" if busy else None)
    held = holding_training(settings, small, run="process__1", clock=lambda: later, active=lambda: runs)
    if busy:
        with pytest.raises(TrainingError, match="found manual__1"), held:
            pass
    else:
        with held:
            assert last(engine, settings).run == "process__1"


def test_a_queued_run_is_waited_for_too(settings: Settings, engine: Engine, small: Request) -> None:
    assert running(engine, settings, 1) == "a run of fraud_training in Airflow, queued or running"
    with (
        pytest.raises(TrainingError, match="in Airflow, queued or running"),
        holding_training(settings, small, run="process__1", clock=lambda: NOW, active=lambda: 1),
    ):
        pass


def test_a_training_that_raises_says_why_and_lets_go(settings: Settings, engine: Engine, small: Request) -> None:
    with (
        pytest.raises(DataError),
        holding_training(settings, small, run="process__1", clock=lambda: NOW),
    ):
        raise DataError("expected rows, got none.")
    assert last(engine, settings).outcome == "failed"
    assert running(engine, settings) is None


def test_of_many_at_once_one_begins(settings: Settings, engine: Engine, small: Request) -> None:
    barrier = Barrier(4)

    def train(n: int) -> bool:
        barrier.wait()
        try:
            with holding_training(settings, small, run=f"process__{n}", clock=lambda: NOW):
                barrier.wait()
                return True
        except TrainingError:
            barrier.wait()
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(train, range(4))) == [False, False, False, True]
    with engine.connect() as conn:
        assert len(list_trainings(conn, settings.model_name, now=NOW)) == 1


HOLD = """
import sys, time
from datetime import datetime
from sentinel_core.flows.ingest import Request
from sentinel_core.flows.trainings import holding_training
from sentinel_core.settings import load_settings
now = datetime.fromisoformat(sys.argv[1])
with holding_training(load_settings(None), Request(), run="process__1", clock=lambda: now):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_process_that_is_killed_while_it_trains_is_under_way_no_more(
    settings: Settings, engine: Engine, small: Request
) -> None:
    variables = {**os.environ, "DATABASE_URL": str(settings.database_url_given), "SENTINEL_HOME": str(settings.home)}
    command = [sys.executable, "-c", HOLD, NOW.isoformat()]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert running(engine, settings) == "process__1"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    until(lambda: running(engine, settings) is None, 10)
    assert last(engine, settings).outcome is None
    with holding_training(settings, small, run="process__2", clock=lambda: NOW):
        assert last(engine, settings).run == "process__2"
