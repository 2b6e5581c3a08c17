"""The state that a released version left behind, put into today's servers: tests/data/README.md says what is in it."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg2
import redis

from sentinel_core.settings import Settings
from tests.conftest import Servers

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Dump:
    """One release's dump."""

    folder: Path
    facts: dict[str, Any]

    @classmethod
    def of(cls, release: str) -> Self:
        folder = DATA / release
        return cls(folder, json.loads((folder / "facts.json").read_text(encoding="utf-8")))

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def fill_database(self, servers: Servers, name: str) -> None:
        """Create the database `name` with the release's schema and rows."""
        servers.execute(f"CREATE DATABASE {name}")
        statements = gzip.decompress((self.folder / "postgres.sql.gz").read_bytes()).decode("utf-8")
        connection = psycopg2.connect(servers.database_url(name))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statements)
        finally:
            connection.close()

    def fill_redis(self, client: redis.Redis, settings: Settings) -> dict[str, list[str]]:
        """Store the release's records under the namespace of `settings`; return their keys by kind."""
        kinds: dict[str, list[str]] = {}
        for record in json.loads(gzip.decompress((self.folder / "redis.json.gz").read_bytes())):
            key = settings.redis_namespace + record["key"].removeprefix(self.facts["namespace"])
            _store(client, key, record)
            kind = record["key"].split(":")[2] if "{" in record["key"] else "risk"
            kinds.setdefault(kind, []).append(key)
        return kinds

    def fill_home(self, settings: Settings) -> None:
        """Copy the files of the release's SENTINEL_HOME that carry state."""
        shutil.copytree(self.folder / "home", settings.home, dirs_exist_ok=True)


def _store(client: redis.Redis, key: str, record: dict[str, Any]) -> None:
    value = record["value"]
    if record["type"] == "string":
        client.set(key, base64.b64decode(value))
    elif record["type"] == "hash":
        client.hset(key, mapping={name: base64.b64decode(one) for name, one in value.items()})
    else:
        for number, fields in value:
            client.xadd(key, {name: base64.b64decode(one) for name, one in fields.items()}, id=number)
        for group in record["groups"]:
            client.xgroup_create(key, group["name"], id=group["last_delivered"], mkstream=True)
