"""The .env of docker compose: generated secrets, added where they are absent, and an API key with its hash.

`make env` runs this module by the system's Python, from 3.9 on and with nothing installed. It and what it imports use
the standard library alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from sentinel_core.errors import LocalError
from sentinel_core.local.files import write_private
from sentinel_core.local.generators import GENERATORS, new_key
from sentinel_core.stores.key_hash import hash_of

SECRETS: Final = {
    "DB_PASSWORD": "postgres_password",
    "REDIS_PASSWORD": "redis_password",
    "SENTINEL_AIRFLOW_PASSWORD": "airflow_password",
    "SENTINEL_AIRFLOW_JWT_SECRET": "airflow_jwt_secret",
    "SENTINEL_AIRFLOW_SECRET_KEY": "airflow_secret_key",
    "SENTINEL_AIRFLOW_FERNET_KEY": "airflow_fernet_key",
    "SENTINEL_EXPLORE_KEY": "explore_key",
}
"""The variable of each secret, and how it is generated."""
API_KEY: Final = "SENTINEL_API_KEY"
"""What clients on this machine send; no container gets it."""
API_KEYS: Final = "SENTINEL_API_KEYS"
"""What the service gets: the hash."""
_OWNER: Final = "compose"


def write_env(path: Path) -> str:
    """Complete the file and return one line that says what was written.

    Raises `LocalError` where the file cannot be read or written.
    """
    try:
        added = complete(path)
    except OSError as error:
        raise LocalError(
            f"expected to read and write {path}, and got: {error.strerror}.", remedy="Check the folder and its disk."
        ) from error
    return f"{path}: wrote {', '.join(added)}." if added else f"{path}: complete already, nothing written."


def complete(path: Path) -> list[str]:
    """Add the secrets that the file lacks, keep every line that it has (mode 0600), return the added names."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    assigned = {name.strip().removeprefix("export ").strip(): value.strip() for name, value in _assignments(text)}
    fresh = {name: GENERATORS[how]() for name, how in SECRETS.items() if not assigned.get(name)}
    if not assigned.get(API_KEYS):
        fresh |= _key_and_hash(assigned.get(API_KEY))
    added = [name for name in fresh if name not in assigned or not assigned[name]]
    if not added:
        return []
    # An empty assignment would win over nothing and lose to nobody: it is replaced.
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in added]
    lines = kept + [f"{name}={fresh[name]}" for name in added]
    write_private(path, "\n".join(lines) + "\n")
    return added


def _key_and_hash(key: str | None) -> dict[str, str]:
    # As whoever reads the file takes it.
    key = (key or "").strip("'\"") or new_key()
    return {API_KEY: key, API_KEYS: f"{_OWNER}:{hash_of(key)}"}


def _assignments(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def main() -> int:
    """Write the .env of the working directory; return an exit code."""
    try:
        sys.stdout.write(f"{write_env(Path('.env'))}\n")
    except LocalError as error:
        sys.stderr.write(f"make env: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
