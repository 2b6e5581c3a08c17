"""How each password and key is generated. The standard library alone: `make env` runs before any install."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import Final

from sentinel_core.stores.key_hash import PREFIX


def new_key() -> str:
    """Make an API key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _signing_key() -> str:
    return secrets.token_urlsafe(64)  # HMAC with SHA-512 wants as many bytes as its digest has


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")


GENERATORS: Final[dict[str, Callable[[], str]]] = {
    "postgres_password": _password,
    "redis_password": _password,
    "airflow_password": _password,
    "airflow_jwt_secret": _signing_key,
    "airflow_secret_key": _signing_key,
    "airflow_fernet_key": _fernet_key,
    "explore_key": _password,
}
