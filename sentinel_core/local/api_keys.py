"""API keys of the service: shown once when they are made, kept as SHA-256 hashes in SENTINEL_HOME/api_keys.json.

A key is 256 random bits, so that its hash needs neither salt nor a slow function: there is no dictionary to try, and
guessing costs 2^255 hashes however fast they are. Slow ones are for passwords that people choose (OWASP Password
Storage Cheat Sheet); at each request one would cost more than the prediction.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sentinel_core.errors import LocalError, SettingsError
from sentinel_core.local.files import write_private
from sentinel_core.settings import Settings

KEYS_FILE: Final = "api_keys.json"
PREFIX: Final = "sml_"
"""What every key begins with, so that a scanner finds one that was published by mistake."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A known key: its name, the SHA-256 of its text in hexadecimal, and when it was made (unknown for given ones)."""

    name: str
    sha256: str
    created_at: str | None = None


def keys_file(settings: Settings) -> Path:
    """Return where the keys of this home lie."""
    return settings.home / KEYS_FILE


def new_key() -> str:
    """Make a key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def create_key(settings: Settings, name: str, now: datetime) -> str:
    """Make a key, keep its hash under a name that is free, and return the key: nobody can show it again.

    Raises `LocalError` for a name that is taken or not a name.
    """
    if not _NAME.fullmatch(name):
        raise LocalError(
            f"expected a name of 1 to 64 letters, digits, '.', '_' and '-', got {name!r}.", remedy="Choose another one."
        )
    key = new_key()
    with _changing(settings) as keys:
        if name in keys or name in {one.name for one in given_keys(settings)}:
            raise LocalError(
                f"expected a name that no key has, got {name!r}.",
                remedy="Choose another one, or revoke that key first.",
            )
        keys[name] = ApiKey(name, hash_of(key), now.isoformat())
    return key


def revoke_key(settings: Settings, name: str) -> None:
    """Forget a key; the service refuses it from the next second on. Raises `LocalError` where the file has none."""
    with _changing(settings) as keys:
        if name in keys:
            del keys[name]
            return
    given = name in {one.name for one in given_keys(settings)}
    what = "which SENTINEL_API_KEYS names" if given else "which is none"
    raise LocalError(
        f"expected a key in {keys_file(settings)}, got {name!r}, {what}.",
        remedy="Take it out of SENTINEL_API_KEYS and restart the service." if given else "See `sentinel keys list`.",
    )


def given_keys(settings: Settings) -> list[ApiKey]:
    """Return the keys of SENTINEL_API_KEYS; raises `SettingsError` that names the entry, never what stands in it."""
    entries = [entry.strip() for entry in (settings.api_keys or "").split(",") if entry.strip()]
    keys = []
    for number, entry in enumerate(entries, 1):
        name, _, sha256 = entry.partition(":")
        if not _NAME.fullmatch(name) or not _HASH.fullmatch(sha256.lower()):
            raise SettingsError(
                f"expected entry {number} of SENTINEL_API_KEYS as name:SHA-256, 64 hexadecimal digits, got no such.",
                remedy="`sentinel keys create NAME` makes a key; `printf %s KEY | sha256sum` hashes one.",
            )
        keys.append(ApiKey(name, sha256.lower()))
    return keys


def kept_keys(settings: Settings) -> list[ApiKey]:
    """Return the keys of `sentinel keys create`, by name; raises `LocalError` where the file is not what it wrote."""
    return sorted(_read(keys_file(settings)).values(), key=lambda one: one.name)


@contextmanager
def passing_key(settings: Settings, name: str, now: datetime) -> Iterator[str]:
    """Lend a key for the length of the block; a name that a killed run left behind is taken over."""
    with _changing(settings) as keys:
        keys.pop(name, None)
    key = create_key(settings, name, now)
    try:
        yield key
    finally:
        revoke_key(settings, name)


@contextmanager
def _changing(settings: Settings) -> Iterator[dict[str, ApiKey]]:
    """Lend the keys of the file and write them back where they were changed; one process at a time."""
    path = keys_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{KEYS_FILE}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = _read(path)
        before = dict(keys)
        yield keys
        if keys != before:
            document = {name: {k: v for k, v in asdict(key).items() if k != "name"} for name, key in keys.items()}
            write_private(path, json.dumps(document, indent=2, sort_keys=True) + "\n")


def _read(path: Path) -> dict[str, ApiKey]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: _key(name, fields) for name, fields in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LocalError(
            f"expected the hashes of API keys in {path}, as `sentinel keys create` writes them, got something else "
            f"({type(error).__name__}).",
            remedy="Restore it, or move it away and create new keys.",
        ) from error


def _key(name: str, fields: Mapping[str, Any]) -> ApiKey:
    key = ApiKey(name, fields["sha256"], fields.get("created_at"))
    if not _HASH.fullmatch(key.sha256):
        raise ValueError(name)
    return key
