"""Who is who in a file that no process sees whole: ids for rows without one, and exact repetitions.

Both are questions about rows of one id. A block gives each row without an id the one that it has unless an equal row
stands above it; only rows that share an id with another are looked at together, by the functions of `cleaning`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.cleaning import REPETITION, SAMPLE_ROWS, Removed, exact_repetitions, identified

if TYPE_CHECKING:
    import pandas as pd

Int = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Corrections:
    """What is set right once a file was scanned: rows to leave out (ascending), and ids that were not unique."""

    removed: Int = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    renamed: Mapping[int, str] = field(default_factory=dict)

    def keep(self, rows: Int) -> NDArray[np.bool_]:
        """Return which rows stay."""
        return ~np.isin(rows, self.removed)

    def ids(self, rows: Int, ids: Any) -> Any:
        """Return the ids of rows, an Arrow column, with those that were renamed."""
        import pyarrow as pa

        numbers = np.fromiter(self.renamed, dtype=np.int64, count=len(self.renamed))
        here = np.flatnonzero(np.isin(rows, numbers))
        if not len(here):
            return ids
        texts = ids.to_pylist()
        for place in here.tolist():
            texts[place] = self.renamed[int(rows[place])]
        return pa.chunked_array([pa.array(texts, pa.string())])

    def removed_as(self) -> dict[str, Removed]:
        """The removed rows as the cleaning report names them."""
        if not len(self.removed):
            return {}
        return {REPETITION: Removed(len(self.removed), tuple(self.removed[:SAMPLE_ROWS].tolist()))}


def provisional(frame: pd.DataFrame) -> tuple[NDArray[Any], int]:
    """Return the ids of a block's rows, each derived one as if no equal row stood above, and how many those are."""
    if frame.empty:
        return np.zeros(0, dtype=object), 0
    named, derived = identified(frame)
    ids = np.array(named["transaction_id"], dtype=object)
    if derived:
        missing = _without_id(frame)
        ids[missing] = [f"{text.rpartition('-')[0]}-0" for text in ids[missing]]
    return ids, derived


def corrections(shared: Int, frame_of: Callable[[Int], pd.DataFrame], rows_with: Callable[[Int], Int]) -> Corrections:
    """Set right the rows that share their provisional id with another; `shared` holds all of each id.

    `frame_of` reads the frame of some rows, in order, and `rows_with` finds the rows whose provisional ids have one of
    some hashes.
    """
    import pandas as pd

    if not len(shared):
        return Corrections()
    renamed = _renamed(frame := frame_of(np.sort(shared)))
    if renamed:
        texts = np.array(list(renamed.values()), dtype=object)
        taken = np.setdiff1d(rows_with(pd.util.hash_array(texts, categorize=False).view(np.int64)), shared)
        if len(taken):
            frame = frame_of(np.union1d(shared, taken))
    named, _ = identified(frame)
    repeated = exact_repetitions(named)
    return Corrections(named.index[repeated.to_numpy(dtype=bool)].to_numpy(), renamed)


def _renamed(frame: pd.DataFrame) -> dict[int, str]:
    """Return the ids of rows whose content stands above them already, by row."""
    named, _ = identified(frame)
    ids = named["transaction_id"][_without_id(frame)]
    return {row: text for row, text in zip(ids.index.tolist(), ids, strict=True) if not text.endswith("-0")}


def _without_id(frame: pd.DataFrame) -> NDArray[np.bool_]:
    if "transaction_id" not in frame:
        return np.ones(len(frame), dtype=np.bool_)
    return frame["transaction_id"].isna().to_numpy(dtype=bool)
