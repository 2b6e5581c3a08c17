"""Never two trainings at once: each begins by saying so, and none begins while another is under way.

A process holds a lock in PostgreSQL while it trains; it is gone with the process. Of the runs of the DAG, Airflow lets
one at a time be active, and says whether one is. Between the two, the notes in `audit` stand (`stores.trainings`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine

from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.errors import StoreError, TrainingError
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.settings import Settings
from sentinel_core.stores.postgres import connected, hold, is_held, make_engine, take_turns
from sentinel_core.stores.trainings import (
    Holder,
    Training,
    last_training,
    lock_of,
    note_begin,
    note_end,
    note_snapshot,
)

DAG: Final = "fraud_training"
ActiveRuns = Callable[[], int | None]
"""Counts the queued and running runs of `DAG` in Airflow; None where Airflow cannot be asked."""
_log: Final = logging.getLogger(__name__)


def begin_training(
    settings: Settings, request: Request, *, run: str, now: datetime, progress: Progress = silent
) -> str:
    """Begin the training of a DAG run and make its snapshot, as `make_snapshot` does; return the snapshot's id.

    Begun again, it goes on. Raises `TrainingError` while a process trains, else what `make_snapshot` raises.
    """
    with _engine(settings) as engine:
        with connected(engine) as conn:
            take_turns(conn, _turn(settings))
            last = last_training(conn, settings.model_name, now=now)
            if is_held(conn, lock_of(settings.model_name)):
                raise _busy(last.run if last else "a process")
            if last is not None and last.run == run and last.ended_at is None:
                number = last.number
            else:
                number = _begin(conn, settings, run, "airflow", request, now)
        snapshot = make_snapshot(settings, request, now=now, progress=progress)
        _stand_on(engine, settings, number, request, snapshot, now)
    return snapshot


def end_training(settings: Settings, judged: Mapping[str, Any] | None, *, run: str, now: datetime) -> str:
    """Note how the training of a DAG run ended, given what `promote_if_good` returned, or None where it got less far.

    Returns completed or failed. Raises `StoreError` where PostgreSQL is away.
    """
    outcome = "completed" if judged else "failed"
    with _engine(settings) as engine, connected(engine) as conn:
        training = last_training(conn, settings.model_name, now=now, run=run)
        if training is not None:
            reason = _verdict(judged) if judged else "a step failed: see the run in Airflow"
            version = str(judged["version"]) if judged else None
            note_end(
                conn,
                settings.model_name,
                training.number,
                outcome="completed" if judged else "failed",
                reason=reason,
                version=version,
                now=now,
            )
    return outcome


@dataclass(slots=True)
class Held:
    """A training of this process: `judged` is to hold what `promote_if_good` returned, once it did."""

    engine: Engine
    settings: Settings
    number: int
    request: Request
    judged: Mapping[str, Any] | None = None

    def stands_on(self, snapshot: str, now: datetime) -> None:
        """Note the snapshot."""
        _stand_on(self.engine, self.settings, self.number, self.request, snapshot, now)


@contextmanager
def holding_training(
    settings: Settings,
    request: Request,
    *,
    run: str,
    clock: Callable[[], datetime],
    active: ActiveRuns | None = None,
) -> Iterator[Held]:
    """Train in this process until the end of the block, which is noted as completed or failed.

    `active` counts Airflow's runs; where nobody can, a run that began and did not say that it ended counts as under way
    for SENTINEL_TRAINING_LEASE_HOURS. Raises `TrainingError` while another training is, `StoreError` where PostgreSQL
    is away.
    """
    with _engine(settings) as engine, hold(engine, lock_of(settings.model_name)) as ours:
        now = clock()
        runs = active() if active else None
        with connected(engine) as conn:
            take_turns(conn, _turn(settings))
            last = last_training(conn, settings.model_name, now=now)
            if not ours:
                raise _busy(last.run if last else "a process")
            if (other := in_airflow(last, runs, settings, now)) is not None:
                raise _busy(other)
            number = _begin(conn, settings, run, "process", request, now)
        held = Held(engine, settings, number, request)
        failed = "it was interrupted"
        try:
            yield held
            failed = "its model was not judged"
        except Exception as error:
            failed = str(error).partition("\n")[0] or type(error).__name__
            raise
        finally:
            _end(held, failed, clock())


def under_way(
    conn: Connection, settings: Settings, last: Training | None, runs: int | None, now: datetime
) -> str | None:
    """Return the run of the training that is under way, None where none is; `runs` are those active in Airflow."""
    if is_held(conn, lock_of(settings.model_name)):
        return last.run if last else "a process"
    return in_airflow(last, runs, settings, now)


def in_airflow(last: Training | None, runs: int | None, settings: Settings, now: datetime) -> str | None:
    """Return the DAG run that is under way, given the last training and how many runs are active, if that is known."""
    open_run = last.run if last and last.holder == "airflow" and last.ended_at is None else None
    if runs is not None:
        return (open_run or f"a run of {DAG} in Airflow, queued or running") if runs else None
    if last is None or open_run is None or now - last.begun_at >= timedelta(hours=settings.training_lease_hours):
        return None
    return open_run


def _begin(conn: Connection, settings: Settings, run: str, holder: Holder, request: Request, now: datetime) -> int:
    return note_begin(conn, settings.model_name, run=run, holder=holder, source=request.source, now=now)


def _stand_on(engine: Engine, settings: Settings, number: int, request: Request, snapshot: str, now: datetime) -> None:
    taken = load_snapshot(settings.home, snapshot)
    terms = taken.manifest
    recorded_by = terms.get("recorded_by")
    # Rows of the database count once their label window is over, those of a file after the label delay.
    days = terms.get("label_window_days") or terms["label_delay_days"]
    with connected(engine) as conn:
        note_snapshot(
            conn,
            settings.model_name,
            number,
            snapshot=snapshot,
            as_of=taken.as_of,
            recorded_by=datetime.fromisoformat(recorded_by) if recorded_by else None,
            matured_before=taken.as_of - timedelta(days=days),
            now=now,
        )


def _end(held: Held, failed: str, now: datetime) -> None:
    judged = held.judged
    try:
        with connected(held.engine) as conn:
            note_end(
                conn,
                held.settings.model_name,
                held.number,
                outcome="completed" if judged else "failed",
                reason=_verdict(judged) if judged else failed,
                version=str(judged["version"]) if judged else None,
                now=now,
            )
    except StoreError as error:
        # What ended the training is what its user has to read; the next one finds the lock free.
        _log.warning("the end of the training was not noted: %s", error)


def _verdict(judged: Mapping[str, Any]) -> str:
    return f"{judged['version']}: {judged['verdict']['outcome']}"


def _busy(run: str) -> TrainingError:
    return TrainingError(
        f"expected no training to be under way, found {run}: never two at once.",
        remedy="Wait for its end, or end it: see Airflow's page, or the process that trains.",
    )


def _turn(settings: Settings) -> str:
    return f"begin {lock_of(settings.model_name)}"


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()
