"""The transactions of PostgreSQL as a frame, each with the label and the outcome that are known at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sentinel_core.datasets.events import label_arrays, micros
from sentinel_core.datasets.frames import canonical
from sentinel_core.errors import EmptyDataError
from sentinel_core.features.events import Labels
from sentinel_core.flows import Progress, silent
from sentinel_core.schema import COLUMN, REQUEST_COLUMNS
from sentinel_core.settings import Settings
from sentinel_core.training.maturity import WENT_THROUGH

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (*REQUEST_COLUMNS, "currency", "outcome", "propensity", "is_fraud", "labelled_at")
SAID_IN: Final = ("transactions", "prediction_logs", "labels", "outcomes")
WAIT_SECONDS: Final = 60.0
"""How long a reader that must be repeatable waits for what is being written as it begins."""


def read_transactions(
    settings: Settings,
    as_of: datetime,
    progress: Progress = silent,
    *,
    since: datetime | None = None,
    recorded_by: datetime | None = None,
) -> pd.DataFrame:
    """Read every transaction that had arrived by `as_of` (and happened after `since`), in arrival order, canonically.

    Labels and outcomes are the latest known at `as_of`; without an outcome the decision that we gave counts. With
    `recorded_by`, what was recorded later does not count: the frame is what a reader saw then. An unlabelled
    transaction that was approved or explored matures to legitimate after the label window; a declined or challenged
    one stays unlabelled for ever, as does one of which nobody knows. Columns that hold nothing are left out.
    Raises `EmptyDataError` where there is none, `StoreError` where PostgreSQL is away.
    """
    from sentinel_core.stores.postgres import await_writers, connected, make_engine
    from sentinel_core.stores.reading import read_training_rows

    chunks: list[Mapping[str, Any]] = []
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            if recorded_by is not None:
                # One of them may say that it recorded before this moment.
                await_writers(conn, SAID_IN, seconds=WAIT_SECONDS)
            for chunk in read_training_rows(conn, as_of=as_of, recorded_by=recorded_by, since=since):
                chunks.append(chunk)
                progress(f"reading PostgreSQL: {sum(len(c['timestamp']) for c in chunks):,} rows")
    finally:
        engine.dispose()
    if not chunks:
        raise EmptyDataError(
            f"expected transactions in PostgreSQL, found none{_bounds(as_of, recorded_by)}.",
            remedy="Load some: sentinel ingest FILE, or send traffic."
            + (" For a moment before they were loaded, say until when recordings count." if recorded_by else ""),
        )
    return canonical(_frame(chunks, settings, as_of))


def known_labels(frame: pd.DataFrame, label_delay: timedelta) -> Labels:
    """Return what risk tables know of the rows of the database: labels, and payments that nobody complained about.

    What went through counts as legitimate from `label_delay` after it happened, until a label says otherwise. A risk
    looks back over weeks: were silence to count after the label window only, as in a training, every label that it sees
    would be a fraud.
    """
    is_fraud, known_at = label_arrays(frame, label_delay)
    said = np.flatnonzero(is_fraud >= 0)
    silent_from = micros(frame["timestamp"]) + label_delay // timedelta(microseconds=1)
    outcome = frame["outcome"].fillna("") if "outcome" in frame else np.full(len(frame), "")
    silent = np.flatnonzero(
        np.isin(np.array(outcome, dtype=str), WENT_THROUGH) & ((is_fraud < 0) | (known_at > silent_from))
    )
    return Labels.of(
        np.concatenate((said, silent)),
        np.concatenate((is_fraud[said] > 0, np.zeros(len(silent), np.bool_))),
        np.concatenate((known_at[said], silent_from[silent])),
    )


def _frame(chunks: Sequence[Mapping[str, Any]], settings: Settings, as_of: datetime) -> pd.DataFrame:
    import pandas as pd

    raw = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in COLUMNS}
    matured_at = raw["timestamp"] + np.timedelta64(settings.label_window)
    matures = (
        (raw["is_fraud"] < 0)
        & np.isin(raw["outcome"].astype(str), WENT_THROUGH)
        & (matured_at <= np.datetime64(as_of.astimezone(UTC).replace(tzinfo=None), "us"))
    )
    raw["is_fraud"] = np.where(matures, 0, raw["is_fraud"])
    raw["labelled_at"] = np.where(matures, matured_at, raw["labelled_at"])
    columns: dict[str, Any] = {name: pd.Series(raw[name]) for name in COLUMNS}
    columns["is_fraud"] = columns["is_fraud"].astype("Int8").where(raw["is_fraud"] >= 0)
    for name in ("timestamp", "labelled_at"):
        columns[name] = columns[name].dt.tz_localize("UTC")
    return pd.DataFrame({n: c for n, c in columns.items() if COLUMN[n].required_in_data or c.notna().any()})


def _bounds(as_of: datetime, recorded_by: datetime | None) -> str:
    if recorded_by is None:
        return ""
    return (
        f" that had arrived by {as_of:%Y-%m-%d %H:%M:%S} and had been recorded by {recorded_by:%Y-%m-%d %H:%M:%S} UTC"
    )
