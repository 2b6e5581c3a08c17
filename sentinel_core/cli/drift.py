"""The command drift: has the traffic changed since the champion's hold-out?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting
from sentinel_core.settings import load_settings

SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(drift)


def drift(
    *,
    past: Annotated[bool, typer.Option("--list", help="Show past checks instead of making one.")] = False,
    html: Annotated[bool, typer.Option(help="Let Evidently draw the page.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Judge the champion's newest answers against its hold-out and write it down, as the DAG drift_check does."""
    from sentinel_core.flows.drift import check_drift, read_report, read_reports

    settings = load_settings()
    if past:
        rows = read_reports(settings)
        if json:
            print_json(rows)
            return
        names = ("window_end", "model_version", "sample_size", "verdict", "severity", "reason")
        print_table(
            ("at", "model", "rows", "verdict", "severity", "reason"), [[row[name] for name in names] for row in rows]
        )
        return
    with reporting() as reporter, reporter.step("drift") as progress:
        done = check_drift(settings, now=datetime.now(UTC), html=html, progress=progress)
    full = read_report(settings, done["id"])
    if json:
        print_json({**done, "figures": full["figures"]})
        return
    typer.echo(f"{done['verdict']}: {done['reason']}")
    if figures := full["figures"].get("figures"):
        header = ("variable", "PSI", "threshold", "band", "KS", "threshold", "p (KS)", "p", "rejected", "no say, since")
        ranked = sorted(figures, key=lambda one: one["p_value"])
        print_table(header, [_cells(one) for one in ranked[:SHOWN]])
    if done["report_path"]:
        typer.echo(f"page: {settings.home / done['report_path']}")


def _cells(figure: dict[str, Any]) -> list[object]:
    numbers = [
        f"{figure[name]:.3g}" for name in ("psi", "psi_threshold", "ks", "ks_threshold", "ks_p_value", "p_value")
    ]
    psi, psi_bound, ks, ks_bound, ks_p, p = numbers
    rejected = "yes" if figure["rejected"] else ""
    return [figure["name"], psi, psi_bound, figure["band"], ks, ks_bound, ks_p, p, rejected, figure["reason"]]
