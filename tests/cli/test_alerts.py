"""`sentinel alerts`: what is open, who takes care of it, what the rules say now, and whether the channels work."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sentinel_core.notify import sending
from sentinel_core.settings import Settings
from sentinel_core.stores.postgres import connected
from tests.cli.command import Sentinel
from tests.notify.servers import TOKEN, Webhook, webhook
from tests.stores.test_alert_metrics import add_drift


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings) -> Sentinel:
    monkeypatch.setattr(sending, "FIRST_WAIT_SECONDS", 0.0)
    command = Sentinel(monkeypatch, capsys)
    command.use(settings)
    return command


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as running:
        yield running


def drift(engine: Engine, verdict: str, minutes: float = 0) -> None:
    with connected(engine) as conn:
        add_drift(conn, verdict, datetime.now(UTC) + timedelta(minutes=minutes))


def test_from_the_first_alert_to_its_end(
    sentinel: Sentinel, engine: Engine, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_NOTIFY_URLS", hook.url)
    assert sentinel("alerts") == "No open alerts.\n"
    assert sentinel("alerts", "--all") == "No alerts yet.\n"
    drift(engine, "drift", minutes=-5)
    rules = {one["rule"]: one for one in sentinel.json("alerts", "check")["rules"]}
    assert rules["drift"]["change"] == "firing"
    (alert,) = sentinel.json("alerts")["alerts"]
    shown = sentinel("alerts").splitlines()
    assert len(shown) == 2
    for word in (str(alert["id"]), "high", "drift", "firing", ">= drift"):
        assert word in shown[1]
    said = sentinel("alerts", "acknowledge", alert["id"], "--reason", "a campaign")
    assert said.startswith(f"Alert {alert['id']} (drift) was acknowledged by {getpass.getuser()} at ")
    again = sentinel.json("alerts", "acknowledge", alert["id"], "--reason", "me too")
    assert (again["result"], again["alert"]["acknowledged_because"]) == ("acknowledged", "a campaign")
    for minutes in (-4, -3):
        drift(engine, "no_drift", minutes=minutes)
        assert "drift" in sentinel("alerts", "check")
    assert sentinel("alerts") == "No open alerts.\n"
    assert "resolved" in sentinel("alerts", "--all")
    late = sentinel("alerts", "acknowledge", alert["id"], "--reason", "late")
    assert f"Alert {alert['id']} (drift) was resolved at " in late
    assert hook.titles() == ["[high] drift is firing", "Resolved: drift"]


def test_what_cannot_be_done_is_one_line(sentinel: Sentinel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "expected the number of an alert, got 7." in sentinel.fails("alerts", "acknowledge", 7, "--reason", "x")
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rules]]\nname = "x"\nmetric = "latency"\n')
    monkeypatch.setenv("SENTINEL_ALERT_RULES", str(rules))
    assert "expected comparison in" in sentinel.fails("alerts", "check")


def test_the_channels_can_be_tried(sentinel: Sentinel, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "expected channels in SENTINEL_NOTIFY_URLS, found none." in sentinel.fails("alerts", "test")
    monkeypatch.setenv("SENTINEL_NOTIFY_URLS", hook.url)
    assert "json-1   sent   1         taken" in sentinel("alerts", "test")
    assert hook.titles() == ["SentinelML: a test"]
    monkeypatch.setenv("SENTINEL_NOTIFY_URLS", f"{hook.url} nothing://{TOKEN}")
    line = sentinel.fails("alerts", "test")
    assert "of 2 these did not: nothing-2 (the URL is none that Apprise knows" in line
    assert TOKEN not in line
