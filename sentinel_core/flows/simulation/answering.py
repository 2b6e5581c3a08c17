"""Answers as the service gives them, written as the recorder writes them: on a clock of the simulation's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sentinel_core.datasets.events import categories
from sentinel_core.exploration import Exploration
from sentinel_core.features.catalog import CATALOGUE, catalogue_hash
from sentinel_core.registry.bundle import LoadedBundle
from sentinel_core.schema import REQUEST_COLUMNS, from_micros
from sentinel_core.stores.feature_sets import add_feature_set
from sentinel_core.stores.prediction_logs import insert_logs
from sentinel_core.stores.transactions import insert_accepted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said of rows: calibrated scores float64 [n] and decisions bool [n].

    `explored` bool [n] are the flagged ones that go through all the same, each with the propensity `share`;
    `milliseconds` is what a row took, together with its batch.
    """

    version: str
    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    explored: NDArray[np.bool_]
    share: float
    milliseconds: float

    @property
    def went_through(self) -> NDArray[np.bool_]:
        """Which rows were not declined, bool [n]."""
        return ~self.flagged | self.explored


def score_rows(
    bundle: LoadedBundle,
    version: str,
    values: NDArray[np.float32],
    frame: pd.DataFrame,
    exploration: Exploration | None = None,
) -> Answers:
    """Score rows: vectors float32 [n, catalogue] and the canonical frame that they were built from."""
    begun = time.perf_counter()
    columns = {name: column.tolist() for name, column in categories(frame).items()}
    score = bundle.score(bundle.select(values), {one.column: columns[one.column] for one in bundle.encoder.categories})
    cents = np.rint(frame["amount"].to_numpy(np.float64) * 100).astype(np.int64)
    flagged = score >= bundle.thresholds(cents)
    explored = np.zeros(len(flagged), np.bool_)
    if exploration is not None:
        names = frame["transaction_id"].to_numpy(object)
        explored[flagged] = [exploration.lets_through(str(name)) for name in names[flagged]]
    took = (time.perf_counter() - begun) * 1000
    share = exploration.share if exploration is not None else 0.0
    return Answers(version, score, flagged, explored, share, took / max(len(flagged), 1))


def record_answers(
    conn: Connection,
    frame: pd.DataFrame,
    values: NDArray[np.float32],
    risk_as_of: NDArray[np.int64],
    answers: Answers,
    *,
    now: datetime,
) -> None:
    """Write transactions and their answers as the recorder does; each was answered when it happened.

    `frame` is canonical, `values` float32 [n, catalogue], `risk_as_of` int64 µs [n]. A transaction that is there stays.
    """
    import orjson

    set_id = catalogue_hash()
    add_feature_set(conn, set_id, [{"name": one.name, "hash": one.definition_hash} for one in CATALOGUE])
    accepted, answered = [], []
    for row, (fields, vector) in enumerate(zip(_records(frame), values.tolist(), strict=True)):
        name, at = str(fields["transaction_id"]), fields["timestamp"]
        payload = f"{row:016x}"
        score, flagged = float(answers.score[row]), bool(answers.flagged[row])
        accepted.append(
            orjson.dumps({**fields, "arrived_at": at, "source": "live", "late": False, "payload_hash": payload})
        )
        answered.append(
            orjson.dumps(
                {
                    "event_id": f"event-{name}",
                    "transaction_id": name,
                    "fraud_score": score,
                    "prediction": flagged,
                    "confidence": LoadedBundle.confidence(score, flagged),
                    "model_version": answers.version,
                    "features": vector,
                    "catalogue": set_id,
                    "risk_as_of": from_micros(int(risk_as_of[row])).isoformat() if risk_as_of[row] > 0 else None,
                    "prediction_time_ms": answers.milliseconds,
                    "answered_at": at,
                    "payload_hash": payload,
                    **({"propensity": answers.share} if answers.explored[row] else {}),
                }
            )
        )
    insert_accepted(conn, accepted, answered, now=now)
    insert_logs(conn, answered, now=now)


def _records(frame: pd.DataFrame) -> Sequence[dict[str, Any]]:
    columns: dict[str, list[Any]] = {}
    for name in REQUEST_COLUMNS:
        if name not in frame:
            continue
        values = frame[name]
        if name == "timestamp":
            columns[name] = [moment.isoformat() for moment in values]
        else:
            column = np.array(values, dtype=object)
            column[values.isna().to_numpy()] = None
            columns[name] = column.tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
