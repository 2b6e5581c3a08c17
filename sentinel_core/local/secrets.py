"""The generated passwords and keys of the embedded servers: SENTINEL_HOME/secrets.json, mode 0600."""

from __future__ import annotations

import json
from pathlib import Path

from sentinel_core.errors import LocalError
from sentinel_core.local.files import write_private
from sentinel_core.local.generators import GENERATORS
from sentinel_core.settings import SECRETS_FILE, Settings


def ensure_secrets(settings: Settings) -> dict[str, str]:
    """Return the secrets of this home; generate those that are absent, keep those that are there.

    Raises `LocalError` where the file is not the JSON object that was written here.
    """
    path = settings.home / SECRETS_FILE
    known = _read(path)
    missing = {name: generate() for name, generate in GENERATORS.items() if name not in known}
    if missing:
        known |= missing
        write_private(path, json.dumps(known, indent=2) + "\n")
    return known


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise LocalError(
            f"expected a JSON object with the generated secrets in {path}, found something else.",
            remedy="Restore it from a backup; without it the embedded PostgreSQL cannot be opened. "
            f"To start afresh, move {path.parent} away.",
        )
    return {str(name): str(value) for name, value in content.items()}
