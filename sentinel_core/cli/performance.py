"""The command performance: what each model's answers were worth, by day of the events and age."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sentinel_core.cli.output import print_json, print_table, reporting
from sentinel_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(performance)


def performance(
    *,
    days: Annotated[int, typer.Option(min=1, help="Of how many days of events, back from now.")] = 90,
    plot: Annotated[Path | None, typer.Option(help="Write a page with plots over time, HTML.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Measure the cohorts that are due and show live precision, recall, F1 and PR-AUC of each model, and estimates."""
    from sentinel_core.flows.performance import measure_performance, read_performance
    from sentinel_core.reports.performance import ESTIMATE_HEADER, HEADER, cells, estimate_cells, performance_document

    settings, now = load_settings(), datetime.now(UTC)
    with reporting() as reporter, reporter.step("live performance") as progress:
        measure_performance(settings, now=now, progress=progress)
        found = read_performance(settings, now=now, days=days)
    if plot is not None:
        from sentinel_core.reports.page import to_html

        plot.write_text(to_html(performance_document(found)), encoding="utf-8")
    if json:
        print_json(found)
        return
    for title, header, rows in (
        ("newest, days together", HEADER, [cells(row) for row in found["newest"]]),
        ("by day of the events", HEADER, [cells(row) for row in found["cohorts"]]),
        ("estimated from scores, no labels yet", ESTIMATE_HEADER, [estimate_cells(row) for row in found["estimates"]]),
    ):
        typer.echo(f"{title}" if rows else f"{title}: none yet")
        if rows:
            print_table([name.lower() for name in header], rows)
        typer.echo("")
