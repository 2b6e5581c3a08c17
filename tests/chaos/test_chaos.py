"""Processes are killed under load on a busy disk: no answer is lost, none counted twice, each vector is exact."""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from sentinel_core.local import orphans
from sentinel_core.local.paths import project_root
from sentinel_core.settings import Settings
from tests.chaos.audit import audit, wait_until_drained
from tests.chaos.faults import KINDS, WORKERS, Faults, Stack, hold, let_go
from tests.chaos.load import Load
from tests.chaos.neighbour import busy_disk
from tests.e2e.stack import Checkout

ROWS = 10_000
"""Of the training: what the model is worth does not matter here."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a running stack without Airflow."""
    checkout = Checkout.make(tmp_path_factory.mktemp("chaos"))
    checkout.environment["API_WORKERS"] = str(WORKERS)
    try:
        checkout.first_make_up(ROWS, "--without", "airflow")
        wait_until_drained(checkout.settings)
        yield checkout.settings
    finally:
        checkout.sentinel("down")
        assert orphans.find(checkout.settings) == []


def _load(settings: Settings, predictions: int, rate: float) -> Load:
    prefix = f"chaos-{secrets.token_hex(3)}-"
    return Load(f"http://127.0.0.1:{settings.serving_port}", prefix, predictions, rate)


def _storm(
    settings: Settings, folder: Path, *, predictions: int, rate: float, kills: int, calm: tuple[float, float]
) -> dict[str, Any]:
    """Send predictions while faults happen, at least `kills` of them and each kind; return the faults and the audit.

    Between two faults lie as many seconds as `calm` says, from and to.
    """
    stack = Stack(settings, random.Random(1))
    faults, load = Faults(stack), _load(settings, predictions, rate)
    with busy_disk(folder / "neighbour"), ThreadPoolExecutor(1) as pool:
        sending = pool.submit(load.run)
        try:
            for happen in faults:
                if sending.done() or (faults.all_kinds and faults.kills >= kills and load.sent >= predictions):
                    break
                time.sleep(stack.rng.uniform(*calm))
                happen()
        finally:
            load.enough.set()
        sending.result()
        drained = wait_until_drained(settings)
    found = audit(settings, load)
    return {
        "faults": dict(faults.counts),
        "kills": faults.kills,
        "seconds": round(load.seconds, 1),
        "waited_for": drained,
        "failures": dict(load.failures),
        "audit": found,
    }


def _show(report: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    shown = json.dumps(report | {"audit": asdict(report["audit"])}, indent=1, default=str)
    with capsys.disabled():
        print(f"\n{shown}")
    return shown


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = _storm(settings, tmp_path, predictions=3_000, rate=80, kills=len(KINDS) - 1, calm=(0.3, 1.5))
    _show(report, capsys)
    assert report["faults"].keys() == KINDS.keys()
    assert report["audit"].answered >= 3_000
    assert report["audit"].repeated > 0
    report["audit"].faultless()


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_postgresql_may_be_away_for_the_whole_load(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    load = _load(settings, 400, 50)
    load.enough.set()
    stopped = Stack(settings).tree("postgres")
    hold(stopped)
    try:
        load.run()
    finally:
        let_go(stopped)
    wait_until_drained(settings)
    found = audit(settings, load)
    _show({"failures": dict(load.failures), "seconds": round(load.seconds, 1), "audit": found}, capsys)
    assert found.answered >= 400
    assert not load.failures
    assert found.degraded_answers == 0
    found.faultless()


@pytest.mark.e2e
@pytest.mark.slow
def test_the_audit_sees_what_is_missing(settings: Settings) -> None:
    load = _load(settings, 100, 100)
    load.enough.set()
    load.run()
    wait_until_drained(settings)
    audit(settings, load).faultless()
    unknown, other, *_ = load.answered
    told = load.answered.pop(unknown)
    load.answered[f"{unknown}-lost"] = told
    load.answered[other] = replace(load.answered[other], score=load.answered[other].score / 2 + 0.1)
    found = audit(settings, load)
    assert (found.lost_rows, found.lost_logs, found.foreign_rows, found.other_scores) == (1, 1, 1, 1)
    with pytest.raises(AssertionError, match="lost_rows"):
        found.faultless()


@pytest.mark.chaos
@pytest.mark.timeout(5400)
def test_nothing_is_lost_or_doubled_among_fifty_thousand(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _storm(settings, tmp_path, predictions=50_000, rate=200, kills=30, calm=(0.5, 4))
    shown = _show(report, capsys)
    target = project_root() / ".bench" / "chaos.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(shown + "\n", encoding="utf-8")
    assert report["faults"].keys() == KINDS.keys()
    assert report["kills"] >= 30
    assert report["audit"].answered >= 50_000
    report["audit"].faultless()
