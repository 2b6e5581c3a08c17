"""The commands on data: generate, ingest, validate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, reporting
from sentinel_core.errors import DataError
from sentinel_core.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
File = Annotated[Path, typer.Argument(help="CSV or Parquet.")]
Columns = Annotated[Path | None, typer.Option(help="Column map, TOML: our_name = 'their name'.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (generate, ingest, validate):
        app.command()(command)


def generate(
    *,
    out: Annotated[Path, typer.Option(help="File to write, .csv or .parquet.")],
    rows: Annotated[int, typer.Option(help="How many transactions.")] = 100_000,
    fraud_rate: Annotated[float, typer.Option(help="Share of fraud, 0 to 0.2.")] = 0.02,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal rows.")] = 0,
    end: Annotated[datetime | None, typer.Option(help="Last moment, UTC; the present hour by default.")] = None,
    drift: Annotated[list[str] | None, typer.Option(help="A change of the world, such as amount=1.5.")] = None,
    json: Json = False,
) -> None:
    """Write generated transactions with labels to a file."""
    from sentinel_core.flows.generate import write_generated

    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) if end is None else end.replace(tzinfo=UTC)
    drifts = dict(_drift(text) for text in drift or ())
    with reporting() as reporter, reporter.step(f"Generating {out.name}") as tell:
        written = write_generated(
            out, rows=rows, fraud_rate=fraud_rate, seed=seed, end=last, drift=drifts, progress=tell
        )
    if json:
        print_json({"file": str(out), "rows": written, "end": last.isoformat(), "seed": seed})
    else:
        typer.echo(f"{out}: {written:,} transactions up to {last:%Y-%m-%d %H:%M} UTC.")


def ingest(
    file: Annotated[Path | None, typer.Argument(help="CSV or Parquet.")] = None,
    columns: Columns = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV or Parquet of chargebacks, reviews or outcomes of known transactions.")
    ] = None,
    from_database: Annotated[
        bool, typer.Option("--from-database", help="Rebuild the online histories from PostgreSQL: Redis was lost.")
    ] = False,
    json: Json = False,
) -> None:
    """Load a history, labelled or not, into PostgreSQL and the online histories; or what became of one."""
    given = {"FILE": file, "--labels": labels, "--from-database": from_database or None}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise DataError(
            f"expected --labels FILE, a FILE or --from-database, got {' and '.join(named) or 'neither'}.",
            remedy="sentinel ingest FILE loads a history, --labels FILE what became of its transactions; "
            "--from-database rebuilds a lost Redis.",
        )
    if file is not None:
        _ingest(file, columns, json)
    elif labels is not None:
        _ingest_labels(labels, columns, json)
    else:
        _rebuild(json)


def _ingest_labels(file: Path, columns: Path | None, json: bool) -> None:
    from sentinel_core.datasets.columns import ColumnMap
    from sentinel_core.flows.labels import ingest_labels
    from sentinel_core.schema import STATEMENT_COLUMN

    column_map = ColumnMap.load(columns, STATEMENT_COLUMN) if columns else ColumnMap(known=STATEMENT_COLUMN)
    with reporting() as reporter, reporter.step(f"Recording {file.name}") as tell:
        done = ingest_labels(load_settings(), file, column_map, now=datetime.now(UTC), progress=tell)
    if json:
        print_json(done)
    else:
        for name in ("labels", "outcomes"):
            if sum(done[name].values()):
                typer.echo(f"{name}: {done[name]['recorded']:,} recorded, {done[name]['known']:,} known before.")
        if done["unknown"]:
            typer.echo(f"{done['unknown']:,} rows are of unknown transactions. Send them again: {done['unknown_file']}")
    if done["rejected"]:
        raise DataError(
            f"{done['rejected']:,} of {done['rows']:,} rows were not understood, the first: {done['problem']}",
            remedy=f"They are in {done['rejected_file']}, and every other row is recorded.",
        )


def _rebuild(json: bool) -> None:
    from sentinel_core.flows.history import rebuild_history
    from sentinel_core.flows.risk import refresh_risk

    settings = load_settings()
    with reporting() as reporter:
        with reporter.step("Rebuilding the histories in Redis") as tell:
            loaded = rebuild_history(settings, progress=tell)
        with reporter.step("Refreshing the risk table") as tell:
            risk = refresh_risk(settings, now=datetime.now(UTC), progress=tell)
    if json:
        print_json({"histories": loaded, "risk": risk})
    else:
        counts = ", ".join(f"{count:,} {name}" for name, count in loaded.items())
        typer.echo(f"Histories in Redis, rebuilt from PostgreSQL, by kind: {counts}.")


def _ingest(file: Path, columns: Path | None, json: bool) -> None:
    from sentinel_core.flows.history import load_history
    from sentinel_core.flows.risk import refresh_risk
    from sentinel_core.flows.validate import validate_snapshot

    settings, now = load_settings(), datetime.now(UTC)
    with reporting() as reporter:
        snapshot, cleaning = read_snapshot(reporter, file, columns, now)
        with reporter.step("Validating") as tell:
            validate_snapshot(settings, snapshot, progress=tell)
        with reporter.step("Loading PostgreSQL and Redis") as tell:
            loaded = load_history(settings, snapshot, now=now, progress=tell)
        with reporter.step("Refreshing the risk table") as tell:
            risk = refresh_risk(settings, now=now, progress=tell)
    if json:
        print_json({"snapshot": snapshot, **loaded, "risk": risk, "cleaning": cleaning})
        return
    show_cleaning(cleaning)
    typer.echo(
        f"{loaded['new_transactions']:,} of {loaded['transactions']:,} transactions and {loaded['new_labels']:,} of "
        f"{loaded['labels']:,} known labels are new; histories of {loaded['users']:,} users (snapshot {snapshot})."
    )


def validate(file: File, columns: Columns = None, json: Json = False) -> None:
    """Clean a file and check it by the suite; nothing is loaded."""
    from sentinel_core.flows.validate import validate_snapshot

    with reporting() as reporter:
        snapshot, cleaning = read_snapshot(reporter, file, columns, datetime.now(UTC))
        with reporter.step("Validating") as tell:
            report = validate_snapshot(load_settings(), snapshot, progress=tell)
    if json:
        print_json({**report, "cleaning": cleaning})
        return
    show_cleaning(cleaning)
    typer.echo(
        f"{file.name}: {report['rows']:,} rows satisfy {report['evaluated']} expectations "
        f"({report['left_out']} on absent columns left out).\nData docs: {report['docs']}"
    )


def read_snapshot(reporter: Any, file: Path, columns: Path | None, now: datetime) -> tuple[str, dict[str, Any]]:
    """Read and clean a file into a snapshot; return its id and the cleaning report."""
    from sentinel_core.datasets.snapshot import load_snapshot
    from sentinel_core.flows.ingest import Request, make_snapshot

    settings = load_settings()
    request = Request("file", file=str(file), column_map=str(columns) if columns else None)
    with reporter.step(f"Reading {file.name}") as tell:
        snapshot = make_snapshot(settings, request, now=now, progress=tell)
    return snapshot, load_snapshot(settings.home, snapshot).manifest["cleaning"]


def show_cleaning(cleaning: dict[str, Any]) -> None:
    """Print what cleaning removed and noticed."""
    from sentinel_core.datasets.cleaning import CleaningReport

    for line in CleaningReport.from_dict(cleaning).lines():
        typer.echo(line)


def _drift(text: str) -> tuple[str, float]:
    name, separator, size = text.partition("=")
    try:
        return name, float(size)
    except ValueError:
        found = repr(text) if separator else f"{text!r} without '='"
        raise DataError(f"expected a drift such as amount=1.5, got {found}.", remedy="Write NAME=FACTOR.") from None
