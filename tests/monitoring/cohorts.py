"""Answers, labels and outcomes for tests, a row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sentinel_core.evaluation.judge import Scored
from sentinel_core.monitoring.answers import OUTCOMES, UNKNOWN, Answers, Record, Statements
from sentinel_core.monitoring.cohorts import Cohort

DAY = 86_400_000_000


@dataclass(frozen=True)
class Told:
    """Something said of a transaction, and when it was recorded, in days."""

    value: bool | str
    said: float
    recorded: float | None = None
    propensity: float | None = None


@dataclass(frozen=True)
class Row:
    """One answer; times in days since 1970, `labels` and `outcomes` in the order of recording."""

    score: float = 0.1
    flagged: bool = False
    time: float = 0.5
    answered: float | None = None
    user: int = 0
    degraded: bool = False
    outcome: str | None = None
    propensity: float | None = None
    labels: Sequence[Told] = field(default=())
    outcomes: Sequence[Told] = field(default=())


def record_of(rows: Sequence[Row]) -> Record:
    """Return the answers and what was said of them as arrays."""
    answers = Answers(
        user=np.array([row.user for row in rows]),
        time=np.array([row.time * DAY for row in rows], np.int64),
        answered=np.array([DAY * (row.time if row.answered is None else row.answered) for row in rows], np.int64),
        cents=np.full(len(rows), 100),
        score=np.array([row.score for row in rows], np.float64),
        flagged=np.array([row.flagged for row in rows], np.bool_),
        degraded=np.array([row.degraded for row in rows], np.bool_),
        outcome=np.array([UNKNOWN if row.outcome is None else OUTCOMES.index(row.outcome) for row in rows], np.int8),
        propensity=np.array([np.nan if row.propensity is None else row.propensity for row in rows], np.float64),
    )
    return Record(answers, _statements(rows, "labels"), _statements(rows, "outcomes"))


def _statements(rows: Sequence[Row], name: str) -> Statements:
    said = [(place, told) for place, row in enumerate(rows) for told in getattr(row, name)]
    values = [OUTCOMES.index(t.value) if isinstance(t.value, str) else int(t.value) for _, t in said]
    return Statements(
        np.array([place for place, _ in said], np.intp),
        np.array(values, np.int8),
        np.array([t.said * DAY for _, t in said], np.int64),
        np.array([DAY * (t.said if t.recorded is None else t.recorded) for _, t in said], np.int64),
        np.array([np.nan if t.propensity is None else t.propensity for _, t in said], np.float64),
    )


def cohort_of(
    is_fraud: Sequence[bool],
    flagged: Sequence[bool],
    *,
    users: Sequence[int] | None = None,
    score: Sequence[float] | None = None,
    weight: Sequence[float] | None = None,
    presumed: int = 0,
    on_approved_traffic: bool = False,
) -> Cohort:
    """Return a cohort of rows whose truth is known; every row is another user's where none are given."""
    fraud, alert, n = np.array(is_fraud, np.bool_), np.array(flagged, np.bool_), len(is_fraud)
    rows = Scored(
        fraud,
        np.where(alert, 0.9, 0.1) if score is None else np.array(score, np.float64),
        np.arange(n) if users is None else np.array(users),
        np.zeros(n, np.int64),
        np.full(n, 100),
        None if weight is None else np.array(weight, np.float64),
    )
    counts = {"rows": n, "alerts": int(alert.sum()), "frauds": int(fraud.sum()), "presumed": presumed}
    return Cohort(rows, alert, counts, on_approved_traffic)
