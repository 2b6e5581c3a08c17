"""The declaration of every process: complete, ordered, and silent about passwords."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentinel_core.errors import LocalError
from sentinel_core.local.airflow import airflow_environment
from sentinel_core.local.paths import project_root
from sentinel_core.local.processes import PROCESS, PROCESSES, run
from sentinel_core.local.secrets import ensure_secrets
from sentinel_core.settings import Settings, load_settings

NAMES = (
    "postgres",
    "redis",
    "mlflow",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "serving",
    "recorder",
    "explainer",
)


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    settings = load_settings(None, home=tmp_path)
    ensure_secrets(settings)
    return settings


def test_the_names_that_status_promises(embedded: Settings) -> None:
    assert tuple(p.name for p in PROCESSES if p.wanted(embedded, airflow=True)) == NAMES
    without = tuple(name for name in NAMES if not name.startswith("airflow"))
    assert tuple(p.name for p in PROCESSES if p.wanted(embedded, airflow=False)) == (*without, "risk-refresh")
    assert [p.order for p in PROCESSES] == sorted(p.order for p in PROCESSES)


def test_servers_that_somebody_else_runs_are_left_alone(tmp_path: Path) -> None:
    settings = load_settings(
        None,
        home=tmp_path,
        database_url_given="postgresql://u:p@db:5432/x",
        redis_host="cache",
        mlflow_tracking_uri_given="http://mlflow:5000",
    )
    ours = [p.name for p in PROCESSES if p.wanted(settings, airflow=True)]
    assert {"postgres", "redis", "mlflow"}.isdisjoint(ours)


@pytest.mark.parametrize("name", [*NAMES, "risk-refresh"])
def test_no_command_line_shows_a_secret_and_all_bind_to_loopback(embedded: Settings, name: str) -> None:
    command = PROCESS[name].command(embedded)
    secrets = json.loads((embedded.home / "secrets.json").read_text()).values()
    assert not [word for word in command for secret in secrets if secret in word]
    if "--host" in command:
        assert command[command.index("--host") + 1] == "127.0.0.1"


def test_airflow_is_configured_by_variables_alone(embedded: Settings) -> None:
    found = airflow_environment(embedded)
    assert found["AIRFLOW__CORE__DAGS_FOLDER"] == str(project_root() / "dags")
    assert found["AIRFLOW__CORE__PLUGINS_FOLDER"] == str(project_root() / "plugins")
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8080/execution/"
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@127.0.0.1:15432/airflow")
    assert found["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert "ALL_ADMINS" not in " ".join(found)


def test_an_unknown_process_is_refused(embedded: Settings) -> None:
    with pytest.raises(LocalError, match=r"one of postgres, redis, .*, migrations or first-model, got 'nginx'"):
        run(embedded, "nginx")
