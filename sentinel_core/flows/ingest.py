"""Ingest: rows from the generator, a file or the database become an immutable snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sentinel_core.datasets.cleaning import CleaningReport, clean
from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.files import read_file
from sentinel_core.datasets.frames import canonical
from sentinel_core.datasets.logged import LoggedVectors
from sentinel_core.datasets.snapshot import Snapshot, write_snapshot
from sentinel_core.errors import DataError, did_you_mean
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.database import read_transactions
from sentinel_core.flows.logged import read_logged
from sentinel_core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

SOURCES: Final = ("synthetic", "file", "database")


@dataclass(frozen=True, slots=True)
class Request:
    """What to make a snapshot of; `source` is synthetic, file or database.

    synthetic: `rows` generated rows, ending at the full hour before now, of which `fraud_rate` are fraud. file: the CSV
    or Parquet at `file`, read through the column map at `column_map`. database: every transaction of PostgreSQL with
    its label as it is known now; or as it was known at `as_of`, from what had been recorded by `recorded_by` (ISO 8601,
    UTC where they have no zone; `as_of` by default): what was made then is made again, under the same id. The vectors
    that were logged by then come along (docs/decisions/0024).
    """

    source: str = "synthetic"
    rows: int = 100_000
    fraud_rate: float = 0.02
    seed: int = 0
    file: str | None = None
    column_map: str | None = None
    as_of: str | None = None
    recorded_by: str | None = None

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
    if request.source != "database" and (request.as_of or request.recorded_by):
        raise DataError(
            f"expected a moment of the past for the source 'database' alone, got one for {request.source!r}.",
            remedy="Leave as_of and recorded_by out, or name the database.",
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
    return _publish(settings, clean(frame), {"kind": "synthetic", **how}, terms, now)


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
    return _publish(settings, clean(reading.frame, reading.notes), origin, terms, now)


def _database(settings: Settings, request: Request, now: datetime, progress: Progress) -> Snapshot:
    as_of = _past(request.as_of, "as_of", now)
    recorded_by = _past(request.recorded_by, "recorded_by", now) if request.recorded_by else as_of
    frame, report = clean(read_transactions(settings, as_of, progress, recorded_by=recorded_by))
    # What of the log had been recorded by then does not change any more: the rows were waited for.
    logged = read_logged(settings, frame, as_of=as_of, recorded_by=recorded_by, progress=progress)
    # What the rows depend on besides the tables: with these terms they can be made again. The label window also says
    # that the newest days are split by users: what is new has to be learned (docs/decisions/0023).
    times = {"as_of": as_of.isoformat(), "recorded_by": recorded_by.isoformat()}
    terms = {"profile": "database", "floors": {}, **times, "label_window_days": settings.label_window_days}
    return _publish(settings, (frame, report), {"kind": "database"}, terms, now, logged)


def _past(given: str | None, name: str, now: datetime) -> datetime:
    if given is None:
        return now
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        moment = None
    if moment is not None:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment is None or moment > now:
        raise DataError(
            f"expected {name} to be a moment up to now ({now.isoformat()}), got {given!r}.",
            remedy="Write it in ISO 8601, as `sentinel trace --snapshot ID` shows that of a snapshot.",
        )
    return moment


def _publish(
    settings: Settings,
    cleaned: tuple[pd.DataFrame, CleaningReport],
    origin: Mapping[str, Any],
    terms: Mapping[str, Any],
    now: datetime,
    logged: LoggedVectors | None = None,
) -> Snapshot:
    frame, report = cleaned
    terms = {"as_of": last_known(frame, settings).isoformat(), "label_delay_days": settings.label_delay_days, **terms}
    done = report.to_dict()
    return write_snapshot(frame, settings.home, source=origin, terms=terms, cleaning=done, now=now, logged=logged)


def last_known(frame: pd.DataFrame, settings: Settings) -> datetime:
    """The moment at which everything in a file was known: its last label, or its last event where it has none."""
    last: pd.Timestamp = frame["timestamp"].max()
    if "is_fraud" in frame and frame["is_fraud"].notna().any():
        known = frame["timestamp"] + settings.label_delay
        if "labelled_at" in frame:
            known = frame["labelled_at"].fillna(known)
        last = max(last, known[frame["is_fraud"].notna()].max())
    return last.to_pydatetime()
