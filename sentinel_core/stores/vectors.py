"""Reading logged vectors: what the service saw when it scored, in blocks of float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from sentinel_core.stores.prediction_logs import KNOWN
from sentinel_core.stores.statements import RECORDED_BY

CHUNK_ROWS: Final = 10_000
# As text: decoded by the driver, a vector would take five times as long.
_QUERY: Final = text(
    f"""
    SELECT t.transaction_id, t.feature_set_id, CAST(t.features AS text) AS features,
           CAST(extract(epoch FROM COALESCE(t.risk_as_of, timestamptz 'epoch')) * 1000000 AS bigint) AS risk_as_of
    FROM transactions AS t JOIN prediction_logs AS p ON p.transaction_id = t.transaction_id AND {KNOWN}
    WHERE NOT p.degraded AND t.features IS NOT NULL AND t.feature_set_id IS NOT NULL
      AND t.arrived_at <= :as_of AND t.timestamp <= :as_of AND t.{RECORDED_BY}
    """  # noqa: S608 (constants)
)


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Vectors that were logged under one feature set.

    `transaction_id` object [n]; `values` float32 [n, features], in the order of the feature set; `risk_as_of` int64 µs
    [n], the midnight of the risk table that they hold, 0 where there was none.
    """

    feature_set_id: str
    transaction_id: NDArray[Any]
    values: NDArray[np.float32]
    risk_as_of: NDArray[np.int64]


def read_vectors(
    conn: Connection, *, as_of: datetime, recorded_by: datetime | None, chunk_rows: int = CHUNK_ROWS
) -> Iterator[VectorBlock]:
    """Yield the vectors of transactions that had arrived and been answered by `as_of`, in any order.

    What was recorded later than `recorded_by` (None: ever) is left out, and so is what was scored degraded: that vector
    says what an outage hid. Values are the float32 that were logged, bit for bit.
    """
    # Guessing few rows, the planner would look each answer up on its own.
    conn.execute(text("SET LOCAL enable_nestloop = off"))
    options = {"stream_results": True, "max_row_buffer": chunk_rows}
    result = conn.execute(_QUERY, {"as_of": as_of, "recorded_by": recorded_by}, execution_options=options)
    for rows in result.partitions(chunk_rows):
        yield from _blocks(rows)


def _blocks(rows: Any) -> Iterator[VectorBlock]:
    groups: dict[tuple[str, int], tuple[list[str], list[list[float]], list[int]]] = {}
    for transaction_id, set_id, features, risk_as_of in rows:
        vector = orjson.loads(features)
        ids, vectors, midnights = groups.setdefault((set_id, len(vector)), ([], [], []))
        ids.append(transaction_id)
        vectors.append(vector)
        midnights.append(risk_as_of)
    for (set_id, _), (ids, vectors, midnights) in groups.items():
        names = np.empty(len(ids), object)
        names[:] = ids
        yield VectorBlock(set_id, names, np.array(vectors, np.float32), np.array(midnights, np.int64))
