"""`sentinel keys`: made and shown once, listed without being shown, revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel_core.stores.key_hash import hash_of
from tests.cli.command import Sentinel


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sentinel:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    return Sentinel(monkeypatch, capsys)


def test_a_key_is_shown_once_alone_on_its_line_and_never_again(sentinel: Sentinel, tmp_path: Path) -> None:
    key = sentinel("keys", "create", "shop").strip()
    assert key.startswith("sml_") and "\n" not in key, "so that KEY=$(sentinel keys create shop) works"
    listed = sentinel("keys", "list")
    assert "shop" in listed and "sentinel keys create" in listed
    files = "".join(path.read_text() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert key not in listed + files
    assert hash_of(key) in files


def test_machines_get_json(sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sentinel.json("keys", "create", "shop")
    assert set(made) == {"name", "key", "sha256"}
    monkeypatch.setenv("SENTINEL_API_KEYS", f"till:{'0' * 64}")
    keys = sentinel.json("keys", "list")["keys"]
    assert [(key["name"], key["from"]) for key in keys] == [
        ("till", "SENTINEL_API_KEYS"),
        ("shop", "sentinel keys create"),
    ]
    assert sentinel.json("keys", "revoke", "shop") == {"revoked": "shop"}
    assert len(sentinel.json("keys", "list")["keys"]) == 1


def test_what_cannot_be_done_is_one_line(sentinel: Sentinel) -> None:
    sentinel("keys", "create", "shop")
    assert "expected a name that no key has, got 'shop'" in sentinel.fails("keys", "create", "shop")
    assert "which is none" in sentinel.fails("keys", "revoke", "till")
