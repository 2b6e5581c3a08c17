"""The first model and the history that it was trained on: `sentinel up`, and one service of docker compose."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sentinel_core.errors import LocalError
from sentinel_core.local.files import write_private
from sentinel_core.local.paths import Layout
from sentinel_core.local.reporter import Reporter
from sentinel_core.local.training import train_by_airflow, train_in_process
from sentinel_core.settings import Settings

NAME: Final = "first-model"
_HISTORY: Final = "history.json"
"""Notes in SENTINEL_HOME/state that the training history was loaded; nothing loads it over live transactions."""


def make_first_model(
    settings: Settings,
    *,
    rows: int,
    clock: Callable[[], datetime],
    reporter: Reporter,
    models: Sequence[str] | None = None,
) -> tuple[str, bool]:
    """Train by Airflow unless a model is in Production, load its history once; return as `ensure_model` does.

    For a stack whose servers run already. Without `models`, every candidate is trained. A run of the training
    that is under way is followed to its end.
    """
    Layout.of(settings).make()
    found = ensure_model(settings, rows, reporter, airflow=True, resume=True, models=models)
    ensure_history(settings, clock(), reporter)
    return found


def ensure_model(
    settings: Settings,
    rows: int,
    reporter: Reporter,
    *,
    airflow: bool,
    resume: bool,
    models: Sequence[str] | None = None,
) -> tuple[str, bool]:
    """Train unless a model is in Production; return its version and whether it was trained now."""
    version = _production(settings)
    if version is not None:
        return version, False
    if airflow:
        train_by_airflow(settings, rows, reporter, resume=resume, models=models)
    else:
        train_in_process(settings, rows, reporter, models)
    version = _production(settings)
    if version is None:
        raise not_promoted(settings)
    return version, True


def warning_of(settings: Settings, version: str) -> str | None:
    """Return what is said of a version that is below its floor, else None; raises `StoreError` without PostgreSQL."""
    from sentinel_core.flows import moves

    return moves.warning_of(settings, version)


def not_promoted(settings: Settings) -> LocalError:
    """Return the error of a training that ended without a model in Production, with the gate's reason and a remedy."""
    verdict = _read(Layout.of(settings).state / "last_training.json").get("verdict", {})
    expected = "expected the training to end with a model in Production, found none"
    by_hand = "or promote one by hand: sentinel promote VERSION."
    if settings.first_model == "hold":
        return LocalError(
            f"{expected}: it missed its floors ({verdict.get('reason', 'not judged')}).",
            remedy=f"See `sentinel models`; train on more rows, unset SENTINEL_FIRST_MODEL, {by_hand}",
        )
    return LocalError(
        f"{expected}: the gate turned it away ({verdict.get('reason', 'not judged')}).",
        remedy=f"Run it again, which trains on newer data; give --rows a larger number, {by_hand}",
    )


def ensure_history(settings: Settings, now: datetime, reporter: Reporter) -> None:
    """Load the history that the promoted model was trained on, once: live transactions come on top of it."""
    from sentinel_core.flows.history import load_history
    from sentinel_core.flows.risk import refresh_risk

    training = _read(Layout.of(settings).state / "last_training.json")
    if not training or history_loaded(settings):
        return
    with reporter.step("The training history, into PostgreSQL and Redis") as tell:
        load_history(settings, training["snapshot"], now=now, progress=tell)
        refresh_risk(settings, now=now, progress=tell)
    write_private(
        Layout.of(settings).state / _HISTORY,
        json.dumps({"snapshot": training["snapshot"], "loaded_at": now.isoformat()}) + "\n",
    )


def history_loaded(settings: Settings) -> bool:
    """Whether the training history was loaded into the stores of this home."""
    return bool(_read(Layout.of(settings).state / _HISTORY))


def _production(settings: Settings) -> str | None:
    from sentinel_core.registry.rest import production_version

    found = production_version(settings)
    return found.name if found else None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # A home that cannot be used is named where its folders are made.
        return {}
