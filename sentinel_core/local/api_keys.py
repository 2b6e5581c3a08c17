"""API keys of the service: made and shown once, revoked."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime

from sentinel_core.errors import LocalError
from sentinel_core.local.files import write_private
from sentinel_core.local.generators import new_key
from sentinel_core.settings import Settings
from sentinel_core.stores.api_keys import KEYS_FILE, NAME, ApiKey, given_keys, keys_file, read_keys
from sentinel_core.stores.key_hash import hash_of


def create_key(settings: Settings, name: str, now: datetime) -> str:
    """Make a key, keep its hash under a name that is free, and return the key: nobody can show it again.

    Raises `LocalError` for a name that is taken or not a name.
    """
    if not NAME.fullmatch(name):
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
        keys = read_keys(path)
        before = dict(keys)
        yield keys
        if keys != before:
            document = {name: {k: v for k, v in asdict(key).items() if k != "name"} for name, key in keys.items()}
            write_private(path, json.dumps(document, indent=2, sort_keys=True) + "\n")
