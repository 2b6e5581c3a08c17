"""The command simulate: weeks of traffic, labels and checks in minutes, on servers of their own."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting, split_names
from sentinel_core.errors import DataError
from sentinel_core.settings import load_settings

_FACTS = ("transactions", "frauds", "windows", "false_alarms", "alerts", "retrainings", "promotions", "seconds")
_FOLDER = "simulations"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(simulate)


def simulate(  # noqa: PLR0913 (an option each)
    *,
    scenario: Annotated[str, typer.Option(help="none, gradual, sudden or new_fraud_pattern.")] = "none",
    days: Annotated[int, typer.Option(help="Days in operation, 2 to 180.")] = 60,
    rows_a_day: Annotated[int, typer.Option(help="Transactions a day.")] = 2_500,
    fraud_rate: Annotated[float, typer.Option(help="Share of fraud in them.")] = 0.02,
    change_day: Annotated[int | None, typer.Option(help="Days before the world changes; a third of all.")] = None,
    explore: Annotated[float, typer.Option(help="Share of declined traffic that goes through.")] = 0.1,
    model: Annotated[list[str] | None, typer.Option("--models", help="Candidates of each training.")] = None,
    seed: Annotated[int, typer.Option(help="Of the world; the same seed gives the same figures.")] = 0,
    report: Annotated[Path | None, typer.Option(help="The page to write, HTML.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Drive the real training, gate, registry and checks by a simulated clock, and show what they noticed and did.

    Runs on a PostgreSQL, a Redis and an MLflow of its own, which are gone afterwards: a running system notices nothing.
    """
    if report and not report.parent.is_dir():
        raise DataError(f"expected a folder at {report.parent}, found none.", remedy="Make it first.")
    from sentinel_core.flows.simulation.plan import Plan
    from sentinel_core.flows.simulation.run import simulate as run
    from sentinel_core.local.sandbox import sandbox
    from sentinel_core.reports.page import to_html
    from sentinel_core.reports.simulation import simulation_document

    settings = load_settings()
    plan = Plan(
        scenario,
        days=days,
        rows_a_day=rows_a_day,
        fraud_rate=fraud_rate,
        seed=seed,
        change_day=change_day,
        explore_share=explore,
        **({"models": tuple(split_names(model) or ())} if model else {}),
    )
    page = report or settings.home / _FOLDER / f"{scenario}-{days}d-{rows_a_day}-{seed}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix=".running-", dir=page.parent)))
        reporter = running.enter_context(reporting())
        with reporter.step("PostgreSQL, Redis and MLflow of its own"):
            ours = running.enter_context(sandbox(settings, folder))
        with reporter.step(f"{days} days, {scenario}") as progress:
            outcome = run(ours, plan, progress=progress)
    page.write_text(to_html(simulation_document(outcome)), encoding="utf-8")
    if json:
        print_json({**outcome, "report": str(page)})
        return
    _show(outcome)
    typer.echo(f"page: {page}")


def _show(outcome: dict[str, Any]) -> None:
    print_table(("", outcome["scenario"]), [(name.replace("_", " "), outcome[name]) for name in _FACTS])
