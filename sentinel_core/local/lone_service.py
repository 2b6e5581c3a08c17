"""The scoring service alone, as its image starts it: complete settings, and a key that somebody knows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from sentinel_core.local.api_keys import create_key
from sentinel_core.settings import Settings
from sentinel_core.stores.api_keys import given_keys, kept_keys

FIRST_KEY: Final = "first"
_KEY: Final = """\
No API key is configured, and this service listens on {host}: every request needs one.
This key was made for you. It is shown once:

    {key}

Send it in the header X-API-Key. SENTINEL_API_KEYS=name:SHA-256 names keys of your own.
"""
_NO_MODEL: Final = """\
No model is configured: neither MLFLOW_TRACKING_URI nor SENTINEL_BUNDLE is set.
Predictions are answered with 503 no_model until one of them leads to a model.
"""


def check_stores(settings: Settings) -> None:
    """Raise `SettingsError` where the settings do not say how PostgreSQL and Redis are reached; connects nowhere."""
    _ = settings.database_url, settings.redis_url


def notices(settings: Settings, now: datetime) -> list[str]:
    """Return what has to be said before the service starts; makes a key where one is needed and none is known.

    Raises `SettingsError` where the keys that are there cannot be read.
    """
    said = []
    if settings.needs_api_key and not given_keys(settings) and not kept_keys(settings):
        said.append(_KEY.format(host=settings.host, key=create_key(settings, FIRST_KEY, now)))
    if settings.embedded_mlflow and settings.bundle in (None, Path()):
        said.append(_NO_MODEL)
    return said
