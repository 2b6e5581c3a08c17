"""The command features: a file's vectors, from memory, by a partitioned scan, or on a Spark cluster."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel_core.cli.data import Columns, File, Json, read_snapshot, show_cleaning
from sentinel_core.cli.output import print_json, reporting
from sentinel_core.errors import DataError, did_you_mean
from sentinel_core.settings import load_settings

ENGINES = ("local", "spark")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(features)


def features(
    file: File,
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    columns: Columns = None,
    *,
    engine: Annotated[str, typer.Option(help="local, or spark (needs the extra 'spark' and Java).")] = "local",
    partitions: Annotated[int | None, typer.Option(help="Scan in so many partitions: less memory each.")] = None,
    workers: Annotated[str | None, typer.Option(help="Scan with so many processes; 'all' takes every core.")] = None,
    master: Annotated[str | None, typer.Option(help="The cluster's URL for --engine spark; this machine else.")] = None,
    json: Json = False,
) -> None:
    """Write the feature vectors of a file: transaction_id, every feature in catalogue order, the raw categories.

    A file that does not fit into memory is scanned in partitions; --partitions and --workers ask for that.
    """
    from sentinel_core.flows.features import fits_memory

    processes = _checked(engine, partitions, workers, master)
    if not out.absolute().parent.is_dir():
        raise DataError(f"expected a folder for {out}, found none at {out.parent}.", remedy="Make it first.")
    settings = load_settings()
    if engine == "spark":
        result = _spark(settings, file, columns, out, (partitions, master))
    elif partitions or processes or not fits_memory(settings, file):
        result = _scan(settings, file, columns, out, (partitions, processes or 1))
    else:
        result = _whole(settings, file, columns, out)
    if json:
        print_json({"file": str(out), **result})
        return
    show_cleaning(result["cleaning"])
    typer.echo(f"{out}: vectors of {result['rows']:,} transactions.")


def _checked(engine: str, partitions: int | None, workers: str | None, master: str | None) -> int | None:
    """Return the number of processes, None where nobody asked; raises `DataError` for options that do not fit."""
    if engine not in ENGINES:
        raise DataError(
            f"expected an engine among {', '.join(ENGINES)}, got {engine!r}.{did_you_mean(engine, ENGINES)}",
            remedy="Name one of them.",
        )
    if partitions is not None and not 1 <= partitions <= 10_000:
        raise DataError(f"expected 1 to 10,000 partitions, got {partitions}.", remedy="Leave it out if in doubt.")
    if master is not None and engine != "spark":
        raise DataError(f"expected --master with --engine spark only, got {master!r}.", remedy="Add --engine spark.")
    if workers is not None and engine == "spark":
        raise DataError(
            f"expected --workers with --engine local only, got {workers!r}.",
            remedy="Spark's cores are the cluster's; on this machine: --master 'local[N]'.",
        )
    if workers is None:
        return None
    cores = os.cpu_count() or 1
    if workers == "all":
        return cores
    if not workers.isdecimal() or not 1 <= int(workers) <= 256:
        raise DataError(
            f"expected 'all' or 1 to 256 workers, got {workers!r}.", remedy=f"This machine has {cores} cores."
        )
    return int(workers)


def _whole(settings: Any, file: Path, columns: Path | None, out: Path) -> dict[str, Any]:
    from sentinel_core.flows.features import write_features

    with reporting() as reporter:
        snapshot, cleaning = read_snapshot(reporter, file, columns, datetime.now(UTC))
        with reporter.step("Building features") as tell:
            rows = write_features(settings, snapshot, out, progress=tell)
    return {"rows": rows, "snapshot": snapshot, "cleaning": cleaning}


def _scan(settings: Any, file: Path, columns: Path | None, out: Path, how: tuple[int | None, int]) -> dict[str, Any]:
    from sentinel_core.datasets.columns import ColumnMap
    from sentinel_core.flows.scan import scan_features

    column_map = ColumnMap.load(columns) if columns else ColumnMap()
    with reporting() as reporter, reporter.step(f"Building features of {file.name} in partitions") as tell:
        written = scan_features(settings, file, column_map, out, partitions=how[0], workers=how[1], progress=tell)
    return {
        "rows": written.rows,
        "engine": "local",
        "partitions": written.partitions,
        "workers": how[1],
        "cleaning": written.cleaning.to_dict(),
    }


def _spark(
    settings: Any, file: Path, columns: Path | None, out: Path, how: tuple[int | None, str | None]
) -> dict[str, Any]:
    from sentinel_core.datasets.columns import ColumnMap
    from sentinel_core.flows.spark import spark_features

    column_map = ColumnMap.load(columns) if columns else ColumnMap()
    with reporting() as reporter, reporter.step(f"Building features of {file.name} on Spark") as tell:
        written = spark_features(settings, file, column_map, out, partitions=how[0], master=how[1], progress=tell)
    return {
        "rows": written.rows,
        "engine": "spark",
        "partitions": written.partitions,
        "cleaning": written.cleaning.to_dict(),
    }
