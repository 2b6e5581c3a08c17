"""One process in the foreground, as the supervisor and containers start it: run, serve."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from sentinel_core.cli.output import reporting, split_names
from sentinel_core.settings import Settings, load_settings


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (run, serve):
        app.command()(command)


def run(
    name: Annotated[str, typer.Argument(help="A process, as `sentinel status` names it, migrations or first-model.")],
    rows: Annotated[int, typer.Option(min=1_000, help="Generated transactions that first-model trains on.")] = 100_000,
    model: Annotated[list[str] | None, typer.Option("--models", help="Its candidates, all by default.")] = None,
) -> None:
    """Become one process of the platform, in the foreground.

    Two names are no processes and end when they are done. migrations brings every schema to its newest revision.
    first-model trains by Airflow unless a model is in Production, and loads the history that it was trained on.
    """
    from sentinel_core.local.paths import Layout

    settings = load_settings()
    if name == "migrations":
        from sentinel_core.local.migrations import migrate_installed

        Layout.of(settings).make()
        migrate_installed(settings)
    elif name == "first-model":
        _first_model(settings, rows, split_names(model))
    else:
        from sentinel_core.local.processes import run as become

        become(settings, name)


def serve() -> None:
    """Run the scoring service alone, as its image does: with a key made and shown where none is known."""
    from sentinel_core.local.lone_service import check_stores, notices
    from sentinel_core.local.paths import Layout
    from sentinel_core.local.processes import run as become

    settings = load_settings()
    check_stores(settings)
    Layout.of(settings).make()
    for notice in notices(settings, datetime.now(UTC)):
        typer.echo(notice)
    sys.stdout.flush()
    become(settings, "serving")


def _first_model(settings: Settings, rows: int, models: Sequence[str] | None) -> None:
    from sentinel_core.local.first_model import make_first_model, warning_of

    with reporting() as reporter:
        version, trained = make_first_model(
            settings, rows=rows, models=models, clock=lambda: datetime.now(UTC), reporter=reporter
        )
    typer.echo(f"{'Trained and promoted' if trained else 'In Production already'}: {version}.")
    warning = warning_of(settings, version)
    if warning:
        typer.echo(f"! {warning}")
