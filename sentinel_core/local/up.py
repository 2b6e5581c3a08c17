"""`sentinel up` and `sentinel down`: from nothing to two scored transactions, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sentinel_core.local import orphans
from sentinel_core.local.demo import Answer, score_demo
from sentinel_core.local.doctor import demand, examine
from sentinel_core.local.first_model import ensure_history, ensure_model, history_loaded, warning_of
from sentinel_core.local.lock import exclusive
from sentinel_core.local.migrations import NAME as MIGRATIONS
from sentinel_core.local.migrations import migrate_all
from sentinel_core.local.paths import Layout
from sentinel_core.local.processes import PROCESSES
from sentinel_core.local.reporter import Reporter
from sentinel_core.local.secrets import ensure_secrets
from sentinel_core.local.start import check_settings, remember_settings, selected, start
from sentinel_core.local.supervisor import Supervisor
from sentinel_core.settings import Settings

_STOP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """What `up` did; `warning` names the floors that the model in Production is below, None where it is below none."""

    started: tuple[str, ...]
    trained: bool
    model_version: str
    answers: tuple[Answer, ...]
    warning: str | None = None


def up(
    settings: Settings,
    *,
    rows: int,
    airflow: bool,
    clock: Callable[[], datetime],
    reporter: Reporter,
    models: Sequence[str] | None = None,
) -> Arrival:
    """Bring the whole platform up; what is in place stays, so repeating it after any interruption goes on.

    `rows` and `models` are those of the first training; without `models`, every candidate.

    Raises `SentinelError` in one line with what stands in the way.
    """
    layout = Layout.of(settings)
    with exclusive(layout):
        supervisor = Supervisor(layout)
        resumed = _take_over(settings, supervisor)
        processes = selected(settings, airflow=airflow)
        _preflight(settings, supervisor, reporter, airflow=airflow, resumed=resumed)
        ensure_secrets(settings)
        supervisor.start(settings, processes)
        if not resumed:
            remember_settings(settings)
        stores, platform, service = ([p for p in processes if p.order in orders] for orders in ((0,), (1, 2), (3,)))
        started = start(settings, supervisor, stores, reporter)
        with reporter.step("Databases and their schemas"):
            migrate_all(settings, airflow=airflow)
        if history_loaded(settings):
            # There was a model to serve, and it is on the disk: everything starts side by side.
            platform, service = platform + service, []
        started += start(settings, supervisor, platform, reporter)
        version, trained = ensure_model(settings, rows, reporter, airflow=airflow, resume=resumed, models=models)
        ensure_history(settings, clock(), reporter)
        started += start(settings, supervisor, service, reporter)
        answers: tuple[Answer, ...] = ()
        if "serving" in started:
            with reporter.step("Two demo transactions"):
                answers = score_demo(settings, clock())
        return Arrival(tuple(started), trained, version, answers, warning_of(settings, version))


def down(settings: Settings, reporter: Reporter) -> list[str]:
    """Stop everything of this home, the servers with the data last; return what was running."""
    layout = Layout.of(settings)
    if not layout.run.exists():
        return []
    with exclusive(layout):
        supervisor = Supervisor(layout)
        stopped: list[str] = []
        if supervisor.alive():
            active = {name for name, state in supervisor.states().items() if state.active}
            stopped = [process.name for process in PROCESSES if process.name in active]
            with reporter.step(f"Stopping {len(stopped)} processes") as tell:
                for order in (3, 2, 1, 0):
                    _halt(supervisor, [p.name for p in PROCESSES if p.order == order and p.name in active], tell)
                supervisor.shutdown()
        if orphans.reap(settings):
            stopped = stopped or ["what had lost its supervisor"]
        return stopped


def _take_over(settings: Settings, supervisor: Supervisor) -> bool:
    """Whether a supervisor runs that we go on with; without one, stop what an earlier one left behind."""
    if supervisor.alive():
        check_settings(settings)
        orphans.reap(settings, MIGRATIONS)  # of an `up` that was killed
        return True
    orphans.reap(settings)
    return False


def _preflight(settings: Settings, supervisor: Supervisor, reporter: Reporter, *, airflow: bool, resumed: bool) -> None:
    with reporter.step("This machine"):
        running = [name for name, state in supervisor.states().items() if state.active] if resumed else []
        demand(examine(settings, running=running, airflow=airflow))


def _halt(supervisor: Supervisor, names: list[str], tell: Callable[[str], None]) -> None:
    for name in names:
        supervisor.halt(name)
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        states = supervisor.states()
        waiting = [name for name in names if states[name].active]
        if not waiting:
            return
        tell(f"waiting for {', '.join(waiting)}")
        time.sleep(0.1)
