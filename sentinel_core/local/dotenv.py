"""The .env of docker compose: generated secrets, added where they are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sentinel_core.local.files import write_private
from sentinel_core.local.secrets import GENERATORS

SECRETS: Final = {
    "DB_PASSWORD": "postgres_password",
    "REDIS_PASSWORD": "redis_password",
    "SENTINEL_AIRFLOW_PASSWORD": "airflow_password",
    "SENTINEL_AIRFLOW_JWT_SECRET": "airflow_jwt_secret",
    "SENTINEL_AIRFLOW_SECRET_KEY": "airflow_secret_key",
    "SENTINEL_AIRFLOW_FERNET_KEY": "airflow_fernet_key",
}
"""The variable of each secret, and how it is generated."""


def complete(path: Path) -> list[str]:
    """Add the secrets that the file lacks, keep every line that it has (mode 0600), return the added names."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    assigned = {name.strip().removeprefix("export ").strip(): value.strip() for name, value in _assignments(text)}
    added = [name for name in SECRETS if not assigned.get(name)]
    if not added:
        return []
    # An empty assignment would win over nothing and lose to nobody: it is replaced.
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in added]
    lines = kept + [f"{name}={GENERATORS[SECRETS[name]]()}" for name in added]
    write_private(path, "\n".join(lines) + "\n")
    return added


def _assignments(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]
