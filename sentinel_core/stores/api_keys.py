"""API keys as the service knows them: SHA-256 hashes in SENTINEL_HOME/api_keys.json and in SENTINEL_API_KEYS.

A key is 256 random bits, so that its hash needs neither salt nor a slow function: there is no dictionary to try, and
guessing costs 2^255 hashes however fast they are. Slow ones are for passwords that people choose (OWASP Password
Storage Cheat Sheet); at each request one would cost more than the prediction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sentinel_core.errors import SettingsError
from sentinel_core.settings import Settings

KEYS_FILE: Final = "api_keys.json"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
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


def given_keys(settings: Settings) -> list[ApiKey]:
    """Return the keys of SENTINEL_API_KEYS; raises `SettingsError` that names the entry, never what stands in it."""
    entries = [entry.strip() for entry in (settings.api_keys or "").split(",") if entry.strip()]
    keys = []
    for number, entry in enumerate(entries, 1):
        name, _, sha256 = entry.partition(":")
        if not NAME.fullmatch(name) or not _HASH.fullmatch(sha256.lower()):
            raise SettingsError(
                f"expected entry {number} of SENTINEL_API_KEYS as name:SHA-256, 64 hexadecimal digits, got no such.",
                remedy="`sentinel keys create NAME` makes a key; `printf %s KEY | sha256sum` hashes one.",
            )
        keys.append(ApiKey(name, sha256.lower()))
    return keys


def kept_keys(settings: Settings) -> list[ApiKey]:
    """Return the keys of `sentinel keys create`, by name; raises `SettingsError` where the file is not its own."""
    return sorted(read_keys(keys_file(settings)).values(), key=lambda one: one.name)


def read_keys(path: Path) -> dict[str, ApiKey]:
    """Return the keys of a file by name; raises `SettingsError` where it is not what `sentinel keys create` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: _key(name, fields) for name, fields in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"expected the hashes of API keys in {path}, as `sentinel keys create` writes them, got something else "
            f"({type(error).__name__}).",
            remedy="Restore it, or move it away and create new keys.",
        ) from error


def _key(name: str, fields: Mapping[str, Any]) -> ApiKey:
    key = ApiKey(name, fields["sha256"], fields.get("created_at"))
    if not _HASH.fullmatch(key.sha256):
        raise ValueError(name)
    return key
