"""When the steps by the clock are due, and that each is the step of its DAG."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sentinel_core.local import nightly
from sentinel_core.local.nightly import DAY, STEPS, next_time
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
    moment, step = datetime.fromisoformat(now).replace(tzinfo=UTC), STEPS["risk-refresh"]
    assert next_time(moment, step) == datetime.fromisoformat(due).replace(tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    assert next_time(elsewhere, step) == next_time(moment, step)


@pytest.mark.parametrize(
    ("now", "due"),
    [("00:00:00", "00:05:00"), ("00:04:59", "00:05:00"), ("12:05:00", "12:10:00"), ("23:55:00", "00:00:00")],
)
def test_the_next_five_minutes(now: str, due: str) -> None:
    moment = datetime.fromisoformat(f"2026-03-01T{now}").replace(tzinfo=UTC)
    found = next_time(moment, STEPS["alert-check"])
    assert f"{found:%H:%M:%S}" == due
    assert timedelta(0) < found - moment <= timedelta(minutes=5)


def test_each_step_runs_when_its_dag_does() -> None:
    for name, step in STEPS.items():
        first = datetime(2026, 1, 1, tzinfo=UTC) + step.after_midnight
        minutes = int(step.every / timedelta(minutes=1))
        others = f"{first.minute} * * * *" if minutes == 60 else f"*/{minutes} * * * *"
        schedule = f"{first.minute} {first.hour} * * *" if step.every == DAY else others
        dag = (project_root() / "dags" / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
        assert f'schedule="{schedule}"' in dag
        assert timedelta(days=1) % step.every == timedelta(0)


def test_a_step_says_what_it_did_or_why_it_could_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nightly, "load_settings", lambda: settings)
    assert nightly.once("performance-check") == 0
    assert "performance-check: {'measured': 0}" in capfd.readouterr().err
    assert nightly.once("alert-check") == 0
    assert "'drift': 'not_judged'" in capfd.readouterr().err
    away = settings.model_copy(update={"database_url_given": "postgresql://u:p@127.0.0.1:1/x"})
    monkeypatch.setattr(nightly, "load_settings", lambda: away)
    assert nightly.once("performance-check") == 1
    assert "performance-check: expected PostgreSQL at" in capfd.readouterr().err
