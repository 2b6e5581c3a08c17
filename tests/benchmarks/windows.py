"""The Handbook's customer and terminal windows over its whole file: the kernel's way against pandas, side by side."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentinel_core.datasets.coerce import exact_cents
from sentinel_core.features.arrivals import Arrivals
from sentinel_core.features.blocks import ordered_blocks
from sentinel_core.features.entities import MERCHANT, MICROS_PER_DAY, USER, EntityKind
from sentinel_core.features.events import Events
from tests.datasets.test_handbook import FILE

DAYS: Final = (1, 7, 30)
DELAY: Final = 7
_MIXED: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
"""Odd, so that different ids stay different: what stands for the hash of an id that is a number."""
_FAR: Final = 400 * MICROS_PER_DAY
"""Longer than the file: the definitions of the book know neither horizon nor cap."""


def run() -> dict[str, Any]:
    """Return seconds of both, their ratio, and how far their results differ; nothing where the file is absent."""
    if not FILE.is_file():
        return {"skipped": "the benchmark file is not here: name it by SENTINEL_HANDBOOK"}
    columns = ["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]
    frame = pd.read_parquet(FILE, columns=columns).sort_values("TX_DATETIME", kind="stable").reset_index(drop=True)
    cores = os.cpu_count() or 1
    ours, seconds = _timed(lambda: by_kernel(frame, threads=cores), times=7)
    _, one_thread = _timed(lambda: by_kernel(frame, threads=1), times=5)
    theirs, reference = _timed(lambda: by_pandas(frame), times=1)
    return {
        "rows": len(frame),
        "kernel_seconds": round(seconds, 3),
        "kernel_seconds_on_one_thread": round(one_thread, 3),
        "pandas_seconds": round(reference, 2),
        "times_as_fast": round(reference / seconds, 1),
        "times_as_fast_on_one_thread": round(reference / one_thread, 1),
        "rows_per_s": round(len(frame) / seconds),
        "largest_difference": {name: float(np.nanmax(np.abs(ours[name] - theirs[name]))) for name in theirs},
    }


def by_kernel(frame: pd.DataFrame, *, threads: int) -> dict[str, NDArray[np.float64]]:
    """Compute the windows with sorted keys and prefix sums, as the kernel does."""
    n = len(frame)
    nothing = np.zeros(n, np.uint64)
    events = Events(
        id_hash=nothing,
        user=frame["CUSTOMER_ID"].to_numpy().astype(np.uint64) * _MIXED,
        merchant=frame["TERMINAL_ID"].to_numpy().astype(np.uint64) * _MIXED,
        device=nothing,
        address=nothing,
        country=nothing,
        time=frame["TX_DATETIME"].to_numpy("datetime64[us]").view(np.int64),
        cents=exact_cents(frame["TX_AMOUNT"].to_numpy()),
        arrival=np.arange(n),
        is_bank_transfer=np.zeros(n, np.bool_),
    )
    spans = np.array(DAYS) * MICROS_PER_DAY
    frauds = replace(events, cents=frame["TX_FRAUD"].to_numpy().astype(np.int64))
    delay = DELAY * MICROS_PER_DAY

    def customer(count: NDArray[np.int64], total: NDArray[np.int64]) -> list[NDArray[Any]]:
        return [count, total / count / 100.0]

    def terminal(count: NDArray[np.int64], total: NDArray[np.int64]) -> list[NDArray[Any]]:
        transactions, known = count[1:] - count[0], total[1:] - total[0]
        return [transactions, known / np.maximum(transactions, 1)]

    with ThreadPoolExecutor(threads) as pool:
        delayed = np.concatenate(([delay], spans + delay))
        two = (
            pool.submit(_windows, events, _without_limits(USER), spans, customer),
            pool.submit(_windows, frauds, _without_limits(MERCHANT), delayed, terminal),
        )
        customers, terminals = (one.result() for one in two)
    names = [f"{what}_{days}d" for what in ("customer_count", "customer_mean") for days in DAYS]
    values = dict(zip(names, customers.T, strict=True))
    names = [f"{what}_{days}d" for what in ("terminal_count", "terminal_risk") for days in DAYS]
    return values | dict(zip(names, terminals.T, strict=True))


def by_pandas(frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Compute the windows as the book does: a rolling window on each customer's and each terminal's own frame."""

    def customer(own: pd.DataFrame) -> pd.DataFrame:
        amount = own.set_index("TX_DATETIME")["TX_AMOUNT"]
        found = pd.DataFrame(index=own.index)
        for days in DAYS:
            window = amount.rolling(f"{days}D")
            found[f"customer_count_{days}d"] = window.count().to_numpy()
            found[f"customer_mean_{days}d"] = (window.sum() / window.count()).to_numpy()
        return found

    def terminal(own: pd.DataFrame) -> pd.DataFrame:
        fraud = own.set_index("TX_DATETIME")["TX_FRAUD"]
        found = pd.DataFrame(index=own.index)
        recent = fraud.rolling(f"{DELAY}D")
        recent_frauds, recent_count = recent.sum().to_numpy(), recent.count().to_numpy()
        for days in DAYS:
            window = fraud.rolling(f"{DELAY + days}D")
            frauds, count = window.sum().to_numpy() - recent_frauds, window.count().to_numpy() - recent_count
            found[f"terminal_count_{days}d"] = count
            with np.errstate(invalid="ignore"):
                found[f"terminal_risk_{days}d"] = np.nan_to_num(frauds / count)
        return found

    parts = [
        frame.groupby("CUSTOMER_ID")[["TX_DATETIME", "TX_AMOUNT"]].apply(customer).droplevel(0),
        frame.groupby("TERMINAL_ID")[["TX_DATETIME", "TX_FRAUD"]].apply(terminal).droplevel(0),
    ]
    whole = pd.concat([part.sort_index() for part in parts], axis=1)
    return {str(name): whole[name].to_numpy(np.float64) for name in whole}


def _without_limits(kind: EntityKind) -> EntityKind:
    return replace(kind, longest_window_us=_FAR, cap=10**9, seen=("cents",))


def _windows(
    events: Events,
    kind: EntityKind,
    spans: NDArray[np.int64],
    figures: Callable[[NDArray[np.int64], NDArray[np.int64]], list[NDArray[Any]]],
) -> NDArray[np.float64]:
    """Return `figures` of count and sum of `cents` over (t − span, t], the row itself included, shape (rows, 6)."""
    values = np.empty((len(events), 2 * len(DAYS)))
    arrivals = Arrivals.of(events, kind)
    for part, block in ordered_blocks(events, arrivals.order, arrivals.starts, kind):
        first = np.maximum(block.key.searchsorted(block.row_key - spans[:, np.newaxis], side="right"), block.floor)
        sums = np.concatenate(([0], block.columns["cents"].cumsum()))
        found = figures(block.end + 1 - first, sums[block.end + 1] - sums[first])
        values[arrivals.order[part]] = np.concatenate(found).T
    return values


def _timed(call: Callable[[], Any], *, times: int) -> tuple[Any, float]:
    seconds, found = [], None
    for _ in range(times):
        begun = time.perf_counter()
        found = call()
        seconds.append(time.perf_counter() - begun)
    return found, statistics.median(seconds)
