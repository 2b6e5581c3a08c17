"""The command ablation: what each group of features, and each proposal, is worth on a data set."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting
from sentinel_core.errors import DataError
from sentinel_core.settings import load_settings

_COLUMNS = ("what", "kind", "without", "with", "difference", "95% interval", "seconds")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(ablation)


def ablation(
    file: Annotated[Path | None, typer.Argument(help="CSV or Parquet; generated rows without it.")] = None,
    *,
    columns: Annotated[Path | None, typer.Option(help="The file's column map, TOML.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Generate so many transactions.")] = None,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each model in each fold.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="A group, feature or proposal; may be repeated.")] = None,
    report: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show what features are worth: average precision with and without them, in folds before the test part."""
    if (file and rows) or (columns and not file):
        raise DataError(
            "expected FILE [--columns MAP] or --rows N, "
            f"got {'both' if rows and file else '--columns without a file'}.",
            remedy="Name one source.",
        )
    if report and not report.parent.is_dir():
        raise DataError(f"expected a folder at {report.parent}, found none.", remedy="Make it first.")
    from sentinel_core.flows.ablation import run_ablation
    from sentinel_core.flows.ingest import Request, make_snapshot
    from sentinel_core.flows.whole_file import write_json

    request = Request(
        source="file" if file else "synthetic",
        rows=rows or 100_000,
        seed=seed,
        file=str(file) if file else None,
        column_map=str(columns) if columns else None,
    )
    settings = load_settings()
    named = file.name if file else f"{request.rows:,} generated transactions"
    with reporting() as reporter:
        with reporter.step(f"Reading {named}") as tell:
            snapshot = make_snapshot(settings, request, now=datetime.now(UTC), progress=tell)
        with reporter.step(f"Fitting models on {named}") as tell:
            found = run_ablation(settings, snapshot, seeds=seeds, only=only, progress=tell)
    if report:
        write_json(found, report)
    if json:
        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    print_table(_COLUMNS, [_row(finding) for finding in found["findings"]])
    judged = ", ".join(f"{start:.10} to {end:.10}" for start, end in (fold["judge"] for fold in found["folds"]))
    typer.echo(
        f"\nAverage precision of the catalogue: {found['pr_auc']:.4f} over {found['seeds']} seeds in the folds that "
        f"judge {judged}; {found['seconds']:.0f} s (snapshot {found['snapshot']})."
    )


def _row(finding: dict[str, Any]) -> tuple[str, ...]:
    if finding["difference"] is None:
        return finding["name"], finding["kind"], "", "", "", "constant in this data", ""
    return (
        finding["name"],
        finding["kind"],
        f"{finding['without']:.4f}",
        f"{finding['with']:.4f}",
        f"{finding['difference']:+.4f}",
        f"{finding['low']:+.4f} to {finding['high']:+.4f}",
        f"{finding['seconds']:.1f}",
    )
