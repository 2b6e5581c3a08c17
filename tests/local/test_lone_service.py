"""The service alone, as its image starts it: what is missing is one line, and a key is made where none is known."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sentinel_core.errors import SettingsError
from sentinel_core.local.lone_service import FIRST_KEY, check_stores, notices
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.api_keys import kept_keys
from sentinel_core.stores.key_hash import hash_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def container(home: Path, **given: Any) -> Settings:
    return load_settings(None, **{"home": home, "host": "0.0.0.0", "db_host": "db", "redis_host": "cache", **given})  # noqa: S104


def test_a_key_is_made_and_shown_once(tmp_path: Path) -> None:
    settings = container(tmp_path, mlflow_tracking_uri_given="http://mlflow:5000")
    (said,) = notices(settings, NOW)
    (key,) = re.findall(r"^    (sml_\S+)$", said, re.MULTILINE)
    assert [(one.name, one.sha256) for one in kept_keys(settings)] == [(FIRST_KEY, hash_of(key))]
    assert notices(settings, NOW) == [], "a start with the same home knows it already"
    assert key not in "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_no_key_is_made_where_one_is_given_or_none_is_needed(tmp_path: Path) -> None:
    mlflow = {"mlflow_tracking_uri_given": "http://mlflow:5000"}
    assert notices(container(tmp_path, api_keys=f"shop:{hash_of('x')}", **mlflow), NOW) == []
    assert notices(container(tmp_path, host="127.0.0.1", **mlflow), NOW) == []
    assert notices(container(tmp_path, require_api_key=False, **mlflow), NOW) == []


def test_without_mlflow_and_bundle_it_says_that_there_is_no_model(tmp_path: Path) -> None:
    (said,) = notices(container(tmp_path, require_api_key=False), NOW)
    assert "503 no_model" in said
    assert notices(container(tmp_path, require_api_key=False, bundle=tmp_path / "bundle"), NOW) == []


def test_what_is_missing_to_reach_the_stores_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected DB_PASSWORD beside DB_HOST, found none\. Set it in the env"):
        check_stores(container(tmp_path))
    with pytest.raises(SettingsError, match=r"name your own servers: DB_HOST and DB_PASSWORD, or DATABASE_URL; REDIS_"):
        check_stores(container(tmp_path, db_host=None))
    check_stores(container(tmp_path, db_password=""))


@pytest.mark.parametrize(
    ("password", "url"),
    [
        (None, "redis://cache:6379/0"),
        ("", "redis://cache:6379/0"),
        ("p:w/d@1", "redis://:p%3Aw%2Fd%401@cache:6379/0"),
    ],
)
def test_redis_gets_its_password_where_one_is_given(tmp_path: Path, password: str | None, url: str) -> None:
    assert container(tmp_path, redis_password_given=password).redis_url == url


def test_redis_url_wins_and_the_embedded_redis_keeps_its_own_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "of-compose")
    assert container(tmp_path).redis_url == "redis://:of-compose@cache:6379/0"
    assert container(tmp_path, redis_url_given="redis://other:1/0").redis_url == "redis://other:1/0"
    (tmp_path / "secrets.json").write_text('{"redis_password": "generated"}')
    embedded = load_settings(None, home=tmp_path)
    assert embedded.redis_url == "redis://:generated@127.0.0.1:16379/0", "`make env` wrote REDIS_PASSWORD for compose"
