from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.features.calendar import calendar, midnight
from sentinel_core.schema import TIMESTAMP_MAX, TIMESTAMP_MIN, to_micros

moments = st.datetimes(TIMESTAMP_MIN.replace(tzinfo=None), TIMESTAMP_MAX.replace(tzinfo=None), timezones=st.just(UTC))


@given(st.lists(moments, min_size=1, max_size=20))
def test_the_calendar_is_that_of_datetime(times: list[datetime]) -> None:
    micros = np.array([to_micros(time) for time in times])
    got = calendar(micros)
    assert got["hour_of_day"].tolist() == [time.hour for time in times]
    assert got["day_of_week"].tolist() == [time.weekday() for time in times]
    assert got["day_of_month"].tolist() == [time.day for time in times]
    assert got["is_weekend"].tolist() == [time.weekday() >= 5 for time in times]
    assert got["is_night"].tolist() == [time.hour >= 22 or time.hour < 6 for time in times]
    days = [time.replace(hour=0, minute=0, second=0, microsecond=0) for time in times]
    assert midnight(micros).tolist() == [to_micros(day) for day in days]


def test_the_night_holds_its_beginning_and_not_its_end() -> None:
    edges = [(21, 59, 59), (22, 0, 0), (5, 59, 59), (6, 0, 0)]
    micros = np.array([to_micros(datetime(2026, 2, 28, *edge, tzinfo=UTC)) for edge in edges])
    assert calendar(micros)["is_night"].tolist() == [False, True, True, False]
