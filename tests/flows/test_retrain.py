"""The retraining check over the real stores: what it decides, what it writes down, and what it starts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sentinel_core.errors import LocalError, RegistryError, StoreError
from sentinel_core.flows import retrain
from sentinel_core.flows.ingest import Request
from sentinel_core.flows.moves import move_version
from sentinel_core.flows.retrain import check_retraining, read_decisions, train_here
from sentinel_core.flows.trainings import holding_training
from sentinel_core.local.postgres import make_cluster, start_postgres
from sentinel_core.registry.promotion import list_versions
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.gate_attempts import attempt_of
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.model_metrics import ModelMetrics, record_metrics
from sentinel_core.stores.postgres import migrate
from sentinel_core.stores.recording import write_batch
from sentinel_core.stores.retraining import list_decisions
from sentinel_core.stores.trainings import note_begin, note_end, note_snapshot
from tests.conftest import running_servers
from tests.flows.test_declines import BATCH, END, Log
from tests.monitoring.cohorts import Row, Told
from tests.registry.test_promotion import Log as Moves
from tests.registry.test_promotion import registered
from tests.stores.answers import write_rows
from tests.stores.labelled import Payment, Said, write

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def ready(settings: Settings, mlflow_uri: str) -> Settings:
    """Settings with an MLflow, a registry of their own, and labels that mature within a week."""
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    return settings.model_copy(update={**update, "label_window_days": 7.0, "cohort_ages": "7"})


def frauds(engine: Engine, count: int, *, known: datetime, happened: datetime, prefix: str = "f") -> None:
    names = [f"{prefix}{n}" for n in range(count)]
    with engine.begin() as conn:
        write(
            conn,
            [Payment(name, happened + timedelta(seconds=n)) for n, name in enumerate(names)],
            [Said(name, True, known) for name in names],
        )


def trained(
    engine: Engine, settings: Settings, at: datetime, *, run: str = "manual__1", completed: bool = True
) -> None:
    """Note a training on the database."""
    with engine.begin() as conn:
        name = settings.model_name
        number = note_begin(conn, name, run=run, holder="airflow", source="database", now=at)
        if completed:
            old = at - settings.label_window
            note_snapshot(conn, name, number, snapshot="s", as_of=at, recorded_by=at, matured_before=old, now=at)
        outcome = "completed" if completed else "failed"
        note_end(conn, name, number, outcome=outcome, reason="r", now=at + HOUR)  # type: ignore[arg-type]


class Starts:
    """Starts nothing, and remembers what it was to start."""

    def __init__(self) -> None:
        self.params: list[Mapping[str, Any]] = []

    def __call__(self, params: Mapping[str, Any]) -> str:
        self.params.append(params)
        return f"started {params['run_id']}"


def test_a_day_of_checks_trains_once_when_enough_frauds_have_matured(ready: Settings, engine: Engine) -> None:
    trained(engine, ready, NOW - 2 * DAY)
    # Reported an hour after they happened; mature a week later, at 14:00.
    happened = NOW + 2 * HOUR - ready.label_window
    frauds(engine, 60, known=happened + HOUR, happened=happened)
    said, starts = [], Starts()
    for hour in range(6):
        decided = check_retraining(ready, now=NOW + hour * HOUR, start=starts)
        said.append(decided["decision"])
        if hour == 0:
            assert "0 newly matured frauds (at least 50)" in decided["reason"]
            assert "It may be from 2026-06-30 14:00 UTC on" in decided["reason"]
            assert decided["figures"]["not_before"].startswith("2026-06-30T14:00:49")
            assert decided["figures"]["last_completed"]["run"] == "manual__1"
        if decided["decision"] == "train":
            trained(engine, ready, NOW + hour * HOUR, run=decided["run_id"])
    assert said == ["deferred", "deferred", "deferred", "train", "not_needed", "not_needed"]
    (params,) = starts.params
    assert params == {"source": "database", "run_id": "retrain__2026-06-30T15:00:00+00:00"}
    listed = read_decisions(ready, now=NOW + DAY)
    assert [row["decision"] for row in listed] == said[::-1]
    assert (listed[2]["run_id"], listed[2]["outcome"]) == (params["run_id"], "completed")
    assert [row["created_at"] for row in listed] == [NOW + hour * HOUR for hour in range(5, -1, -1)]
    assert all(row["outcome"] is None for row in listed if row["decision"] != "train")
    assert all(row["figures"]["triggers"] and row["figures"]["eligibility"] for row in listed)


def test_traffic_without_labels_asks_in_vain(ready: Settings, engine: Engine) -> None:
    trained(engine, ready, NOW - 25 * HOUR)
    busy = ready.model_copy(update={"retrain_after_transactions": 100})
    with engine.begin() as conn:
        write(conn, [Payment(f"t{n}", NOW - HOUR) for n in range(150)], [])
    decided = check_retraining(busy, now=NOW, start=Starts())
    assert decided["decision"] == "deferred"
    assert "150 new transactions (more than 100 ask)" in decided["reason"]
    assert "as soon as that has changed" in decided["reason"]
    assert (decided["run_id"], decided["params"], decided["started"]) == (None, None, None)


def test_force_trains_without_anything_new_and_waits_for_a_training_under_way(ready: Settings, engine: Engine) -> None:
    trained(engine, ready, NOW - HOUR)
    starts = Starts()
    assert check_retraining(ready, now=NOW, start=starts)["decision"] == "not_needed"
    with holding_training(ready, Request(), run="process__9", clock=lambda: NOW):
        held = check_retraining(ready, now=NOW, forced=True, start=starts)
    assert held["decision"] == "deferred"
    assert held["reason"].endswith("a training is under way: process__9")
    queued = check_retraining(ready, now=NOW, forced=True, active=1, start=starts)
    assert "a run of fraud_training in Airflow, queued or running" in queued["reason"]
    done = check_retraining(ready, now=NOW, forced=True, actor="ann", why="new terminals", active=0, start=starts)
    assert (done["decision"], done["started"]) == ("train", f"started {done['run_id']}")
    assert {name: done["figures"][name] for name in ("forced", "actor", "why")} == {
        "forced": True,
        "actor": "ann",
        "why": "new terminals",
    }
    assert len(starts.params) == 1


def test_of_two_checks_at_once_one_trains(ready: Settings, engine: Engine) -> None:
    frauds(engine, 60, known=NOW - DAY, happened=NOW - 10 * DAY)
    starts = Starts()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: check_retraining(ready, now=NOW, start=starts), range(4)))
    assert sorted(one["decision"] for one in found) == ["deferred", "deferred", "deferred", "train"]
    assert len(starts.params) == 1
    waiting = next(one for one in found if one["decision"] == "deferred")
    assert "under way: retrain__2026-06-30T12:00:00+00:00, decided on at 12:00 UTC" in waiting["reason"]
    # What never began is not waited for for ever.
    assert check_retraining(ready, now=NOW + timedelta(minutes=9), start=starts)["decision"] == "deferred"
    assert check_retraining(ready, now=NOW + timedelta(minutes=10), start=starts)["decision"] == "train"


def test_a_start_that_fails_is_said_and_the_next_check_starts_again(ready: Settings, engine: Engine) -> None:
    frauds(engine, 60, known=NOW - DAY, happened=NOW - 10 * DAY)

    def refused(_: Mapping[str, Any]) -> str:
        raise LocalError("expected Airflow to accept POST, it answered 503.")

    with pytest.raises(LocalError, match="503"):
        check_retraining(ready, now=NOW, start=refused)
    (row,) = read_decisions(ready, now=NOW)
    assert (row["decision"], row["outcome"]) == ("train", "not begun")
    assert check_retraining(ready, now=NOW, start=Starts())["decision"] == "train"


def test_a_failed_training_rests_and_does_not_count_as_learned(ready: Settings, engine: Engine) -> None:
    trained(engine, ready, NOW - 3 * DAY)
    frauds(engine, 60, known=NOW - 2 * DAY, happened=NOW - 8 * DAY)
    trained(engine, ready, NOW - HOUR, run="manual__2", completed=False)
    resting = check_retraining(ready, now=NOW)
    assert resting["decision"] == "deferred"
    assert "1.0 h since the last start (at least 24 h). It may be from 2026-07-01 11:00 UTC on" in resting["reason"]
    assert check_retraining(ready, now=NOW + 23 * HOUR)["decision"] == "train"


def in_production(settings: Settings, engine: Engine, tmp_path: Path) -> str:
    version = registered(settings, tmp_path, "v20260101_000000", Moves())
    move_version(settings, version.name, "Production", actor="ann", now=NOW - 20 * DAY)
    figure = {"value": 0.9, "low": 0.88, "high": 0.92}
    details = {"intervals": {"precision": figure, "recall": figure}}
    with engine.begin() as conn:
        record_metrics(conn, ModelMetrics(version.name, settings.model_name, "test", 10, NOW, details=details))
    return version.name


def test_a_drop_that_counts_asks_and_is_measured_once_a_day(
    ready: Settings, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = in_production(ready, engine, tmp_path)
    trained(engine, ready, NOW - 2 * HOUR)
    quiet = check_retraining(ready, now=NOW - HOUR)
    assert "precision not compared (0 matured alerts, 100 are needed)" in quiet["reason"]
    # Half of the alerts of ten days ago turned out to be wrong.
    rows = [Row(0.9, True, 0.5, user=n, outcome="approved", labels=[Told(n % 2 == 0, 2)]) for n in range(300)]
    start = datetime(2026, 6, 20, tzinfo=UTC)
    with engine.begin() as conn:
        write_rows(conn, rows, start=start, version=champion)
    # That day's figures are known: what is written into the past changes nothing until the next.
    assert check_retraining(ready, now=NOW)["decision"] == "not_needed"
    found = check_retraining(ready, now=NOW + DAY, start=Starts())
    asks = [one["name"] for one in found["figures"]["triggers"] if one["holds"]]
    assert asks == ["hours", "precision drop"]
    assert found["figures"]["champion"] == found["figures"]["drop"]["model_version"] == champion
    assert "precision -44.4% against the hold-out (the bound" in found["reason"]

    monkeypatch.setattr(retrain, "measure_drop", None)
    again = check_retraining(ready, now=NOW + DAY + HOUR)
    assert again["figures"]["drop"] == found["figures"]["drop"]
    monkeypatch.undo()
    strict = ready.model_copy(update={"retrain_min_alerts": 1000, "retrain_after_hours": 99})
    assert check_retraining(strict, now=NOW + DAY + 2 * HOUR)["decision"] == "not_needed"


def test_without_postgresql_the_check_says_what_it_could_not_judge_and_the_next_one_works(
    ready: Settings, tmp_path: Path
) -> None:
    with running_servers(tmp_path / "servers", "fsync=off") as servers:
        url = servers.database_url("sentinel")
        own = ready.model_copy(update={"database_url_given": url, "db_name": "sentinel"})
        migrate(own)
        assert check_retraining(own, now=NOW)["decision"] == "deferred"
        servers.postgres.stop()
        with pytest.raises(StoreError) as away:
            check_retraining(own, now=NOW + HOUR)
        assert "\n" not in str(away.value)
        assert "so the figures of a retraining could not be judged, and nothing was decided" in str(away.value)
        home = tmp_path / "servers"
        cluster = make_cluster(home, servers.postgres_port, servers.postgres_password)
        again = start_postgres(cluster, home / "postgres.log")
        try:
            assert check_retraining(own, now=NOW + 2 * HOUR)["decision"] == "deferred"
            assert len(read_decisions(own, now=NOW + DAY)) == 2
        finally:
            again.stop()


def test_without_mlflow_the_check_says_what_it_could_not_judge_and_decides_nothing(
    ready: Settings, engine: Engine
) -> None:
    away = ready.model_copy(update={"mlflow_tracking_uri_given": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError, match="so what is in Production could not be judged, and nothing was decided"):
        check_retraining(away, now=NOW)
    with engine.connect() as conn:
        assert list_decisions(conn, now=NOW) == []
    assert check_retraining(ready, now=NOW)["decision"] == "deferred"


@pytest.mark.slow
def test_a_training_that_was_decided_on_learns_from_the_database_and_goes_through_the_gate(
    ready: Settings, engine: Engine
) -> None:
    settings = ready.model_copy(update={"label_window_days": 4.0, "label_delay_days": 4.0})
    log, now = Log(), END + timedelta(days=10)
    with engine.begin() as conn:
        for start in range(0, len(log.events), 2 * BATCH):
            write_batch(conn, log.events[start : start + 2 * BATCH], now=END)
        record_labels(conn, list(log.labels.values()), now=END + timedelta(days=5))
    train = train_here(settings, clock=lambda: now)

    def quick(params: Mapping[str, Any]) -> str:
        return train({**params, "models": ["logistic_regression"], "search": False})

    decided = check_retraining(settings, now=now, start=quick)
    assert decided["decision"] == "train"
    assert "no training was completed yet" in decided["reason"]
    (version,) = list_versions(settings)
    with engine.connect() as conn:
        attempt = attempt_of(conn, settings.model_name, version.name)
    assert attempt is not None
    assert (decided["started"], attempt["outcome"]) == (version.name, "promote")
    (row,) = read_decisions(settings, now=now + HOUR)
    assert (row["outcome"], row["version"]) == ("completed", version.name)
    # Everything was learned: a day later time asks, and there is nothing new.
    later = check_retraining(settings, now=now + 25 * HOUR, start=quick)
    assert later["decision"] == "deferred"
    assert "0 newly matured frauds" in later["reason"]


def test_settings_name_every_bound() -> None:
    bounds = retrain.bounds(load_settings(None))
    assert bounds == retrain.Bounds()
