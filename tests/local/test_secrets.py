"""Generated secrets: private, stable, completed but never replaced."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from sentinel_core.errors import LocalError, SettingsError
from sentinel_core.local.files import write_private
from sentinel_core.local.generators import GENERATORS
from sentinel_core.local.secrets import ensure_secrets
from sentinel_core.settings import load_settings


def test_secrets_are_private_and_stay(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    with pytest.raises(SettingsError, match="the embedded servers were never started here"):
        settings.secret("postgres_password")
    first = ensure_secrets(settings)
    assert set(first) == set(GENERATORS)
    assert (tmp_path / "home" / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert ensure_secrets(settings) == first
    assert settings.secret("redis_password") == first["redis_password"]
    assert len(base64.urlsafe_b64decode(first["airflow_fernet_key"])) == 32
    assert len(first["airflow_jwt_secret"]) >= 64


def test_what_is_missing_is_added_and_what_is_there_is_kept(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path)
    write_private(tmp_path / "secrets.json", json.dumps({"postgres_password": "mine"}))
    assert ensure_secrets(settings)["postgres_password"] == "mine"
    assert set(json.loads((tmp_path / "secrets.json").read_text())) == set(GENERATORS)


def test_a_given_secret_wins_over_a_generated_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_AIRFLOW_PASSWORD", "given")
    assert load_settings(None, home=tmp_path).secret("airflow_password") == "given"


@pytest.mark.parametrize("content", ["{", "[]", "7"])
def test_a_broken_file_is_never_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(LocalError, match=r"expected a JSON object with the generated secrets in .*secrets\.json"):
        ensure_secrets(load_settings(None, home=tmp_path))
    assert (tmp_path / "secrets.json").read_text() == content


def test_a_failed_write_leaves_the_old_file_and_no_remains(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_private(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(target, "new \ud800")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]
