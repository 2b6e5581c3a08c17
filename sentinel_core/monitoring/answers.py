"""Answers that were given, and what was said of them later: labels and outcomes, each with when it was known here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from sentinel_core.schema import Outcome

OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
APPROVED, CHALLENGED, DECLINED, EXPLORED = (
    OUTCOMES.index(name) for name in ("approved", "challenged", "declined", "explored")
)
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Answers:
    """Scored transactions, arrays [n]: user (any id), time and answered (int64 µs), cents (int64), score (float64).

    `flagged` is the decision given, `degraded` one without a history (bool); `outcome` is a position in `OUTCOMES` as
    the transaction itself says it, `UNKNOWN` where it does not (int8); `propensity` is NaN where there is none.
    """

    user: NDArray[Any]
    time: NDArray[np.int64]
    answered: NDArray[np.int64]
    cents: NDArray[np.int64]
    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    degraded: NDArray[np.bool_]
    outcome: NDArray[np.int8]
    propensity: NDArray[np.float64]

    def take(self, rows: NDArray[Any]) -> Answers:
        """Return the rows of a mask or of positions."""
        return Answers(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Statements:
    """What was said of answers, in the order of recording, arrays [k].

    `row` is the answer's position, `value` 1 for fraud and 0 for legitimate, or a position in `OUTCOMES` (int8); `said`
    is when it became true or known, `recorded` when it was written down (int64 µs); `propensity` is NaN for labels.
    """

    row: NDArray[np.intp]
    value: NDArray[np.int8]
    said: NDArray[np.int64]
    recorded: NDArray[np.int64]
    propensity: NDArray[np.float64]

    def by(self, known_at: int) -> Statements:
        """Return what had been said and recorded by `known_at` (µs), the latest of each row last."""
        seen = np.flatnonzero((self.said <= known_at) & (self.recorded <= known_at))
        order = seen[np.argsort(self.said[seen], kind="stable")]
        return Statements(*(getattr(self, field.name)[order] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Record:
    """Answers with all that was ever said of them."""

    answers: Answers
    labels: Statements
    outcomes: Statements

    def take(self, rows: NDArray[np.bool_]) -> Record:
        """Return the answers of a mask bool [n] with what was said of them."""
        place = np.cumsum(rows) - 1
        told = []
        for said in (self.labels, self.outcomes):
            own = rows[said.row]
            rest = (getattr(said, field.name)[own] for field in fields(Statements)[1:])
            told.append(Statements(place[said.row[own]], *rest))
        return Record(self.answers.take(rows), *told)
