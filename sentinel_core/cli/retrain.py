"""The command retrain: decide whether to train again, start what is due, show what was decided."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting
from sentinel_core.settings import Settings, load_settings

_LISTED = ("created_at", "decision", "run_id", "outcome", "version", "reason")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(retrain)


def retrain(
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Train even where there is little new to learn; the gate stays.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the log of decisions.")] = "",
    decisions: Annotated[bool, typer.Option("--list", help="Show past decisions, and decide nothing.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="With --list: so many of the newest.")] = 24,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Decide whether to train on the database again; start it in Airflow where that runs, else here."""
    settings = load_settings()
    if decisions:
        _list(settings, limit, json=json)
        return
    decided = _decide(settings, force=force, why=reason)
    if json:
        print_json(decided)
        return
    typer.echo(f"{decided['decision'].replace('_', ' ')}: {decided['reason']}.")
    if decided["started"]:
        typer.echo(f"Started: {decided['started']}. See `sentinel retrain --list` and `sentinel models`.")


def _decide(settings: Settings, *, force: bool, why: str) -> dict[str, Any]:
    from sentinel_core.flows.retrain import check_retraining, train_here
    from sentinel_core.local.retraining import active_trainings, train_in_airflow

    with reporting() as reporter:
        with reporter.step("Airflow"):
            active = active_trainings(settings)

        def here(params: Mapping[str, Any]) -> str:
            with reporter.step("Training on PostgreSQL, in this process") as tell:
                train = train_here(settings, clock=_now, active=partial(active_trainings, settings), progress=tell)
                return train(params)

        return check_retraining(
            settings,
            now=_now(),
            forced=force,
            actor=getpass.getuser(),
            why=why,
            active=active,
            start=here if active is None else train_in_airflow(settings),
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _list(settings: Settings, limit: int, *, json: bool) -> None:
    from sentinel_core.flows.retrain import read_decisions

    found = read_decisions(settings, now=_now(), limit=limit)
    if json:
        print_json(found)
        return
    if not found:
        typer.echo("Nothing was decided yet.")
        return
    print_table([name.replace("_", " ") for name in _LISTED], [[_cell(row[name]) for name in _LISTED] for row in found])


def _cell(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else "" if value is None else str(value)
