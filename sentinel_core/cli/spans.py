"""Spans of time and durations as people write them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sentinel_core.errors import DataError

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "w": "weeks"}


def span(text: str, option: str) -> tuple[datetime, datetime]:
    """Read A:B. Bare dates are whole days in UTC, B's included; of ISO 8601 times the end is excluded.

    >>> span("2018-07-25:2018-07-31", "--train")[1].isoformat()
    '2018-08-01T00:00:00+00:00'
    """
    for place in (match.start() for match in re.finditer(":", text)):
        try:
            start, end = _moment(text[:place], False), _moment(text[place + 1 :], True)
        except ValueError:
            continue
        if start >= end:
            raise DataError(f"expected {option} to end after it begins, got {text!r}.", remedy="Give A:B, A before B.")
        return start, end
    raise DataError(
        f"expected {option} as A:B, two dates or two ISO 8601 times, got {text!r}.",
        remedy="Write it like 2018-07-25:2018-07-31 (both days included) or 2018-07-25T00:00:2018-08-01T00:00.",
    )


def duration(text: str, option: str) -> timedelta:
    """Read a positive duration such as 7d, 36h, 2w.

    >>> duration("36h", "--label-delay")
    datetime.timedelta(days=1, seconds=43200)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([dhmw])", text.strip())
    found = timedelta(**{_UNITS[match[2]]: float(match[1])}) if match else timedelta()
    if not found:
        raise DataError(
            f"expected {option} as a number and a unit of {', '.join(_UNITS)}, got {text!r}.",
            remedy="Write it like 7d.",
        )
    return found


def _moment(text: str, is_end: bool) -> datetime:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return day + timedelta(days=1) if is_end else day
    if "T" not in text:
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
