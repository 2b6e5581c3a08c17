"""Whether to train again: a trigger asks, and whether a training can learn anything new decides.

Ten thousand new transactions are ten minutes of traffic and hold no label: without newly matured frauds there is
nothing to learn, however loudly a trigger asks (docs/decisions/0021).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol

Verdict = Literal["train", "deferred", "not_needed"]
FORCED: Final = "force_retrain"


class Change(Protocol):
    """The relative change of a figure of the champion, with its one-sided bound (`monitoring.drop.Drop`)."""

    @property
    def value(self) -> float | None: ...
    @property
    def bound(self) -> float | None: ...
    @property
    def counts(self) -> bool: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """From where on a trigger asks (above), and what a training needs to learn from (at least)."""

    after_hours: float = 24.0
    after_transactions: int = 10_000
    rest_hours: float = 24.0
    min_frauds: int = 50


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known at a check. "New" is what the last completed training did not have.

    `last_start` is when the last training began, however it ended, `last_completed` when the last one began whose model
    was judged; None before the first. `frauds` have matured newly; `labels` counts every matured label that is new or
    says something else. `frauds_due` is when enough frauds will have matured by what is reported now, None where too
    few are. `drops` are changes by figure, `drift` the newest verdict, which asks for nothing by itself. `under_way`
    names a training that runs or is about to.
    """

    last_start: datetime | None
    last_completed: datetime | None
    transactions: int
    frauds: int
    labels: int
    frauds_due: datetime | None = None
    drops: Mapping[str, Change] = field(default_factory=dict)
    drift: str | None = None
    under_way: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One trigger, or one condition of eligibility: the figure, its bound, whether it holds, and both in words."""

    name: str
    value: float | None
    bound: float | None
    holds: bool
    said: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why; `not_before` is from when on a deferred training may be, None where nobody can tell."""

    decision: Verdict
    reason: str
    triggers: tuple[Condition, ...]
    eligibility: tuple[Condition, ...]
    not_before: datetime | None = None

    def figures(self) -> dict[str, Any]:
        """Return triggers and eligibility in JSON form."""
        return {
            "triggers": [asdict(one) for one in self.triggers],
            "eligibility": [asdict(one) for one in self.eligibility],
            "not_before": self.not_before and self.not_before.isoformat(),
        }


def decide(figures: Figures, bounds: Bounds, *, now: datetime, forced: bool = False) -> Decision:
    """Decide on a training at `now` (aware).

    Without a trigger none is needed. With one it is deferred while another training is under way, and, unless it is
    `forced`, until it is eligible; else it is due. Before the first training there is nothing to wait for: enough
    matured frauds are all it takes.
    """
    triggers, eligibility = _triggers(figures, bounds, now, forced), _eligibility(figures, bounds, now)
    drift = f"; drift: {figures.drift}" if figures.drift else ""
    asking = [one.said for one in triggers if one.holds]
    missing = [one.said for one in eligibility if not one.holds]
    if not asking:
        said = f"nothing asks for a training: {_listed(one.said for one in triggers if one.name != FORCED)}{drift}"
        return Decision("not_needed", said, triggers, eligibility)
    asked = _listed(asking) + drift
    if figures.under_way:
        said = f"{asked}; but a training is under way: {figures.under_way}"
        return Decision("deferred", said, triggers, eligibility)
    if missing and not forced:
        start = _not_before(figures, bounds)
        when = f"from {start:%Y-%m-%d %H:%M} UTC on, if nothing changes" if start else "as soon as that has changed"
        said = f"{asked}; but nothing new can be learned yet: {_listed(missing)}. It may be {when}"
        return Decision("deferred", said, triggers, eligibility, start)
    met = _listed(one.said for one in eligibility)
    return Decision("train", f"{asked}; {'eligible or not' if forced else 'eligible'}: {met}", triggers, eligibility)


def _triggers(figures: Figures, bounds: Bounds, now: datetime, forced: bool) -> tuple[Condition, ...]:
    hours = _hours(figures.last_completed, now)
    since = "no training was completed yet" if hours is None else f"the last training began {_tenths(hours)} h ago"
    asks = f"(more than {bounds.after_hours:g} h ask)"
    count, most = figures.transactions, bounds.after_transactions
    return (
        Condition("hours", hours, bounds.after_hours, hours is None or hours > bounds.after_hours, f"{since} {asks}"),
        Condition("transactions", count, most, count > most, f"{count:,} new transactions (more than {most:,} ask)"),
        *(_drop(name, change) for name, change in figures.drops.items()),
        Condition(FORCED, None, None, forced, "forced by hand" if forced else "not forced"),
    )


def _drop(name: str, change: Change) -> Condition:
    said = f"{name} {change.value:+.1%} against the hold-out" if change.value is not None else f"{name} not compared"
    return Condition(f"{name} drop", change.value, change.bound, change.counts, f"{said} ({change.reason})")


def _eligibility(figures: Figures, bounds: Bounds, now: datetime) -> tuple[Condition, ...]:
    hours, rest = _hours(figures.last_start, now), bounds.rest_hours
    since = "no training before" if hours is None else f"{_tenths(hours)} h since the last start"
    frauds, fewest = figures.frauds, bounds.min_frauds
    return (
        Condition("rest", hours, rest, hours is None or hours >= rest, f"{since} (at least {rest:g} h)"),
        Condition(
            "matured frauds", frauds, fewest, frauds >= fewest, f"{frauds:,} newly matured frauds (at least {fewest:,})"
        ),
        Condition(
            "matured labels",
            figures.labels,
            1,
            figures.labels > 0,
            f"{figures.labels:,} new or changed matured labels (at least 1)",
        ),
    )


def _not_before(figures: Figures, bounds: Bounds) -> datetime | None:
    """Return from when on everything that is missing will be there; None where that depends on what is not known."""
    rested = figures.last_start and figures.last_start + timedelta(hours=bounds.rest_hours)
    if figures.frauds >= bounds.min_frauds and figures.labels > 0:
        return rested
    if figures.frauds_due is None:
        return None
    return max(rested, figures.frauds_due) if rested else figures.frauds_due


def _hours(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (now - moment) / timedelta(hours=1)


def _tenths(hours: float) -> str:
    # Downwards: what is not yet 24 h does not read as 24.0.
    return f"{math.floor(hours * 10) / 10:,.1f}"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
