"""The hour of the nightly refresh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sentinel_core.local.nightly import next_refresh


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-01T00:00:00", "2026-03-01T00:30:00"),
        ("2026-03-01T00:29:59", "2026-03-01T00:30:00"),
        ("2026-03-01T00:30:00", "2026-03-02T00:30:00"),
        ("2026-12-31T23:59:59", "2027-01-01T00:30:00"),
    ],
)
def test_the_next_half_past_midnight_utc(now: str, due: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert next_refresh(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    assert next_refresh(elsewhere) == next_refresh(moment)
