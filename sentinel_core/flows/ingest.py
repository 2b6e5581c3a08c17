"""Ingest: rows from the generator, a file or the database become an immutable snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sentinel_core.datasets.cleaning import clean
from sentinel_core.datasets.columns import ColumnMap, did_you_mean
from sentinel_core.datasets.files import read_file
from sentinel_core.datasets.frames import canonical
from sentinel_core.datasets.snapshot import Snapshot, write_snapshot
from sentinel_core.errors import DataError
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.database import read_transactions
from sentinel_core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

SOURCES: Final = ("synthetic", "file", "database")


@dataclass(frozen=True, slots=True)
class Request:
    """What to make a snapshot of; `source` is synthetic, file or database.

    synthetic: `rows` generated rows, ending at the full hour before now, of which `fraud_rate` are fraud. file: the CSV
    or Parquet at `file`, read through the column map at `column_map`. database: every transaction of PostgreSQL with
    its label as it is known now.
    """

    source: str = "synthetic"
    rows: int = 100_000
    fraud_rate: float = 0.02
    seed: int = 0
    file: str | None = None
    column_map: str | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Request:
        """Take the fields of a request from the parameters of a DAG run, which hold others too."""
        return cls(**{field.name: params[field.name] for field in fields(cls) if field.name in params})


def make_snapshot(settings: Settings, request: Request, *, now: datetime, progress: Progress = silent) -> str:
    """Make a snapshot and return its id.

    Raises `DataError` (its subclasses name column, row and remedy), `StoreError` where PostgreSQL is away.
    """
    makers = {"synthetic": _synthetic, "file": _file, "database": _database}
    if request.source not in makers:
        raise DataError(
            f"expected a source among {', '.join(SOURCES)}, got {request.source!r}."
            f"{did_you_mean(request.source, SOURCES)}",
            remedy="Name one of them.",
        )
    return makers[request.source](settings, request, now, progress).id


def _synthetic(settings: Settings, request: Request, now: datetime, progress: Progress) -> Snapshot:
    from sentinel_core.synthetic import generate

    end = now.replace(minute=0, second=0, microsecond=0)
    progress(f"generating {request.rows:,} transactions up to {end:%Y-%m-%d %H:%M} UTC")
    frame = canonical(generate(request.rows, request.fraud_rate, request.seed, end=end))
    how = {"rows": request.rows, "fraud_rate": request.fraud_rate, "seed": request.seed, "end": end.isoformat()}
    # Reports that arrive after the end are not known yet: a training has to do without them.
    terms = {"profile": "synthetic", "floors": {}, "as_of": end.isoformat()}
    return _publish(settings, frame, {"kind": "synthetic", **how}, terms, now)


def _file(settings: Settings, request: Request, now: datetime, progress: Progress) -> Snapshot:
    if not request.file:
        raise DataError("expected a file for the source 'file', got none.", remedy="Name a CSV or Parquet file.")
    path = Path(request.file)
    column_map = ColumnMap.load(Path(request.column_map)) if request.column_map else ColumnMap()
    progress(f"reading {path.name}")
    reading = read_file(
        path,
        column_map,
        max_gb=settings.max_file_gb,
        progress=lambda rows: progress(f"reading {path.name}: {rows:,} rows"),
    )
    origin = {"kind": "file", "name": path.name, "columns": dict(column_map.columns or {})}
    terms = {"profile": path.stem, "floors": dict(column_map.floors)}
    return _publish(settings, reading.frame, origin, terms, now, reading.notes)


def _database(settings: Settings, request: Request, now: datetime, progress: Progress) -> Snapshot:
    frame = read_transactions(settings, now, progress)
    terms = {"profile": "database", "floors": {}, "as_of": now.isoformat()}
    return _publish(settings, frame, {"kind": "database"}, terms, now)


def _publish(
    settings: Settings,
    frame: pd.DataFrame,
    origin: Mapping[str, Any],
    terms: Mapping[str, Any],
    now: datetime,
    notes: tuple[str, ...] = (),
) -> Snapshot:
    frame, report = clean(frame, notes)
    terms = {"as_of": last_known(frame, settings).isoformat(), "label_delay_days": settings.label_delay_days, **terms}
    return write_snapshot(frame, settings.home, source=origin, terms=terms, cleaning=report.to_dict(), now=now)


def last_known(frame: pd.DataFrame, settings: Settings) -> datetime:
    """The moment at which everything in a file was known: its last label, or its last event where it has none."""
    last: pd.Timestamp = frame["timestamp"].max()
    if "is_fraud" in frame and frame["is_fraud"].notna().any():
        known = frame["timestamp"] + settings.label_delay
        if "labelled_at" in frame:
            known = frame["labelled_at"].fillna(known)
        last = max(last, known[frame["is_fraud"].notna()].max())
    return last.to_pydatetime()
