"""Cohorts: the answers to one day's events, and what was known of their truth when that day was exactly so old.

By event day and at fixed ages, never by a label's arrival: the first labels to arrive are mostly frauds. What was said
or written down later than the age is not looked at, so that a cohort measured late has the figures of one on time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.judge import Scored
from sentinel_core.monitoring.answers import APPROVED, CHALLENGED, DECLINED, EXPLORED, UNKNOWN, Answers, Record


@dataclass(frozen=True, slots=True)
class Seen:
    """Answers with what was known of them: label (1, 0 or `UNKNOWN`), outcome, propensity, arrays [n].

    `matured` says that the label window had passed, bool [n].
    """

    answers: Answers
    label: NDArray[np.int8]
    outcome: NDArray[np.int8]
    propensity: NDArray[np.float64]
    matured: NDArray[np.bool_]

    def take(self, rows: NDArray[Any]) -> Seen:
        """Return the rows of a mask or of positions."""
        rest = (self.label, self.outcome, self.propensity, self.matured)
        return Seen(self.answers.take(rows), *(column[rows] for column in rest))


@dataclass(frozen=True, slots=True)
class Cohort:
    """The rows that figures are made of, and how many of what is in them and was left out.

    `rows` hold the truth and weights, `flagged` the decisions, bool [n]. `counts["presumed"]` are those that count as
    legitimate only until their label window ends. `on_approved_traffic`: what was not let through is left out, and
    nothing stands for it.
    """

    rows: Scored
    flagged: NDArray[np.bool_]
    counts: Mapping[str, int]
    on_approved_traffic: bool

    @property
    def provisional(self) -> bool:
        """Whether a later label may still change a row."""
        return self.counts["presumed"] > 0


def day_end(day: date) -> datetime:
    """Return the midnight (UTC) that ends a day."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def newest_day(age: int, now: datetime) -> date:
    """Return the newest day that is `age` days old at `now`: they are counted from the midnight that ends it."""
    return now.astimezone(UTC).date() - timedelta(days=age + 1)


def due(age: int, *, first_answer: datetime, measured: date | None, now: datetime) -> list[date]:
    """Return the days that reached an age since the last one measured; in order.

    Days that were that old before the first answer hold none.
    """
    first = first_answer.astimezone(UTC).date() - timedelta(days=age + 1)
    start = first if measured is None else max(first, measured + timedelta(days=1))
    return [start + timedelta(days=step) for step in range((newest_day(age, now) - start).days + 1)]


def matured_age(ages: Sequence[int], label_window: timedelta) -> int:
    """Return the first of the ages, in days, at which every truth is mature; else the label window in whole days."""
    needed = math.ceil(label_window / timedelta(days=1))
    return min((age for age in ages if age >= needed), default=needed)


def as_known(record: Record, *, known_at: int, label_window: int) -> Seen:
    """Return the answers given by `known_at` with what was known of them then; times in µs.

    The latest label and outcome count. Without an outcome the decision given counts: flagged is declined. A payment
    that was explored and then reported as approved is explored still: it was let through by that chance.
    """
    answers = record.answers
    given = np.where(answers.flagged, DECLINED, APPROVED)
    outcome = np.where(answers.outcome == UNKNOWN, given, answers.outcome).astype(np.int8)
    propensity, label = answers.propensity.copy(), np.full(len(given), UNKNOWN, np.int8)
    said = record.outcomes.by(known_at)
    explored = said.value == EXPLORED
    # Of repeated positions the last one stays.
    propensity[said.row[explored]] = said.propensity[explored]
    was_explored = outcome == EXPLORED
    was_explored[said.row[explored]] = True
    outcome[said.row] = said.value
    outcome[was_explored & (outcome == APPROVED)] = EXPLORED
    told = record.labels.by(known_at)
    label[told.row] = told.value
    seen = Seen(answers, label, outcome, propensity, answers.time + label_window <= known_at)
    return seen.take(answers.answered <= known_at)


def cohort(days: Sequence[Seen]) -> Cohort:
    """Make a cohort of one or several days.

    Labels say what they say; what was let through without one counts as legitimate, presumed so before its label window
    ends. Declined and challenged transactions without a label are left out. Explored ones weigh 1/propensity: they
    stand for all that were declined, and so declined ones with a label are left out beside them. Degraded answers,
    scored without a history, say nothing of the model and are left out.
    """
    answers = Answers(*(_joined([getattr(day.answers, field.name) for day in days]) for field in fields(Answers)))
    label, outcome, propensity, matured = (
        _joined([getattr(day, name) for day in days]) for name in ("label", "outcome", "propensity", "matured")
    )
    own, known, explored = ~answers.degraded, label != UNKNOWN, outcome == EXPLORED
    weighed = explored & (propensity > 0)
    stood_for = bool((own & weighed).any())
    declined, challenged = outcome == DECLINED, outcome == CHALLENGED
    taken = own & (known | (outcome == APPROVED) | weighed) & ~(explored & ~weighed) & ~(declined & stood_for)
    fraud, left = label == 1, own & ~taken
    weight = np.where(weighed, 1 / np.where(weighed, propensity, 1.0), 1.0)[taken] if stood_for else None
    counts = {
        "scored": len(own),
        "rows": taken.sum(),
        "alerts": (taken & answers.flagged).sum(),
        "frauds": (taken & fraud).sum(),
        "hits": (taken & answers.flagged & fraud).sum(),
        "labelled": (taken & known).sum(),
        "presumed": (taken & ~known & ~matured).sum(),
        "explored": (taken & explored).sum(),
        "declined_left_out": (left & declined).sum(),
        "challenged_left_out": (left & challenged).sum(),
        "degraded_left_out": answers.degraded.sum(),
    }
    nothing_stands_for = left & ((declined & (not stood_for)) | challenged)
    rows = Scored(fraud, answers.score, answers.user, answers.time, answers.cents).take(taken)
    return Cohort(
        Scored(rows.is_fraud, rows.score, rows.user, rows.time, rows.cents, weight),
        answers.flagged[taken],
        {name: int(count) for name, count in counts.items()},
        bool(nothing_stands_for.any()),
    )


def _joined(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)
