"""Each check says what it expected, what it found and what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import redis

from sentinel_core.errors import LocalError
from sentinel_core.local.doctor import (
    check_alert_rules,
    check_disk,
    check_memory,
    check_packages,
    check_ports,
    check_postgres,
    check_python,
    check_redis,
    demand,
    examine,
)
from sentinel_core.local.ports import free_port
from sentinel_core.settings import Settings, load_settings

PORTS = (
    *("serving_port", "mlflow_port", "airflow_port", "explainer_port"),
    *("embedded_postgres_port", "embedded_redis_port"),
)


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    return load_settings(None, home=tmp_path / "home", **{name: free_port() for name in PORTS})


def test_a_good_machine_passes(embedded: Settings) -> None:
    checks = examine(embedded)
    assert {"python", "packages", "postgres", "redis", "disk", "memory"} <= {check.name for check in checks}
    assert not [check for check in checks if check.verdict == "fail"]
    demand(checks)
    assert check_python().verdict == "ok"
    assert check_packages().found.endswith("as locked in requirements.txt")


def test_a_busy_port_is_one_line_with_its_owner_and_the_way_out(embedded: Settings) -> None:
    with socket.create_server(("127.0.0.1", embedded.mlflow_port)):
        with pytest.raises(LocalError) as caught:
            demand(examine(embedded))
        assert "\n" not in str(caught.value)
        assert f"port {embedded.mlflow_port} (mlflow): expected it to be free, found pid" in str(caught.value)
        assert "set SENTINEL_MLFLOW_PORT to a free port" in str(caught.value)
        taken = [check for check in check_ports(embedded, running=["mlflow"]) if check.found == "ours"]
        assert [check.name for check in taken] == [f"port {embedded.mlflow_port} (mlflow)"]


def test_ports_that_nobody_will_use_are_not_asked_about(embedded: Settings) -> None:
    assert not [check for check in check_ports(embedded, airflow=False) if "airflow" in check.name]
    elsewhere = embedded.model_copy(update={"mlflow_tracking_uri_given": "http://mlflow:5000"})
    assert not [check for check in check_ports(elsewhere) if "mlflow" in check.name]


def test_one_port_for_two_processes_is_refused(embedded: Settings) -> None:
    twice = embedded.model_copy(update={"airflow_port": embedded.serving_port})
    (failed,) = [check for check in check_ports(twice) if check.verdict == "fail"]
    assert "airflow-api-server has it too" in failed.found


def test_alert_rules_that_make_no_sense_stop_a_start(embedded: Settings, tmp_path: Path) -> None:
    found = check_alert_rules(embedded.model_copy(update={"notify_urls": "slack://a/b/c mailto://ann:secret@host"}))
    assert (found.verdict, found.found) == ("ok", "5 rules, sent to slack-1, mailto-2")
    assert check_alert_rules(embedded).found == "5 rules, sent nowhere"
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "x"\n')
    broken = check_alert_rules(embedded.model_copy(update={"alert_rules": path}))
    assert (broken.verdict, broken.remedy) == ("fail", "See docs/monitoring.md and examples/alerts.toml.")
    assert "Did you mean 'rules'?" in broken.found


def test_a_full_disk_and_a_small_machine(tmp_path: Path) -> None:
    full = check_disk(tmp_path / "not" / "made" / "yet", least_gb=10**6)
    assert (full.verdict, "SENTINEL_HOME" in full.remedy) == ("fail", True)
    assert f"expected 1000000.0 GB free at {tmp_path}, found" in full.found
    assert not (tmp_path / "not").exists()
    assert check_memory(least_gb=10**6).verdict in ("ok", "fail")
    assert check_memory(running=True).verdict == "ok"


def test_a_named_redis_that_evicts_is_refused(settings: Settings, redis_client: redis.Redis) -> None:
    assert check_redis(settings).verdict == "ok"
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = check_redis(settings)
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    assert (found.verdict, "noeviction, found allkeys-lru" in found.found) == ("fail", True)


def test_named_servers_that_do_not_answer(settings: Settings) -> None:
    assert check_postgres(settings).verdict == "ok"
    gone = settings.model_copy(
        update={
            "database_url_given": f"postgresql://u:p@127.0.0.1:{free_port()}/x",
            "redis_url_given": f"redis://127.0.0.1:{free_port()}/0",
        }
    )
    assert "or unset both" in check_postgres(gone).remedy
    assert "expected an answer from the Redis" in check_redis(gone).found


def test_a_missing_server_program_is_a_failed_check(embedded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentinel_core.local import binaries

    monkeypatch.setattr(binaries, "_wheel_folders", lambda package, pattern: [])
    monkeypatch.setattr(binaries, "_SYSTEM_POSTGRES", ())
    monkeypatch.setenv("PATH", "/nowhere")
    assert "DATABASE_URL" in check_postgres(embedded).remedy
    assert "REDIS_URL" in check_redis(embedded).remedy
