"""Retraining: every hour, whether to train again, and why; what is decided is written down and, where due, started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine

from sentinel_core.flows import Progress, silent
from sentinel_core.flows.ingest import Request
from sentinel_core.flows.judging import judging
from sentinel_core.flows.performance import measure_drop
from sentinel_core.flows.pipeline import TrainingPipeline
from sentinel_core.flows.trainings import ActiveRuns, under_way
from sentinel_core.monitoring.cohorts import matured_age, newest_day
from sentinel_core.monitoring.drop import Drop
from sentinel_core.monitoring.retraining import Bounds, Decision, Figures, decide
from sentinel_core.registry.rest import production_version
from sentinel_core.settings import Settings
from sentinel_core.stores.postgres import connected, make_engine, take_turns
from sentinel_core.stores.retraining import (
    RetrainingDecision,
    count_labels,
    count_transactions,
    list_decisions,
    newest_drift,
    nth_maturing,
    record_decision,
)
from sentinel_core.stores.trainings import Training, last_training, list_trainings, note_not_started, was_not_started

ACTOR: Final = "retrain_check"
_UNDECIDED: Final = "nothing was decided"
START_PATIENCE: Final = timedelta(minutes=10)
"""How long what was decided may take to begin; until then nothing else is."""
Start = Callable[[Mapping[str, Any]], str]
"""Starts the training of some parameters, those of a DAG run with its "run_id", and returns what it started."""


def check_retraining(
    settings: Settings,
    *,
    now: datetime,
    forced: bool = False,
    actor: str = ACTOR,
    why: str = "",
    active: int | None = None,
    start: Start | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Decide whether to train again, append that to `retraining_decisions`, and start what is due.

    `forced` skips eligibility, neither the gate nor the lock; `why` is the reason that its `actor` gave. `active` is
    how many runs of the training Airflow has, None where it cannot be asked. `start` is called with the parameters of a
    training that is due; without it the caller starts it. Returns {"decision", "reason", "figures", "created_at",
    "run_id", "params", "started"}, the last three None where no training is due. Raises `StoreError` or `RegistryError`
    with what could not be judged where PostgreSQL or MLflow is away: nothing is decided then.
    """
    with _engine(settings) as engine:
        champion, drop = _drop(settings, engine, now)
        with judging("the figures of a retraining", _UNDECIDED), connected(engine) as conn:
            # Of two checks at once, the second sees what the first decided.
            take_turns(conn, f"retraining of {settings.model_name}")
            figures, known = _figures(conn, settings, champion, drop, active, now)
            decision = decide(figures, bounds(settings), now=now, forced=forced)
            asked = {"forced": forced, "actor": actor, "why": why}
            written = _record(conn, decision, {**decision.figures(), **known, **asked}, now)
        progress(f"{written['decision']}: {written['reason']}")
        started = None
        if start is not None and written["params"] is not None:
            try:
                started = start({**written["params"], "run_id": written["run_id"]})
            except Exception as error:
                _note_not_started(engine, settings, str(written["run_id"]), error, now)
                raise
    return {**written, "started": started}


def train_here(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    active: ActiveRuns | None = None,
    progress: Progress = silent,
) -> Start:
    """Return what starts a training in this process and returns the version that came of it.

    It takes the parameters of the DAG: those of a `Request`, "models" and "search".
    """

    def start(params: Mapping[str, Any]) -> str:
        pipeline = TrainingPipeline(settings, clock=clock, active=active, progress=progress)
        outcome = pipeline.run_on(
            Request.of(params),
            models=params.get("models"),
            searched=params.get("search", True),
            run=str(params["run_id"]),
        )
        return str(outcome["version"])

    return start


