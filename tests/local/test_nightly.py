"""The hours of the nightly steps, and that each is the step of its DAG."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sentinel_core.local import nightly
from sentinel_core.local.nightly import STEPS, next_time
from sentinel_core.local.paths import project_root
from sentinel_core.settings import Settings


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
    moment, half = datetime.fromisoformat(now).replace(tzinfo=UTC), timedelta(minutes=30)
    assert next_time(moment, half) == datetime.fromisoformat(due).replace(tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    assert next_time(elsewhere, half) == next_time(moment, half)


def test_each_step_runs_at_the_hour_of_its_dag() -> None:
    hours = {name: (datetime(2026, 1, 1, tzinfo=UTC) + step.after_midnight) for name, step in STEPS.items()}
    for name, hour in hours.items():
        dag = (project_root() / "dags" / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
        assert f'schedule="{hour.minute} {hour.hour} * * *"' in dag


def test_a_step_says_what_it_did_or_why_it_could_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nightly, "load_settings", lambda: settings)
    assert nightly.once("performance-check") == 0
    assert "performance-check: {'measured': 0}" in capfd.readouterr().err
    away = settings.model_copy(update={"database_url_given": "postgresql://u:p@127.0.0.1:1/x"})
    monkeypatch.setattr(nightly, "load_settings", lambda: away)
    assert nightly.once("performance-check") == 1
    assert "performance-check: expected PostgreSQL at" in capfd.readouterr().err
