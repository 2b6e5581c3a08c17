"""20,000 events through HTTP, single and in batches, side by side; then the offline build judges every vector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from sentinel_core.datasets.frames import canonical
from sentinel_core.features.catalog import POSITION
from sentinel_core.flows.history import load_history
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.replay import ReplayOptions, replay_file
from sentinel_core.flows.risk import refresh_risk
from sentinel_core.synthetic import generate
from tests.cli.command import Sentinel
from tests.conftest import Servers
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import VERSION, Service, service_settings, serving

HISTORY, REPLAYED = 10_000, 20_000
_SEEN = text(
    f"""
    SELECT count(merchant_arrival),
           count(*) FILTER (WHERE CAST(features ->> {POSITION["merchant_txn_count_1h"]} AS double precision) > 1)
    FROM transactions WHERE source = 'live'
    """
)


@pytest.fixture
def service(servers: Servers, _template: str, tmp_path: Path) -> Iterator[Service]:
    """A service of this test alone: its database holds nothing else."""
    bundle = tmp_path / "bundle"
    tiny_bundle(bundle, model_version=VERSION)
    with (
        service_settings(servers, _template, tmp_path / "home", bundle=bundle) as settings,
        serving(settings, workers=2) as running,
    ):
        yield running


@pytest.mark.slow
def test_every_logged_vector_is_the_offline_one_bit_for_bit(service: Service, tmp_path: Path) -> None:
    """Behind a history that was loaded from a file, with the risk table of last midnight."""
    now = datetime.now(UTC)
    end = now.replace(minute=0, second=0, microsecond=0)
    frame = canonical(generate(HISTORY + REPLAYED, 0.02, 7, end=end))
    past, one_by_one, batches = tmp_path / "past.parquet", tmp_path / "single.parquet", tmp_path / "batches.parquet"
    frame.iloc[:HISTORY].to_parquet(past, index=False)
    frame.iloc[HISTORY : HISTORY + REPLAYED // 2].to_parquet(one_by_one, index=False)
    frame.iloc[HISTORY + REPLAYED // 2 :].to_parquet(batches, index=False)
    snapshot = make_snapshot(service.settings, Request("file", file=str(past)), now=now)
    load_history(service.settings, snapshot, now=now)
    assert refresh_risk(service.settings, now=now)["published"]

    single = replay_file(service.settings, one_by_one, url=service.url, options=ReplayOptions(concurrency=12), now=now)
    batched = replay_file(
        service.settings, batches, url=service.url, options=ReplayOptions(concurrency=6, batch=25), now=now
    )
    for report in (single, batched):
        assert report["mismatch_samples"] == []
        assert (report["sent"], report["answered"], report["errors"]) == (REPLAYED // 2, REPLAYED // 2, 0)
        assert (report["compared"], report["mismatches"], report["not_compared"]) == (REPLAYED // 2, 0, {})
    with service.engine.connect() as conn:
        seen, busy = conn.execute(_SEEN).one()
    # The comparison is of something: entities noted the events, and merchants saw others than the user.
    assert seen > 0.99 * REPLAYED
    assert busy > REPLAYED / 20


@pytest.mark.slow
def test_a_replay_by_command_under_ids_of_its_own(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sentinel = Sentinel(monkeypatch, capsys)
    sentinel.use(service.settings)
    monkeypatch.setenv("SENTINEL_BUNDLE", str(service.settings.bundle))
    rows, report = tmp_path / "rows.csv", tmp_path / "report.json"
    sentinel("generate", "--rows", 300, "--end", "2026-06-01T10:00:00", "--out", rows)
    for _ in range(2):  # fresh means fresh: the second time nothing is known either
        found = sentinel.json(
            "replay", rows, "--url", service.url, "--limit", 200, "--batch", 7, "--fresh", "--report", report
        )
        assert json.loads(report.read_text()) == found
        assert (found["sent"], found["answered"], found["cached"], found["errors"]) == (200, 200, 0, 0)
        assert (found["compared"], found["mismatches"]) == (200, 0)
        assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert sentinel.json("replay", rows, "--url", service.url)["mismatches"] == 0
    with service.engine.begin() as conn:
        conn.execute(text("UPDATE transactions SET features = jsonb_set(features, '{0}', '0.5') WHERE amount > 500"))
    said = sentinel.fails("replay", rows, "--url", service.url, "--report", report)
    found = json.loads(report.read_text())
    assert found["cached"] == 300
    assert 0 < found["mismatches"] < 100
    assert f"{found['mismatches']} of 300 differ" in said
    assert found["mismatch_samples"][0]["feature"] == "amount"
    assert "expected answers from http://127.0.0.1:9, got none" in sentinel.fails(
        "replay", rows, "--url", "http://127.0.0.1:9", "--limit", 1
    )
    assert "expected a batch from 1 to 100, got 0" in sentinel.fails("replay", rows, "--batch", 0)
