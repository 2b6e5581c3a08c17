"""The environment variables, each by its name and default."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sentinel_core.errors import SettingsError
from sentinel_core.local.paths import project_root
from sentinel_core.settings import Settings, load_settings

PROMISED = {
    "DB_HOST": "localhost",
    "DB_PORT": "5432",
    "DB_NAME": "sentinel_ml",
    "DB_USER": "sentinel",
    "DB_PASSWORD": "",
    "REDIS_HOST": "localhost",
    "REDIS_PORT": "6379",
    "MLFLOW_TRACKING_URI": "http://localhost:5000",
    "LOG_LEVEL": "INFO",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of our variables."""
    for name in (*PROMISED, "API_WORKERS", "DATABASE_URL", "REDIS_URL", "REDIS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def read() -> Settings:
    return load_settings(None)


def test_the_example_file_names_each_with_its_default() -> None:
    lines = (project_root() / ".env.example").read_text(encoding="utf-8").splitlines()
    shown = dict(line.removeprefix("# ").split("=", 1) for line in lines if "=" in line)
    for name, default in PROMISED.items():
        assert shown[name] == default, name


def test_the_host_of_the_database_is_enough_for_the_rest(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DB_HOST", "localhost")
    with pytest.raises(SettingsError, match="DB_PASSWORD"):
        read().database_url  # noqa: B018
    environment.setenv("DB_PASSWORD", "s3cret/@")
    assert read().database_url == "postgresql+psycopg2://sentinel:s3cret%2F%40@localhost:5432/sentinel_ml"
    assert not read().embedded_postgres


def test_each_part_of_the_database_counts(environment: pytest.MonkeyPatch) -> None:
    parts = {"DB_HOST": "db", "DB_PORT": "5433", "DB_NAME": "fraud", "DB_USER": "me", "DB_PASSWORD": "pw"}
    for name, value in parts.items():
        environment.setenv(name, value)
    assert read().database_url == "postgresql+psycopg2://me:pw@db:5433/fraud"


def test_the_host_of_redis_is_enough_for_the_rest(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_HOST", "localhost")
    assert read().redis_url == "redis://localhost:6379/0"
    assert not read().embedded_redis
    environment.setenv("REDIS_PORT", "6380")
    assert read().redis_url == "redis://localhost:6380/0"


def test_a_url_wins_over_the_parts(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DB_HOST", "other")
    environment.setenv("DATABASE_URL", "postgresql://u:p@host:1234/named")
    environment.setenv("REDIS_HOST", "other")
    environment.setenv("REDIS_URL", "redis://:p@host:1235/3")
    assert read().database_url == "postgresql+psycopg2://u:p@host:1234/named"
    assert read().redis_url == "redis://:p@host:1235/3"


def test_mlflow_is_on_port_5000_of_this_machine_or_where_it_is_said(environment: pytest.MonkeyPatch) -> None:
    assert read().mlflow_tracking_uri == "http://127.0.0.1:5000"
    environment.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert read().mlflow_tracking_uri == "http://localhost:5000"
    assert not read().embedded_mlflow


def test_without_any_of_them_the_servers_are_ours(environment: pytest.MonkeyPatch) -> None:
    found = read()
    assert found.embedded_postgres and found.embedded_redis and found.embedded_mlflow
    assert (found.db_port, found.db_name, found.db_user, found.redis_port) == (5432, "sentinel_ml", "sentinel", 6379)


def test_workers_are_four_in_compose_and_at_most_four_here(environment: pytest.MonkeyPatch) -> None:
    services = yaml.safe_load((project_root() / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]
    environments = [service.get("environment", {}) for service in services.values()]
    assert "${API_WORKERS:-4}" in [one.get("API_WORKERS") for one in environments]
    # 0 stands for one a core, and at most four.
    assert read().api_workers == 0
    environment.setenv("API_WORKERS", "4")
    assert read().api_workers == 4


def test_the_log_level_is_info(environment: pytest.MonkeyPatch) -> None:
    assert read().log_level == "INFO"
    environment.setenv("LOG_LEVEL", "DEBUG")
    assert read().log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PORT", "0"),
        ("DB_PORT", "65536"),
        ("DB_PORT", "five"),
        ("REDIS_PORT", "-1"),
        ("API_WORKERS", "-1"),
        ("API_WORKERS", "257"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_out_of_bounds_is_named(environment: pytest.MonkeyPatch, name: str, value: Any) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        read()
