"""`sentinel simulate` from the outside: two days on servers of its own, a page, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from sentinel_core.cli.simulate import simulate
from tests.cli.command import Sentinel
from tests.reports.pages import Page, outside

KEYS = {"days", "windows", "false_alarms", "alerts", "retrainings", "pr_auc", "verdicts", "events", "scenario"}


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sentinel:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    return Sentinel(monkeypatch, capsys)


def test_what_cannot_be_simulated_is_said_before_anything_starts(sentinel: Sentinel, tmp_path: Path) -> None:
    assert "expected a scenario of none, gradual" in sentinel.fails("simulate", "--scenario", "nothing")
    assert "expected a folder at" in sentinel.fails("simulate", "--report", tmp_path / "nowhere" / "page.html")
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_two_days_on_servers_of_its_own(sentinel: Sentinel, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    size = ("--days", 2, "--rows-a-day", 500, "--fraud-rate", 0.05, "--models", "logistic_regression")
    found = sentinel.json("simulate", *size, "--report", page)
    assert set(found) >= KEYS
    assert (found["days"], found["scenario"], found["false_alarms"]) == (2, "none", 0)
    assert len(found["verdicts"]) == 48
    assert found["report"] == str(page)
    shown = Page(page.read_text(encoding="utf-8"))
    assert outside(shown) == []
    assert "nothing changes" in shown.said
    # Its servers are gone, and so are their data.
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["page.html"]
    left = [child.cmdline() for child in psutil.Process(os.getpid()).children(recursive=True)]
    assert not [command for command in left if str(tmp_path) in " ".join(command)]


def test_the_defaults_are_those_of_the_plan() -> None:
    """Written twice, since the command line must not import what the plan does."""
    from sentinel_core.flows.simulation.plan import Plan

    plan, given = Plan("none"), simulate.__kwdefaults__
    assert {name: given[name] for name in ("days", "rows_a_day", "fraud_rate", "seed", "change_day")} == {
        name: getattr(plan, name) for name in ("days", "rows_a_day", "fraud_rate", "seed", "change_day")
    }
    assert given["explore"] == plan.explore_share
