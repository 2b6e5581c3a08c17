"""`sentinel env`: the secrets of docker compose."""

from __future__ import annotations

from pathlib import Path

from sentinel_core.local.dotenv import SECRETS, complete


def test_a_new_file_holds_every_secret_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert complete(path) == list(SECRETS)
    assert path.stat().st_mode & 0o777 == 0o600
    values = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert set(values) == set(SECRETS)
    assert len(set(values.values())) == len(SECRETS)
    before = path.read_text()
    assert complete(path) == []
    assert path.read_text() == before


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# mine\nexport DB_PASSWORD=chosen\nREDIS_PASSWORD=\n# SENTINEL_AIRFLOW_PASSWORD=no\nAPI_WORKERS=2\n"
    )
    added = complete(path)
    assert "DB_PASSWORD" not in added
    assert {"REDIS_PASSWORD", "SENTINEL_AIRFLOW_PASSWORD"} <= set(added)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# mine", "export DB_PASSWORD=chosen"]
    assert "API_WORKERS=2" in lines
    assert "REDIS_PASSWORD=" not in lines
