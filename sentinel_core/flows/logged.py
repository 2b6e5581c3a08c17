"""Logged vectors: from PostgreSQL into a snapshot, and from a snapshot into what a model is trained on.

A model that learns from what the service saw learns what it will see; a history that is computed again is only as
right as everything that it is computed from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sentinel_core.datasets.logged import LOGGED, LoggedFile, LoggedVectors
from sentinel_core.datasets.snapshot import Snapshot
from sentinel_core.features.catalog import CATALOGUE, catalogue_hash
from sentinel_core.flows import Progress, silent
from sentinel_core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from sentinel_core.stores.vectors import VectorBlock


def read_logged(
    settings: Settings, frame: pd.DataFrame, *, as_of: datetime, recorded_by: datetime, progress: Progress = silent
) -> LoggedVectors | None:
    """Read the vectors that were logged for the rows of a frame; None where there are none.

    They are those of answers that had been given by `as_of`, were recorded by `recorded_by`, and had a history. A
    vector whose feature set is not known here, or has another length, cannot be read and counts as not logged. Memory
    is twice the values (4 bytes a row and feature), whatever the database holds. Raises `StoreError` where PostgreSQL
    is away.
    """
    import pandas as pd

    from sentinel_core.stores.postgres import connected, make_engine
    from sentinel_core.stores.vectors import read_vectors

    places = pd.Index(frame["transaction_id"].to_numpy(object))
    parts: list[_Part] = []
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            known = _Definitions(conn)
            for block in read_vectors(conn, as_of=as_of, recorded_by=recorded_by):
                if (part := _part(block, places, known)) is not None:
                    parts.append(part)
                    progress(f"reading logged vectors: {sum(len(one.rows) for one in parts):,}")
    finally:
        engine.dispose()
    return _joined(parts) if parts else None


@dataclass(frozen=True, slots=True)
class Taken:
    """What of a feature set was logged: `rows` with a logged vector, and which features were `recomputed` for how many.

    A feature is recomputed for those that were logged under another definition of it, or without it.
    """

    rows: int
    recomputed: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, for the feature set."""
        return {"rows": self.rows, "recomputed": dict(self.recomputed)}

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(form["rows"], form["recomputed"])


def open_logged(snapshot: Snapshot) -> LoggedFile | None:
    """Open the logged vectors of a snapshot; None where it has none."""
    return LoggedFile(snapshot.path / LOGGED) if "logged" in snapshot.manifest else None


def put_logged(values: NDArray[np.float32], logged: LoggedFile) -> Taken:
    """Write what was logged over recomputed vectors, float32 [n, catalogue], feature by feature.

    A feature is taken for the rows that were logged under its present definition; for the others it stays as it is.
    """
    recomputed: dict[str, int] = {}
    for position, feature in enumerate(CATALOGUE):
        column = logged.column(feature.name, feature.definition_hash)
        if column is None:
            recomputed[feature.name] = len(logged.rows)
            continue
        there = np.flatnonzero(~np.isnan(column))
        values[logged.rows[there], position] = column[there]
        if lacking := len(column) - len(there):
            recomputed[feature.name] = lacking
    return Taken(len(logged.rows), recomputed)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some rows of one feature set: places in the frame, midnights, the definitions of the columns, and the values."""

    rows: NDArray[np.int64]
    risk_as_of: NDArray[np.int64]
    definitions: tuple[str, ...]
    values: NDArray[np.float32]


class _Definitions:
    """The definitions of feature sets, name:hash in vector order, looked up once each."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._known = {catalogue_hash(): tuple(f"{one.name}:{one.definition_hash}" for one in CATALOGUE)}

    def of(self, set_id: str) -> tuple[str, ...]:
        """Return those of a set; none where it was never published."""
        from sentinel_core.stores.feature_sets import get_feature_set

        if set_id not in self._known:
            features = get_feature_set(self._conn, set_id) or ()
            self._known[set_id] = tuple(f"{one['name']}:{one['hash']}" for one in features)
        return self._known[set_id]


def _part(block: VectorBlock, places: pd.Index[Any], known: _Definitions) -> _Part | None:
    import pandas as pd

    definitions = known.of(block.feature_set_id)
    if not definitions or len(definitions) != block.values.shape[1]:
        return None
    rows = places.get_indexer(pd.Index(block.transaction_id)).astype(np.int64)
    # What cleaning removed is in no training.
    here = np.flatnonzero(rows >= 0)
    return _Part(rows[here], block.risk_as_of[here], definitions, block.values[here]) if len(here) else None


def _joined(parts: Sequence[_Part]) -> LoggedVectors:
    definitions = sorted({definition for part in parts for definition in part.definitions})
    column = {definition: place for place, definition in enumerate(definitions)}
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows)
    target = np.empty_like(order)
    target[order] = np.arange(len(order))
    values = np.full((len(rows), len(definitions)), np.nan, np.float32)
    midnights = np.concatenate([part.risk_as_of for part in parts])
    begin = 0
    for part in parts:
        end = begin + len(part.rows)
        columns = np.array([column[definition] for definition in part.definitions])
        values[target[begin:end, None], columns] = part.values
        begin = end
    return LoggedVectors(rows[order], midnights[order], definitions, values)
