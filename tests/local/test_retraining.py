"""What the command line asks of Airflow about trainings, against a server that answers as Airflow does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from sentinel_core.errors import LocalError
from sentinel_core.local import retraining
from sentinel_core.local.airflow import AirflowClient
from sentinel_core.local.ports import free_port
from sentinel_core.local.retraining import active_trainings, train_beside, train_in_airflow, train_once
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.trainings import last_training

RUN = "retrain__2026-06-30T12:00:00+00:00"


def use(monkeypatch: pytest.MonkeyPatch, server: httpx.MockTransport) -> None:
    @contextmanager
    def client(_: Settings) -> Iterator[AirflowClient]:
        with httpx.Client(base_url="http://airflow", transport=server) as http:
            yield AirflowClient(http)

    monkeypatch.setattr(retraining, "airflow_client", client)


def test_the_run_has_the_id_of_the_decision_and_trains_on_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v2/dags/fraud_training/dagRuns"
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"dag_run_id": bodies[-1]["dag_run_id"]})

    use(monkeypatch, httpx.MockTransport(answer))
    assert train_in_airflow(load_settings(None))({"source": "database", "run_id": RUN}) == RUN
    assert bodies == [{"logical_date": None, "dag_run_id": RUN, "conf": {"source": "database"}}]


@pytest.mark.parametrize(("known", "runs", "active"), [(True, 2, 2), (True, 0, 0), (False, 0, None)])
def test_active_runs_are_counted_where_airflow_knows_the_dag(
    monkeypatch: pytest.MonkeyPatch, known: bool, runs: int, active: int | None
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/dagRuns"):
            assert request.url.params.get_list("state") == ["queued", "running"]
            return httpx.Response(200, json={"dag_runs": [{}] * runs})
        return httpx.Response(200 if known else 404, json={})

    use(monkeypatch, httpx.MockTransport(answer))
    assert active_trainings(load_settings(None)) == active


def test_airflow_that_is_away_or_was_never_there_is_no_error_but_one_that_refuses_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert active_trainings(load_settings(None, home=tmp_path, airflow_port=free_port())) is None
    away = load_settings(None, home=tmp_path, airflow_password="x", airflow_port=free_port())
    assert active_trainings(away) is None

    @contextmanager
    def refuses(_: Settings) -> Iterator[AirflowClient]:
        raise LocalError("expected Airflow to let admin in, it answered 401.")
        yield

    monkeypatch.setattr(retraining, "airflow_client", refuses)
    with pytest.raises(LocalError, match="401"):
        active_trainings(away)


def test_a_training_in_a_process_of_its_own_bears_the_id_of_the_decision(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", started.append)
    assert train_beside({"source": "database", "run_id": RUN}) == RUN
    assert started == [[sys.executable, "-m", "sentinel_core.local.retraining", RUN]]
    # An empty database trains nothing: one line, and the training is noted as failed.
    monkeypatch.setattr(retraining, "load_settings", lambda: settings)
    assert train_once(RUN) == 1
    assert f"{RUN}: expected transactions in PostgreSQL, found none" in capfd.readouterr().err
    with engine.connect() as conn:
        found = last_training(conn, settings.model_name, now=datetime.now(UTC))
    assert found is not None
    assert (found.run, found.outcome) == (RUN, "failed")
