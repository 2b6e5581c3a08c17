from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sentinel_core.settings import Settings
from tests.cli.command import Sentinel
from tests.monitoring.cohorts import Row, Told
from tests.stores.answers import write_rows


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings) -> Sentinel:
    command = Sentinel(monkeypatch, capsys)
    command.use(settings)
    return command


def test_live_performance_is_measured_and_shown(sentinel: Sentinel, engine: Engine, tmp_path: Path) -> None:
    assert "by day of the events: none yet" in sentinel("performance")
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    rows = [
        Row(0.9 if n % 2 else 0.1, bool(n % 2), user=n, outcome="approved", labels=[Told(n % 4 == 1, 1)])
        for n in range(80)
    ]
    with engine.begin() as conn:
        write_rows(conn, rows, start=today - timedelta(days=20))
        write_rows(conn, rows[:10], start=today - timedelta(days=3), prefix="young ")
    found = sentinel.json("performance")
    assert [(row["age_days"], row["precision"]["value"]) for row in found["cohorts"]] == [(7, 0.5)]
    assert [row["estimated"] for row in found["estimates"]] == [True]
    page = tmp_path / "page.html"
    shown = sentinel("performance", "--plot", page, "--days", 30)
    assert "0.500 [0." in shown
    assert "estimated from scores" in shown
    assert "7 days later" in page.read_text(encoding="utf-8")
    assert sentinel.json("performance", "--days", 5)["cohorts"] == []
