"""The transactions of PostgreSQL as a frame, each with the label that is known now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from sentinel_core.datasets.frames import canonical
from sentinel_core.errors import EmptyDataError
from sentinel_core.flows import Progress, silent
from sentinel_core.schema import COLUMN, REQUEST_COLUMNS
from sentinel_core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (*REQUEST_COLUMNS, "currency", "outcome", "propensity", "is_fraud", "labelled_at")


def read_transactions(
    settings: Settings, now: datetime, progress: Progress = silent, *, since: datetime | None = None
) -> pd.DataFrame:
    """Read every transaction that had arrived by `now` (and happened after `since`), in arrival order, canonically.

    Labels are the latest known at `now`. An unlabelled transaction that was approved matures to legitimate after the
    label window; a declined or challenged one stays unlabelled for ever. Columns that hold nothing are left out.
    Raises `EmptyDataError` where there is none, `StoreError` where PostgreSQL is away.
    """
    from sentinel_core.stores.postgres import connected, make_engine
    from sentinel_core.stores.reading import read_training_rows

    chunks: list[Mapping[str, Any]] = []
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            for chunk in read_training_rows(conn, as_of=now, since=since):
                chunks.append(chunk)
                progress(f"reading PostgreSQL: {sum(len(c['timestamp']) for c in chunks):,} rows")
    finally:
        engine.dispose()
    if not chunks:
        raise EmptyDataError(
            "expected transactions in PostgreSQL, found none.",
            remedy="Load some: sentinel ingest FILE, or send traffic.",
        )
    return canonical(_frame(chunks, settings, now))


def _frame(chunks: Sequence[Mapping[str, Any]], settings: Settings, now: datetime) -> pd.DataFrame:
    import pandas as pd

    raw = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in (*COLUMNS, "prediction")}
    matured_at = raw["timestamp"] + np.timedelta64(settings.label_window)
    matures = (
        (raw["is_fraud"] < 0)
        & ((raw["outcome"] == "approved") | (pd.isna(raw["outcome"]) & (raw["prediction"] == 0)))
        & (matured_at <= np.datetime64(now.replace(tzinfo=None), "us"))
    )
    raw["is_fraud"] = np.where(matures, 0, raw["is_fraud"])
    raw["labelled_at"] = np.where(matures, matured_at, raw["labelled_at"])
    columns: dict[str, Any] = {name: pd.Series(raw[name]) for name in COLUMNS}
    columns["is_fraud"] = columns["is_fraud"].astype("Int8").where(raw["is_fraud"] >= 0)
    for name in ("timestamp", "labelled_at"):
        columns[name] = columns[name].dt.tz_localize("UTC")
    return pd.DataFrame({n: c for n, c in columns.items() if COLUMN[n].required_in_data or c.notna().any()})
