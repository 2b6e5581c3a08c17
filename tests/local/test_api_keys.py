"""API keys: shown once, kept as hashes, given by file or environment."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentinel_core.errors import LocalError, SettingsError
from sentinel_core.local.api_keys import create_key, passing_key, revoke_key
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.api_keys import given_keys, kept_keys, keys_file

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings(None, home=tmp_path / "home")


def test_a_key_is_random_and_only_its_hash_is_kept_privately(home: Settings) -> None:
    first, second = create_key(home, "shop", NOW), create_key(home, "till-2", NOW)
    assert first != second
    assert re.fullmatch(r"sml_[A-Za-z0-9_-]{43}", first), "256 bits, and a prefix that scanners find"
    text = keys_file(home).read_text()
    assert first not in text and first.removeprefix("sml_") not in text
    assert json.loads(text)["shop"] == {
        "sha256": hashlib.sha256(first.encode()).hexdigest(),
        "created_at": "2026-03-01T00:00:00+00:00",
    }
    assert keys_file(home).stat().st_mode & 0o777 == 0o600
    assert [key.name for key in kept_keys(home)] == ["shop", "till-2"]


def test_a_name_is_given_once_and_free_again_after_its_key_is_revoked(home: Settings) -> None:
    create_key(home, "shop", NOW)
    with pytest.raises(LocalError, match=r"expected a name that no key has, got 'shop'\. .*revoke"):
        create_key(home, "shop", NOW)
    revoke_key(home, "shop")
    assert kept_keys(home) == []
    create_key(home, "shop", NOW)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "-a", "x" * 65, "a\n"])
def test_what_is_no_name_is_refused(home: Settings, name: str) -> None:
    with pytest.raises(LocalError, match="expected a name of 1 to 64 letters"):
        create_key(home, name, NOW)


def test_revoking_what_is_not_in_the_file_says_where_it_is(home: Settings) -> None:
    with pytest.raises(LocalError, match=r"got 'shop', which is none\. See `sentinel keys list`"):
        revoke_key(home, "shop")
    given = home.model_copy(update={"api_keys": f"shop:{'0' * 64}"})
    with pytest.raises(LocalError, match=r"which SENTINEL_API_KEYS names\. .*restart"):
        revoke_key(given, "shop")
    with pytest.raises(LocalError, match="expected a name that no key has"):
        create_key(given, "shop", NOW)


def test_keys_of_the_environment_are_names_with_hashes(home: Settings) -> None:
    given = home.model_copy(update={"api_keys": f" shop:{'a' * 64}, till:{'B' * 64},"})
    assert [(key.name, key.sha256) for key in given_keys(given)] == [("shop", "a" * 64), ("till", "b" * 64)]
    assert given_keys(home.model_copy(update={"api_keys": ""})) == []


@pytest.mark.parametrize("entry", ["sml_secret", "shop", "shop:", "shop:abc", f"a b:{'0' * 64}", f"{'0' * 64}"])
def test_a_malformed_entry_is_named_by_its_place_and_never_repeated(home: Settings, entry: str) -> None:
    given = home.model_copy(update={"api_keys": f"good:{'0' * 64},{entry}"})
    with pytest.raises(SettingsError, match="expected entry 2 of SENTINEL_API_KEYS as name:SHA-256") as caught:
        given_keys(given)
    assert entry not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", "7", '{"a": 1}', '{"a": {"sha256": "x"}}', '{"a": {}}'])
def test_a_broken_file_is_never_overwritten(home: Settings, content: str) -> None:
    home.home.mkdir()
    keys_file(home).write_text(content)
    with pytest.raises(SettingsError, match=r"expected the hashes of API keys in .*api_keys\.json"):
        create_key(home, "shop", NOW)
    assert keys_file(home).read_text() == content


def test_a_passing_key_is_gone_after_its_block_also_when_the_block_fails(home: Settings) -> None:
    create_key(home, "up", NOW)  # what a killed run left behind
    with pytest.raises(ZeroDivisionError), passing_key(home, "up", NOW) as key:
        assert [one.sha256 for one in kept_keys(home)] == [hashlib.sha256(key.encode()).hexdigest()]
        raise ZeroDivisionError
    assert kept_keys(home) == []


@pytest.mark.parametrize(
    ("host", "require", "needed"),
    [
        ("127.0.0.1", "auto", False),
        ("localhost", "auto", False),
        ("::1", "auto", False),
        ("127.1.2.3", "auto", False),
        ("0.0.0.0", "auto", True),  # noqa: S104
        ("::", "auto", True),
        ("192.0.2.1", "auto", True),
        ("db.example", "auto", True),
        ("0.0.0.0", "false", False),  # noqa: S104
        ("127.0.0.1", "true", True),
    ],
)
def test_keys_are_needed_wherever_others_can_reach_the_service(host: str, require: str, needed: bool) -> None:
    assert load_settings(None, host=host, require_api_key=require).needs_api_key is needed
