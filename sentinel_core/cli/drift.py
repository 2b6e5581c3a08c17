"""The command drift: has the traffic changed since the champion's hold-out?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting
from sentinel_core.monitoring.drift_reliability import HOW, MEASURED
from sentinel_core.settings import load_settings

SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(drift)


def drift(
    *,
    past: Annotated[bool, typer.Option("--list", help="Show past checks instead of making one.")] = False,
    html: Annotated[bool, typer.Option(help="Let Evidently draw the page.")] = True,
    evidently: Annotated[bool, typer.Option(help="Ask Evidently's preset too; without it there is no page.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Judge the champion's newest answers against its hold-out and write it down, as the DAG drift_check does.

    Two verdicts are stored: SentinelML's, and that of Evidently's preset, which is wrong more often.
    """
    from sentinel_core.flows.drift import check_drift, read_report, read_reports

    settings = load_settings()
    if past:
        rows = read_reports(settings)
        if json:
            print_json(rows)
            return
        names = ("window_end", "model_version", "sample_size", "verdict", "evidently_verdict", "severity", "reason")
        header = ("at", "model", "rows", "verdict", "Evidently", "severity", "reason")
        print_table(header, [[row[name] for name in names] for row in rows])
        return
    with reporting() as reporter, reporter.step("drift") as progress:
        done = check_drift(settings, now=datetime.now(UTC), html=html, evidently=evidently, progress=progress)
    full = read_report(settings, done["id"])
    if json:
        columns = full["evidently_columns"]
        measured = {"how": HOW, "said_drift": [asdict(one) for one in MEASURED]}
        print_json({**done, "figures": full["figures"], "evidently_columns": columns, "measured": measured})
        return
    typer.echo(f"{done['verdict']}: {done['reason']}")
    if figures := full["figures"].get("figures"):
        titles = ("variable", "PSI", "threshold", "band", "KS", "threshold", "p (KS)", "p", "rejected", "no say, since")
        ranked = sorted(figures, key=lambda one: one["p_value"])
        print_table(titles, [_cells(one) for one in ranked[:SHOWN]])
    if done["evidently_reason"]:
        show_evidently(done["evidently_verdict"], done["evidently_reason"])
    if done["report_path"]:
        typer.echo(f"page: {settings.home / done['report_path']}")


def show_evidently(verdict: str | None, reason: str) -> None:
    """Print Evidently's verdict, and how often it and ours are wrong."""
    typer.echo(f"Evidently's preset: {verdict or 'no verdict'}: {reason}")
    if verdict:
        typer.echo(f"{HOW}:")
        print_table(("windows", "SentinelML", "Evidently"), [list(asdict(one).values()) for one in MEASURED])


def _cells(figure: dict[str, Any]) -> list[object]:
    numbers = [
        f"{figure[name]:.3g}" for name in ("psi", "psi_threshold", "ks", "ks_threshold", "ks_p_value", "p_value")
    ]
    psi, psi_bound, ks, ks_bound, ks_p, p = numbers
    rejected = "yes" if figure["rejected"] else ""
    return [figure["name"], psi, psi_bound, figure["band"], ks, ks_bound, ks_p, p, rejected, figure["reason"]]
