"""The command drift shows both verdicts, and how often each is wrong where someone chooses between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from sentinel_core.cli import drift as command
from sentinel_core.settings import Settings
from sentinel_core.stores.drift_reports import DriftReport, record_report
from tests.cli.command import Sentinel

NOW = datetime(2026, 6, 1, tzinfo=UTC)
REPORT = DriftReport(
    model_version="v20260501_000000",
    window_start=NOW - timedelta(hours=1),
    window_end=NOW,
    sample_size=700,
    verdict="suspected",
    reason="rejected in this window, and none before it was judged: amount (PSI 0.300, KS 0.200)",
    created_at=NOW,
    evidently_verdict="no_drift",
    evidently_share=0.1,
    evidently_columns={"amount": {"test": "Wasserstein", "value": 0.2, "threshold": 0.1, "drifts": True}},
    evidently_reason="6 of 61 columns drift (10%, drift is from 50%): amount",
)


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings) -> Sentinel:
    run = Sentinel(monkeypatch, capsys)
    run.use(settings.model_copy(update={"model_name": "nobody"}))
    return run


def test_past_checks_show_both_verdicts(sentinel: Sentinel, engine: Engine) -> None:
    with engine.begin() as conn:
        record_report(conn, REPORT)
    header, row = sentinel("drift", "--list").splitlines()
    assert header.split()[:5] == ["at", "model", "rows", "verdict", "Evidently"]
    assert row.split()[3:6] == ["700", "suspected", "no_drift"]
    (told,) = sentinel.json("drift", "--list")
    assert (told["verdict"], told["evidently_verdict"], told["evidently_share"]) == ("suspected", "no_drift", 0.1)
    assert "evidently_columns" not in told


def test_a_check_shows_both_verdicts_and_how_often_each_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    command.show_evidently("no_drift", "6 of 61 columns drift")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Evidently's preset: no_drift: 6 of 61 columns drift"
    assert said[1].startswith("How often each says drift: SentinelML over two windows, Evidently's preset over one")
    assert said[3].split() == ["no", "drift", "16", "of", "5,040", "9%"]
    command.show_evidently(None, "Evidently failed: why")
    assert capsys.readouterr().out == "Evidently's preset: no verdict: Evidently failed: why\n"


def test_a_check_that_cannot_judge_has_neither_verdict(
    sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch, mlflow_uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_uri)
    assert sentinel("drift") == "not_judged: no model is in Production: there is no reference\n"
    told = sentinel.json("drift")
    assert (told["verdict"], told["evidently_verdict"], told["evidently_columns"]) == ("not_judged", None, None)
    assert told["measured"]["said_drift"][0] == {"windows": "no drift", "sentinel": "16 of 5,040", "evidently": "9%"}
