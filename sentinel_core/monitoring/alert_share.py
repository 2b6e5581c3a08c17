"""The share of alerts against its baseline for the hour: so many times what these hours usually see.

    expected = sum over the window's hours of predictions x baseline share of the hour
    ratio = alerts / max(expected, FEWEST_EXPECTED)

The baseline of an hour is the share of alerts over the same hour (UTC) of the `BASELINE` before the window: of the
same weekday where there are `WEEKDAY_HOURS` such hours, else of every day where there are `FEWEST_HOURS`. Either must
hold as many predictions as the window's own hour, and `FEWEST_PREDICTIONS`; else the hour has no baseline, and the
ratio no value. Fewer expected alerts than `FEWEST_EXPECTED` count as so many: alerts come in bursts, and three of
them where one was expected are no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

BASELINE: Final = timedelta(weeks=4)
WEEKDAY_HOURS: Final = 3
FEWEST_HOURS: Final = 5
FEWEST_PREDICTIONS: Final = 1_000
FEWEST_EXPECTED: Final = 20.0


@dataclass(frozen=True, slots=True)
class Hour:
    """The answers of one hour, which begins at `start` (UTC): how many, and how many of them were alerts."""

    start: datetime
    predictions: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Share:
    """Alerts of a window against what its hours usually see; `why` says why there is no ratio."""

    predictions: int
    flagged: int
    expected: float | None
    ratio: float | None
    why: str = ""


def share_ratio(window: Sequence[Hour], past: Sequence[Hour]) -> Share:
    """Compare the hours of a window with those of the weeks before it; hours of `past` lie before the window."""
    predictions, flagged = sum(hour.predictions for hour in window), sum(hour.flagged for hour in window)
    expected = 0.0
    for hour in window:
        base = _baseline(hour, past)
        if base is None:
            why = f"there is no baseline yet for {hour.start:%A %H}:00 UTC"
            return Share(predictions, flagged, None, None, why)
        expected += hour.predictions * base
    if not predictions:
        return Share(0, 0, None, None, "there was no traffic")
    return Share(predictions, flagged, expected, flagged / max(expected, FEWEST_EXPECTED))


def _baseline(hour: Hour, past: Sequence[Hour]) -> float | None:
    same_hour = [one for one in past if one.start.hour == hour.start.hour and one.predictions]
    same_day = [one for one in same_hour if one.start.weekday() == hour.start.weekday()]
    needed = max(hour.predictions, FEWEST_PREDICTIONS)
    for found, fewest in ((same_day, WEEKDAY_HOURS), (same_hour, FEWEST_HOURS)):
        predictions = sum(one.predictions for one in found)
        if len(found) >= fewest and predictions >= needed:
            return sum(one.flagged for one in found) / predictions
    return None
