"""Parity: the vectors that the service logged against those of the offline build, bit for bit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.events import to_events
from sentinel_core.datasets.frames import canonical
from sentinel_core.errors import RegistryError
from sentinel_core.features.build import Vectors, build_offline
from sentinel_core.features.catalog import FEATURE_NAMES, catalogue_hash
from sentinel_core.features.entities import TOUCHED, USER
from sentinel_core.features.events import Stamps
from sentinel_core.features.risk import RiskTable, ServedTables
from sentinel_core.schema import REQUEST_COLUMNS
from sentinel_core.settings import Settings

SAMPLE: Final = 10
Logged = Mapping[str, NDArray[Any]]
"""Columns of `stores.reading.read_training_rows` with vectors, in order of arrival."""


def compare(settings: Settings, logged: Logged, ids: Sequence[str]) -> dict[str, Any]:
    """Compare logged vectors with those of the offline build over the same events in their order of arrival.

    `ids` names the transactions to compare; `logged` holds them and whatever lies in their histories. A row is left
    out, and counted by reason, that has no answer, was scored degraded, or was logged under other definitions.
    """
    wanted = np.isin(logged["transaction_id"].astype(str), np.array(ids, dtype=str))
    tables = served_tables(settings, logged)
    known = np.isin(_midnights(logged), [0, *tables])
    reasons = {
        "no answer": np.array([vector is None for vector in logged["features"]], np.bool_),
        "degraded": logged["degraded"] == 1,
        "other definitions": logged["feature_set_id"] != catalogue_hash(),
        "risk table gone": ~known,
    }
    left_out: dict[str, int] = {}
    for reason, rows in reasons.items():
        left_out[reason] = int((wanted & rows).sum())
        wanted &= ~rows
    offline = offline_vectors(settings, logged, ServedTables(tables))
    rows = np.flatnonzero(wanted)
    vectors = np.array([logged["features"][row] for row in rows], np.float32).reshape(len(rows), len(FEATURE_NAMES))
    differs = vectors.view(np.uint32) != offline.values[rows].view(np.uint32)
    samples = [
        {
            "transaction_id": str(logged["transaction_id"][rows[row]]),
            "feature": FEATURE_NAMES[column],
            "logged": float(vectors[row, column]),
            "offline": float(offline.values[rows[row], column]),
        }
        for row, column in np.argwhere(differs)[:SAMPLE].tolist()
    ]
    return {
        "compared": len(rows),
        "mismatches": int(differs.any(axis=1).sum()),
        "not_compared": {reason: count for reason, count in left_out.items() if count},
        "mismatch_samples": samples,
    }


def offline_vectors(settings: Settings, logged: Logged, tables: ServedTables) -> Vectors:
    """Build the vectors of logged transactions offline; rows whose table is gone take the empty one."""
    import pandas as pd

    columns: dict[str, Any] = {name: pd.Series(logged[name]) for name in REQUEST_COLUMNS}
    columns["timestamp"] = pd.to_datetime(columns["timestamp"], utc=True)
    frame = canonical(pd.DataFrame(columns))
    events = to_events(frame, ids=False)
    as_of = _midnights(logged)
    stamps = {}
    for kind in TOUCHED:
        noted = [None if moved is None else moved.get(kind.name) for moved in logged["noted_us"]]
        time = np.array([own if moved is None else moved for own, moved in zip(events.time, noted, strict=True)])
        stamps[kind.name] = Stamps(time.astype(np.int64), logged[f"{kind.name}_arrival"])
    return build_offline(
        events,
        tables,
        kind=replace(USER, cap=settings.user_history_cap),
        risk_as_of=np.where(np.isin(as_of, list(tables.tables)), as_of, 0),
        stamps=stamps,
    )


def served_tables(settings: Settings, logged: Logged) -> dict[int, RiskTable]:
    """Return the risk tables that logged vectors name, as far as they are still there, by midnight (µs)."""
    wanted = set(np.unique(_midnights(logged)).tolist()) - {0}
    found: dict[int, RiskTable] = {}
    for table in (_published(settings), _own_of_the_champion(settings) if wanted else None):
        if table is not None and table.as_of in wanted:
            found.setdefault(table.as_of, table)
    return found


def _midnights(logged: Logged) -> NDArray[np.int64]:
    times = logged["risk_as_of"]
    return np.where(np.isnat(times), 0, times.view(np.int64))


def _published(settings: Settings) -> RiskTable | None:
    from sentinel_core.stores.redis_clients import make_client
    from sentinel_core.stores.risk import load_risk

    client = make_client(settings)
    try:
        published = load_risk(client, settings)
    finally:
        client.close()
    return None if published is None else RiskTable.from_bytes(published[1])


def _own_of_the_champion(settings: Settings) -> RiskTable | None:
    """Return the table that the model in service brought along; None where MLflow has none or is away."""
    from sentinel_core.registry.bundle import load_bundle
    from sentinel_core.registry.rest import MlflowRegistry

    if settings.bundle is not None:
        return load_bundle(settings.bundle).risk
    with tempfile.TemporaryDirectory() as folder, MlflowRegistry.of(settings) as registry:
        try:
            version = registry.production_version()
            if version is None:
                return None
            registry.download(version, Path(folder) / "bundle")
        except RegistryError:
            return None
        return load_bundle(Path(folder) / "bundle").risk
