from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from sentinel_core.cli import retrain as command
from sentinel_core.flows import retrain as flow
from sentinel_core.local.ports import free_port
from sentinel_core.settings import Settings
from tests.cli.command import Sentinel
from tests.stores.labelled import Payment, Said, write


@pytest.fixture
def sentinel(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings, mlflow_uri: str
) -> Sentinel:
    made = Sentinel(monkeypatch, capsys)
    named = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    made.use(settings.model_copy(update=named))
    # A password, so that somebody is asked; and nobody there.
    monkeypatch.setenv("SENTINEL_AIRFLOW_PASSWORD", "x")
    monkeypatch.setenv("SENTINEL_AIRFLOW_PORT", str(free_port()))
    return made


def test_decisions_are_made_and_listed(sentinel: Sentinel, engine: Engine) -> None:
    assert sentinel("retrain", "--list") == "Nothing was decided yet.\n"
    assert sentinel.json("retrain", "--list") == []
    said = sentinel("retrain")
    assert said.startswith("deferred: no training was completed yet")
    assert "0 newly matured frauds (at least 50)" in said
    decided = sentinel.json("retrain", "--reason", "curious")
    assert (decided["decision"], decided["figures"]["why"]) == ("deferred", "curious")
    shown = sentinel("retrain", "--list").splitlines()
    assert shown[0].split() == ["created", "at", "decision", "run", "id", "outcome", "version", "reason"]
    assert len(shown) == 3
    assert len(sentinel.json("retrain", "--list", "--limit", 1)) == 1


@pytest.mark.slow
def test_without_airflow_a_training_that_is_due_runs_in_this_process(
    sentinel: Sentinel, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = datetime.now(UTC) - timedelta(days=70)
    with engine.begin() as conn:
        write(conn, [Payment(f"t{n}", happened) for n in range(60)], [Said(f"t{n}", True, happened) for n in range(60)])
    # Sixty frauds and nothing else: the training stops at its validation, and that is said here.
    assert "expected 60 rows to satisfy the suite" in sentinel.fails("retrain")
    (row,) = sentinel.json("retrain", "--list")
    assert (row["decision"], row["outcome"]) == ("train", "failed")
    assert sentinel.json("retrain")["decision"] == "deferred"

    monkeypatch.setattr(command, "_now", lambda: datetime.now(UTC) + timedelta(minutes=1))
    monkeypatch.setattr(flow, "train_here", lambda *_, **__: lambda params: f"v of {params['run_id']}")
    forced = sentinel.json("retrain", "--force")
    assert forced["started"] == f"v of {forced['run_id']}"
    assert "Started: v of retrain__" not in sentinel("retrain", "--force")


def test_without_postgresql_or_mlflow_it_fails_with_one_line(
    sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "so what is in Production could not be judged, and nothing was decided" in sentinel.fails("retrain")
