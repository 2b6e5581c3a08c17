"""The canonical frame as the kernel takes it: integers, hashes, labels with their times, raw categories."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.coerce import exact_cents
from sentinel_core.errors import DataError
from sentinel_core.features.events import Events, Labels, hash_distinct
from sentinel_core.schema import AMOUNT_MAX, BANK_TRANSFER, CATEGORY_COLUMNS, MICROS_PER_SECOND

if TYPE_CHECKING:
    import pandas as pd


def to_events(frame: pd.DataFrame, *, first_arrival: int = 0, ids: bool = True) -> Events:
    """Convert a validated canonical frame to events; row i arrives as number `first_arrival` + i.

    Columns that the frame lacks are null: hash 0, no bank transfer. Without `ids` so are the transaction ids: they are
    most of the work, and only histories need them. Raises `DataError` for an amount out of bounds.
    """
    amounts = frame["amount"].to_numpy(np.float64)
    good = (amounts >= 0) & (amounts <= AMOUNT_MAX)
    if not good.all():
        bad = int(np.flatnonzero(~good)[0])
        raise DataError(
            f"expected an amount from 0 to {AMOUNT_MAX} in every row, got {amounts[bad]} in row {frame.index[bad]:,}.",
            remedy="Validate first: sentinel validate FILE.",
        )
    return Events(
        id_hash=_hashed(frame, "transaction_id") if ids else np.zeros(len(frame), np.uint64),
        user=_hashed(frame, "user_id"),
        merchant=_hashed(frame, "merchant_id"),
        device=_hashed(frame, "device_id"),
        address=_hashed(frame, "ip_address"),
        country=_hashed(frame, "location_country"),
        time=micros(frame["timestamp"]),
        cents=exact_cents(amounts),
        arrival=np.arange(first_arrival, first_arrival + len(frame), dtype=np.int64),
        is_bank_transfer=_equals(frame, "transaction_type", BANK_TRANSFER),
    )


def to_labels(frame: pd.DataFrame, label_delay: timedelta) -> Labels:
    """Convert the labels of a canonical frame; one is known at `labelled_at`, else at timestamp + `label_delay`.

    A frame without labels gives none.
    """
    is_fraud, known_at = label_arrays(frame, label_delay)
    return Labels.of_rows(is_fraud, known_at)


def label_arrays(frame: pd.DataFrame, label_delay: timedelta) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return is_fraud (int8, -1 unknown) and the time at which it became known (µs), a value each row."""
    if "is_fraud" not in frame:
        return np.full(len(frame), -1, np.int8), np.zeros(len(frame), np.int64)
    is_fraud = np.asarray(frame["is_fraud"].astype("Int8").fillna(-1), dtype=np.int8)
    known = micros(frame["timestamp"]) + int(label_delay.total_seconds() * MICROS_PER_SECOND)
    if "labelled_at" in frame:
        given = frame["labelled_at"]
        known = np.where(given.notna().to_numpy(), micros(given), known)
    return is_fraud, known


def categories(frame: pd.DataFrame) -> Mapping[str, NDArray[Any]]:
    """Return the raw categories that accompany the vectors: object arrays of text or None, all of CATEGORY_COLUMNS."""
    absent = np.full(len(frame), None, dtype=object)
    return {name: _texts(frame[name]) if name in frame else absent for name in CATEGORY_COLUMNS}


def micros(times: pd.Series[Any]) -> NDArray[np.int64]:
    """Return times as µs since 1970 UTC; a missing one is the smallest int64."""
    moments: NDArray[Any] = times.dt.tz_convert(None).to_numpy("datetime64[us]")
    return moments.view(np.int64)


def _texts(series: pd.Series[Any]) -> NDArray[Any]:
    texts = np.array(series, dtype=object)
    texts[series.isna().to_numpy()] = None
    return texts


def _hashed(frame: pd.DataFrame, name: str) -> NDArray[np.uint64]:
    import pandas as pd

    if name not in frame:
        return np.zeros(len(frame), np.uint64)
    codes, texts = pd.factorize(frame[name])
    # The last entry is where the code of null, -1, points to.
    return np.append(hash_distinct(map(str, texts)), np.uint64(0))[codes]


def _equals(frame: pd.DataFrame, name: str, text: str) -> NDArray[np.bool_]:
    if name not in frame:
        return np.zeros(len(frame), np.bool_)
    return frame[name].eq(text).fillna(False).to_numpy(np.bool_)
