"""What a reading does to a rule: the state machine of alerts, without stores and without a clock.

A quiet rule fires after `fires_after` consecutive readings that breach it, a firing one resolves after `resolves_after`
consecutive ones that are clear. A figure between the two, one that was seen before and one without a value do not count
for either: a rule that nobody can judge stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sentinel_core.monitoring.alert_text import shown
from sentinel_core.monitoring.rules import Rule

Change = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a metric was at a time; `why` says why there is no value.

    `at` is when the figure came to be: a verdict that is read twice is one reading. `count` is the number of
    observations behind it, None where nothing is counted; `facts` goes into the alert.
    """

    value: float | None
    at: datetime
    count: int | None = None
    why: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """A rule between two readings: `streak` counts readings in a row that speak against where it is.

    `since` is the first breach of the streak, or of the alert that fires; `counted_at` the reading that counted last.
    """

    firing: bool = False
    streak: int = 0
    since: datetime | None = None
    counted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A rule after a reading: its state, what changed (None mostly), and in words what was seen.

    `judged` is False where there was no value to judge by.
    """

    state: State
    change: Change | None
    says: str
    judged: bool = True


def step(rule: Rule, state: State, reading: Reading, now: datetime) -> Step:
    """Return what a rule is after a reading, judged at `now` (aware)."""
    why = _not_judged(rule, reading)
    if reading.value is None or why:
        return Step(state, None, f"not judged: {why}", judged=False)
    figures = _figures(rule, reading, reading.value)
    # A mark from after now is of a clock that was put back since: waiting for it would be blind.
    if state.counted_at is not None and reading.at <= state.counted_at <= now:
        return Step(state, None, f"{figures}; counted before")
    against = rule.cleared(reading.value) if state.firing else rule.breached(reading.value)
    moved = replace(state, streak=state.streak + 1 if against else 0, counted_at=reading.at)
    if state.firing:
        return _while_firing(rule, moved, figures)
    return _while_quiet(rule, replace(moved, since=(state.since or reading.at) if against else None), figures)


def _while_quiet(rule: Rule, moved: State, figures: str) -> Step:
    if moved.streak >= rule.fires_after:
        return Step(replace(moved, firing=True, streak=0), "firing", figures)
    if moved.streak:
        return Step(moved, None, f"{figures}; {moved.streak} of {rule.fires_after} readings until it fires")
    return Step(moved, None, figures)


def _while_firing(rule: Rule, moved: State, figures: str) -> Step:
    if moved.streak >= rule.resolves_after:
        return Step(State(counted_at=moved.counted_at), "resolved", figures)
    if moved.streak:
        return Step(moved, None, f"{figures}; {moved.streak} of {rule.resolves_after} readings until it resolves")
    return Step(moved, None, f"{figures}; still firing")


def _not_judged(rule: Rule, reading: Reading) -> str:
    if reading.value is None:
        return reading.why or "there is no value"
    if not math.isfinite(reading.value):
        return f"the value is {reading.value}"
    if reading.count is not None and reading.count < rule.at_least:
        return f"{reading.count:,} {rule.metric.counted}, expected at least {rule.at_least:,}"
    return ""


def _figures(rule: Rule, reading: Reading, value: float) -> str:
    counted = f", {reading.count:,} {rule.metric.counted}" if reading.count is not None and rule.metric.counted else ""
    limit = f"{rule.comparison} {shown(rule.threshold, rule.metric.unit)}"
    return f"{rule.metric.name} is {shown(value, rule.metric.unit)} (fires {limit}, window {rule.window}{counted})"
