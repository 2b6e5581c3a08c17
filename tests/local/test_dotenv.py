"""`sentinel env`: the secrets of docker compose."""

from __future__ import annotations

from pathlib import Path

from sentinel_core.local.dotenv import API_KEY, API_KEYS, SECRETS, complete
from sentinel_core.settings import load_settings
from sentinel_core.stores.api_keys import given_keys, hash_of

WRITTEN = [*SECRETS, API_KEY, API_KEYS]


def test_a_new_file_holds_every_secret_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert complete(path) == WRITTEN
    assert path.stat().st_mode & 0o777 == 0o600
    values = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert set(values) == set(WRITTEN)
    assert len(set(values.values())) == len(WRITTEN)
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


def test_the_hash_is_that_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    complete(path)
    settings = load_settings(path, home=tmp_path)
    assert settings.api_key is not None
    assert [key.sha256 for key in given_keys(settings)] == [hash_of(settings.api_key)]


def test_a_key_that_is_there_gets_its_hash_and_hashes_that_are_there_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('SENTINEL_API_KEY="mine"\n')
    assert API_KEYS in complete(path) and path.read_text().count(f"{API_KEY}=") == 1
    assert f"{API_KEYS}=compose:{hash_of('mine')}" in path.read_text()
    path.write_text(f"{API_KEYS}=shop:{hash_of('theirs')}\n")
    assert not {API_KEY, API_KEYS} & set(complete(path)), "who names hashes hands out keys by themselves"
