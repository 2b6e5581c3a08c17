"""Times of day and days of the calendar, from microseconds by integer arithmetic, in UTC."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import MICROS_PER_DAY, MICROS_PER_HOUR
from sentinel_core.features.events import Int

THURSDAY: Final = 3
"""The weekday of 1970-01-01, Monday being 0."""
SATURDAY: Final = 5
NIGHT_FROM: Final = 22
NIGHT_TO: Final = 6


def midnight(time_us: Any) -> Any:
    """Return the midnight at or before a time, both in µs."""
    return time_us // MICROS_PER_DAY * MICROS_PER_DAY


def calendar(time_us: Int) -> dict[str, NDArray[Any]]:
    """Return the five temporal features of times in µs, each of shape (n,).

    The night is [22:00, 06:00), the weekend Saturday and Sunday; days of the week count from Monday 0.
    """
    hours = time_us // MICROS_PER_HOUR
    days = hours // 24
    hour = hours - days * 24
    weekday = (days + THURSDAY) % 7
    first_of_month = days.view("M8[D]").astype("M8[M]").astype("M8[D]")
    return {
        "hour_of_day": hour,
        "day_of_week": weekday,
        "day_of_month": days - first_of_month.view(np.int64) + 1,
        "is_weekend": weekday >= SATURDAY,
        "is_night": (hour >= NIGHT_FROM) | (hour < NIGHT_TO),
    }
