"""Settings travel to other processes by the environment, all of them and unchanged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sentinel_core.local.environment import PROCESS_VARIABLE, process_environment, settings_environment, without_proxy
from sentinel_core.settings import load_settings


def test_another_process_reads_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in os.environ if name.startswith(("SENTINEL_", "DB_", "REDIS_", "DATABASE_", "MLFLOW_"))
    ]:
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text("DB_HOST=db.example\nDB_PASSWORD=p w%d\nSENTINEL_SERVING_PORT=8123\nAPI_WORKERS=3\n")
    here = load_settings(tmp_path / ".env", home=tmp_path / "home", mlflow_port=5001)
    for name, value in settings_environment(here).items():
        monkeypatch.setenv(name, value)
    there = load_settings(None)
    assert there == here
    assert there.database_url == here.database_url


def test_what_the_user_sets_wins_over_what_we_would_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "32")
    settings = load_settings(None, home=tmp_path)
    found = process_environment(settings, "airflow-scheduler", {"AIRFLOW__CORE__PARALLELISM": "2", "OTHER": "1"})
    assert found["AIRFLOW__CORE__PARALLELISM"] == "32"
    assert found["OTHER"] == "1"
    assert found[PROCESS_VARIABLE] == "airflow-scheduler"
    assert found["SENTINEL_HOME"] == str(tmp_path)
    assert (found["DO_NOT_TRACK"], found["MLFLOW_DISABLE_TELEMETRY"]) == ("1", "true")


def test_the_alert_rules_are_found_from_every_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTINEL_ALERT_RULES", "rules.toml")
    assert load_settings(None).alert_rules == tmp_path / "rules.toml"
    monkeypatch.setenv("SENTINEL_ALERT_RULES", "")  # as docker compose hands on what is not set
    assert load_settings(None).alert_rules is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"no_proxy": "a.example, localhost"}, "a.example,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_no_proxy_stands_between_our_own_processes(given: dict[str, str], expected: str) -> None:
    assert without_proxy(given) == {"NO_PROXY": expected, "no_proxy": expected}


def test_every_process_leaves_the_proxy_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    found = process_environment(load_settings(None, home=tmp_path), "mlflow", {})
    assert "127.0.0.1" in found["no_proxy"].split(",")
    assert found["HTTP_PROXY"] == "http://127.0.0.1:9", "the world outside is still reached through it"
