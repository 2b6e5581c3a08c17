"""What a simulation showed: verdicts, alerts, trainings, and what the answers of each day were worth by the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.flows.simulation.operation import Operation
from sentinel_core.flows.simulation.plan import BEGIN, SCENARIOS, Plan

DAY: Final = timedelta(days=1)
RECOVERED: Final = 0.9
"""Share of the former PR-AUC from which on a system counts as recovered."""
FORMER_DAYS: Final = 14
"""Days before the change over which the former PR-AUC is taken."""
JUDGED: Final = ("drift", "suspected", "no_drift")


def describe(plan: Plan, system: Operation, alone: NDArray[np.float64], *, seconds: float) -> dict[str, Any]:
    """Return the whole outcome as JSON values; `alone` float64 [n] are the scores without the loop.

    "windows" counts the drift checks that could judge, "false_alarms" those that said drift though nothing had changed,
    "alerts" the alerts that fired, "retrainings" the trainings after the first; "verdicts" and "events" hold them one
    by one, and "pr_auc" the figures by day of the events, judged by the truth over all traffic.
    """
    verdicts, events = system.verdicts, system.events
    counts = Counter(one["verdict"] for one in verdicts)
    fired = [one for one in events if one["kind"] == "alert firing"]
    trainings = [one for one in events if one["kind"] == "retraining"]
    world = system.world
    lived = ~np.isnan(system.score)
    return {
        "scenario": plan.scenario,
        "title": SCENARIOS[plan.scenario].title,
        "days": plan.days,
        "seed": plan.seed,
        "rows_a_day": plan.rows_a_day,
        "models": list(plan.models),
        "explore_share": plan.explore_share,
        "began_at": BEGIN.isoformat(),
        "changed_at": plan.changed_at.isoformat() if plan.changed_at else None,
        "ended_at": plan.end.isoformat(),
        "transactions": int(lived.sum()),
        "frauds": int((lived & world.is_fraud).sum()),
        "declined": int((system.flagged & ~system.explored).sum()),
        "explored": int(system.explored.sum()),
        "windows": sum(counts[name] for name in JUDGED),
        "windows_by_verdict": dict(sorted(counts.items())),
        "false_alarms": sum(one["verdict"] == "drift" for one in _quiet(verdicts, plan.changed_at)),
        "drift": _drift(verdicts, plan.changed_at),
        "alerts": len(fired),
        "alerts_by_rule": dict(sorted(Counter(one["rule"] for one in fired).items())),
        "retrainings": max(len(trainings) - 1, 0),
        "promotions": sum(one["promoted"] for one in trainings[1:]),
        "pr_auc": _pr_auc(plan, system, alone),
        "events": events,
        "verdicts": verdicts,
        "seconds": seconds,
    }


def _quiet(verdicts: Sequence[Mapping[str, Any]], changed_at: datetime | None) -> list[Mapping[str, Any]]:
    """Return the verdicts on windows that ended before the world changed."""
    return [one for one in verdicts if changed_at is None or datetime.fromisoformat(one["at"]) <= changed_at]


def _drift(verdicts: Sequence[Mapping[str, Any]], changed_at: datetime | None) -> dict[str, Any]:
    """Return when drift was first seen after the change, and by what."""
    if changed_at is None:
        return {"found_at": None, "hours": None, "rejected": []}
    later = [one for one in verdicts if one["verdict"] == "drift" and datetime.fromisoformat(one["at"]) > changed_at]
    if not later:
        return {"found_at": None, "hours": None, "rejected": []}
    hours = (datetime.fromisoformat(later[0]["at"]) - changed_at) / timedelta(hours=1)
    return {"found_at": later[0]["at"], "hours": hours, "rejected": later[0]["rejected"]}


def _pr_auc(plan: Plan, system: Operation, alone: NDArray[np.float64]) -> dict[str, Any]:
    """Return PR-AUC by day of the events with the loop and without, and when either recovered from the change."""
    days = [BEGIN + number * DAY for number in range(plan.days)]
    series = {
        name: [_of_day(system, score, day) for day in days]
        for name, score in (("with_loop", system.score), ("without_loop", alone))
    }
    found: dict[str, Any] = {"days": [f"{day:%Y-%m-%d}" for day in days], **series}
    found["of_the_new_pattern"] = {
        name: [_of_day(system, score, day, new=True) for day in days]
        for name, score in (("with_loop", system.score), ("without_loop", alone))
    }
    if plan.changed_at is None:
        return found
    before = plan.changed_after
    former = _mean(series["with_loop"][max(before - FORMER_DAYS, 0) : before])
    matured = plan.changed_at + system.settings.label_window
    place = min(max(-(-(matured - BEGIN) // DAY), 0), plan.days)
    found |= {
        "former": former,
        "recovered_from": RECOVERED * former if former is not None else None,
        "first_mature_labels_at": matured.isoformat(),
        "after_the_change": {
            name: {
                "before_labels_mature": _mean(values[before:place]),
                "from_3_days_after": _mean(values[place + 3 :]),
                "recovered_after_days": _recovered(values, former, place),
            }
            for name, values in series.items()
        },
    }
    return found


def _of_day(system: Operation, score: NDArray[np.float64], day: datetime, *, new: bool = False) -> float | None:
    """Return the PR-AUC of a day's answers by the truth; `new`: of the new pattern beside legitimate rows."""
    world = system.world
    rows = world.between(day, day + DAY)
    rows = rows[~np.isnan(score[rows])]
    fraud = world.is_fraud[rows]
    if new:
        rows = rows[world.new[rows] | ~fraud]
        fraud = world.is_fraud[rows]
    if not fraud.any() or fraud.all():
        return None
    return round(average_precision(fraud, score[rows]), 4)


def _recovered(values: Sequence[float | None], former: float | None, place: int) -> int | None:
    """Return how many days after the day at `place` the PR-AUC is back for good; None where it is not.

    For good: on that day, and on average from then on.
    """
    if former is None:
        return None
    for after, value in enumerate(values[place:]):
        rest = _mean(values[place + after :])
        if value is not None and rest is not None and min(value, rest) >= RECOVERED * former:
            return after
    return None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None