def read_decisions(settings: Settings, *, now: datetime, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest decisions, the newest first, each with what became of its training: `outcome` and `version`.

    `outcome` is completed or failed, "begun" where it has not said how it ended, "not begun", or None where no training
    was due. Raises `StoreError` where PostgreSQL is away.
    """
    with _engine(settings) as engine, connected(engine) as conn:
        trainings = {one.run: one for one in list_trainings(conn, settings.model_name, now=now, limit=limit)}
        return [
            {**row, **_became(trainings.get(row["run_id"]), row["decision"])}
            for row in list_decisions(conn, now=now, limit=limit)
        ]


def _became(training: Training | None, decision: str) -> dict[str, Any]:
    if training is None:
        return {"outcome": "not begun" if decision == "train" else None, "version": None}
    return {"outcome": training.outcome or "begun", "version": training.version}


def _drop(settings: Settings, engine: Engine, now: datetime) -> tuple[str | None, dict[str, Any] | None]:
    """Return the version in Production and how its precision and recall changed, as far as there is one.

    The newest mature cohorts change once a day, and reading them takes a while: what an earlier check found is taken.
    """
    with judging("what is in Production", _UNDECIDED):
        found = production_version(settings)
    if found is None:
        return None, None
    age = matured_age(settings.cohort_age_days, settings.label_window)
    limit, fewest = -settings.retrain_after_drop, settings.retrain_min_alerts
    terms = {
        "model_version": found.name,
        "cohort_day": newest_day(age, now).isoformat(),
        "limit": limit,
        "fewest": fewest,
    }
    with judging("the figures of a retraining", _UNDECIDED):
        with connected(engine) as conn:
            earlier = list_decisions(conn, now=now, limit=1)
        known = earlier[0]["figures"].get("drop") if earlier else None
        if known and {name: known[name] for name in terms} == terms:
            return found.name, known
        drops = measure_drop(settings, found.name, now=now, limit=limit, fewest=fewest)
    return found.name, {**terms, "changes": {name: asdict(one) for name, one in drops.items()}}


def _figures(
    conn: Connection,
    settings: Settings,
    champion: str | None,
    drop: Mapping[str, Any] | None,
    active: int | None,
    now: datetime,
) -> tuple[Figures, dict[str, Any]]:
    """Return the figures of a decision, and what is to be written down beside them."""
    name = settings.model_name
    last = last_training(conn, name, now=now)
    completed = last_training(conn, name, now=now, completed=True)
    new = count_labels(conn, completed, now=now, maturity=settings.label_window)
    missing = settings.retrain_min_frauds - new.frauds
    drift = newest_drift(conn, champion, now=now) if champion else None
    figures = Figures(
        last_start=last.begun_at if last else None,
        last_completed=completed.begun_at if completed else None,
        transactions=count_transactions(conn, completed, now=now),
        frauds=new.frauds,
        labels=new.labels,
        frauds_due=nth_maturing(conn, max(missing, 1), now=now, maturity=settings.label_window),
        drops={name: Drop(**change) for name, change in drop["changes"].items()} if drop else {},
        drift=f"{drift[0]} in the window that ended at {drift[1]:%Y-%m-%d %H:%M} UTC" if drift else None,
        under_way=under_way(conn, settings, last, active, now) or _about_to_begin(conn, settings, now),
    )
    known = {
        "champion": champion,
        "drop": drop,
        "drift": figures.drift,
        "last_training": _described(last),
        "last_completed": _described(completed),
        "under_way": figures.under_way,
    }
    return figures, known


def _about_to_begin(conn: Connection, settings: Settings, now: datetime) -> str | None:
    """Return the run that was decided on and has neither begun nor failed to, for as long as it may take."""
    for decided in list_decisions(conn, now=now, limit=1, decision="train"):
        run, name = str(decided["run_id"]), settings.model_name
        if (
            now - decided["created_at"] < START_PATIENCE
            and last_training(conn, name, now=now, run=run) is None
            and not was_not_started(conn, name, run)
        ):
            return f"{run}, decided on at {decided['created_at']:%H:%M} UTC"
    return None


def _record(conn: Connection, decision: Decision, figures: dict[str, Any], now: datetime) -> dict[str, Any]:
    run_id = f"retrain__{now.astimezone(UTC).isoformat()}" if decision.decision == "train" else None
    record_decision(conn, RetrainingDecision(decision.decision, decision.reason, figures, now, run_id))
    return {
        "decision": decision.decision,
        "reason": decision.reason,
        "figures": figures,
        "created_at": now.isoformat(),
        "run_id": run_id,
        "params": {"source": "database"} if run_id else None,
    }


def _described(training: Training | None) -> dict[str, Any] | None:
    if training is None:
        return None
    moments = ("begun_at", "as_of", "ended_at")
    facts = {name: getattr(training, name) for name in (*moments, "run", "source", "outcome", "version")}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in facts.items()}


def bounds(settings: Settings) -> Bounds:
    """Return the bounds that the settings name."""
    return Bounds(
        after_hours=settings.retrain_after_hours,
        after_transactions=settings.retrain_after_transactions,
        rest_hours=settings.retrain_rest_hours,
        min_frauds=settings.retrain_min_frauds,
    )


def _note_not_started(engine: Engine, settings: Settings, run: str, error: Exception, now: datetime) -> None:
    """Let the next check know that nothing begins, unless the training has said by itself how it ended."""
    with connected(engine) as conn:
        if last_training(conn, settings.model_name, now=now, run=run) is None:
            note_not_started(conn, settings.model_name, run, reason=str(error).partition("\n")[0], now=now)


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()
