"""What is removed from a data set before it is validated, and why.

Removed are rows that cannot be placed (no user, merchant or time) and exact repetitions. Everything else that
is wrong with a row, an amount that is missing or negative for instance, is left for validation to reject: it
points at a broken export, which nobody should train on the rest of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sentinel_core.errors import EmptyDataError

if TYPE_CHECKING:
    import pandas as pd

PLACED_BY: Final = ("user_id", "merchant_id", "timestamp")
SAMPLE_ROWS: Final = 5
LATENESS_HOURS: Final = 24
REPETITION: Final = "an exact repetition of an earlier row"


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows were removed for one reason, and the numbers of the first few in the source."""

    count: int
    rows: tuple[int, ...]

    def where(self) -> str:
        """The first few rows, as `row 3, 17, …`."""
        return f"row {', '.join(map(str, self.rows))}{', …' if self.count > len(self.rows) else ''}"


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """What cleaning saw, removed (reason → rows) and noticed (`notes`, one sentence each)."""

    rows_in: int
    rows_out: int
    removed: Mapping[str, Removed] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def removed_share(self) -> float:
        """Share of the rows that were removed, 0 to 1."""
        return 1.0 - self.rows_out / self.rows_in

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON, for a snapshot's manifest."""
        removed = {reason: {"count": r.count, "rows": list(r.rows)} for reason, r in self.removed.items()}
        return {"rows_in": self.rows_in, "rows_out": self.rows_out, "removed": removed, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> CleaningReport:
        """Read what `to_dict` wrote."""
        removed = {reason: Removed(r["count"], tuple(r["rows"])) for reason, r in form["removed"].items()}
        return cls(form["rows_in"], form["rows_out"], removed, tuple(form["notes"]))

    def lines(self) -> list[str]:
        """The report in plain sentences."""
        removed = [f"Removed {r.count:,} rows: {reason} ({r.where()})." for reason, r in self.removed.items()]
        return [*removed, *self.notes]


def clean(frame: pd.DataFrame, notes: tuple[str, ...] = ()) -> tuple[pd.DataFrame, CleaningReport]:
    """Remove unplaceable and repeated rows, give rows without an id one of their own; order is kept.

    `frame` is a `read_file` frame whose index numbers the source's rows; the index survives. `notes` of the
    reading are carried into the report. Raises `EmptyDataError` where nothing is left.
    """
    rows_in = len(frame)
    frame, removed = placed(frame)
    if frame.empty:
        raise nothing_placed(rows_in)
    frame, derived = identified(frame)
    repeated = exact_repetitions(frame)
    frame = _drop(frame, repeated, REPETITION, removed)
    return frame, CleaningReport(rows_in, len(frame), removed, (*notes, *remarks(derived, late_rows(frame))))


def placed(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Removed]]:
    """Return the rows that have a user, a merchant and a time, and what was removed; each row is judged by itself."""
    removed: dict[str, Removed] = {}
    for column in PLACED_BY:
        frame = _drop(frame, frame[column].isna(), _missing(column), removed)
    return frame, removed


def removed_together(blocks: Iterable[Mapping[str, Removed]]) -> dict[str, Removed]:
    """Add up what `placed` removed from the blocks of a file, in its order."""
    removed = {_missing(column): Removed(0, ()) for column in PLACED_BY}
    for block in blocks:
        for reason, more in block.items():
            known = removed[reason]
            removed[reason] = Removed(known.count + more.count, (*known.rows, *more.rows)[:SAMPLE_ROWS])
    return {reason: found for reason, found in removed.items() if found.count}


def _missing(column: str) -> str:
    return f"{column} is missing"


def nothing_placed(rows_in: int) -> EmptyDataError:
    """The error for a file of whose rows none can be placed."""
    return EmptyDataError(
        f"expected rows with {', '.join(PLACED_BY)}, found none among {rows_in:,} rows.",
        remedy="Check the column map: the columns that it names hold nothing.",
    )


def remarks(derived: int, late: int) -> list[str]:
    """What the report says of rows whose id was derived, and of late ones."""
    said = []
    if derived:
        said.append(f"transaction_id: absent, derived from the content of the row ({derived:,} rows).")
    if late:
        said.append(
            f"timestamp: {late:,} rows lie more than {LATENESS_HOURS} h behind an earlier row of their user and count "
            "as late events; if the file's order is not the order of arrival, sort it by time."
        )
    return said


def _drop(frame: pd.DataFrame, bad: pd.Series[bool], reason: str, removed: dict[str, Removed]) -> pd.DataFrame:
    rows = frame.index[bad.to_numpy(dtype=bool)]
    if not len(rows):
        return frame
    removed[reason] = Removed(len(rows), tuple(int(row) for row in rows[:SAMPLE_ROWS]))
    return frame.drop(index=rows)


def exact_repetitions(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows say in every column what an earlier row said."""
    suspects = frame[frame.duplicated(subset="transaction_id", keep=False)]
    repeated = frame["transaction_id"].isna()  # all false by now: a mask of the right shape
    repeated.loc[suspects.index[suspects.duplicated(keep="first")]] = True
    return repeated


def identified(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Give rows without an id one from their content, and say how many: row-<digest>-<number among equal rows>."""
    import pandas as pd

    missing = (
        frame["transaction_id"].isna().to_numpy(dtype=bool) if "transaction_id" in frame else np.ones(len(frame), bool)
    )
    if not missing.any():
        return frame, 0
    bare = frame.loc[missing].drop(columns="transaction_id", errors="ignore")
    digest = pd.util.hash_pandas_object(bare, index=False)
    # Two equal rows without ids may be two purchases: the second is numbered, so that loading twice gives the same ids.
    occurrence = digest.groupby(digest).cumcount()
    ids = [f"row-{d:016x}-{n}" for d, n in zip(digest.to_numpy(), occurrence.to_numpy(), strict=True)]
    column = pd.Series(pd.NA, index=frame.index, dtype=pd.StringDtype("pyarrow"))
    if "transaction_id" in frame:
        column = frame["transaction_id"].copy()
    column.loc[missing] = ids
    rest = frame.drop(columns="transaction_id", errors="ignore")
    rest.insert(0, "transaction_id", column)
    return rest, len(ids)


def late_rows(frame: pd.DataFrame) -> int:
    """Return how many rows lie more than `LATENESS_HOURS` behind an earlier one of their user."""
    import pandas as pd

    time = frame["timestamp"]
    if time.is_monotonic_increasing:
        return 0
    users = pd.factorize(frame["user_id"])[0]
    newest = time.groupby(users).cummax()
    return int(((newest - time) > pd.Timedelta(hours=LATENESS_HOURS)).sum())
