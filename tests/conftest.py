"""Fixtures for the tests that need servers, from the wheels."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psycopg2
import pytest
import redis
from sqlalchemy import Engine

from sentinel_core.local.child import Child
from sentinel_core.local.mlflow import start_mlflow
from sentinel_core.local.ports import free_port
from sentinel_core.local.postgres import USER, make_cluster, start_postgres
from sentinel_core.local.redis import RedisServer, start_redis
from sentinel_core.settings import Settings, load_settings
from tests.sharing import pytest_collection_modifyitems, pytest_configure, pytest_xdist_make_scheduler

if TYPE_CHECKING:
    from tests.serving.conftest import Service

__all__ = ["pytest_collection_modifyitems", "pytest_configure", "pytest_xdist_make_scheduler"]
_TEMPLATE = "sentinel_template"
# A busy machine is no failure.
hypothesis.settings.register_profile("sentinel", deadline=None)
hypothesis.settings.load_profile("sentinel")


@dataclass(frozen=True)
class Servers:
    """The servers of a test session; each test has a database and a Redis namespace of its own."""

    postgres: Child
    postgres_port: int
    postgres_password: str
    redis: Child
    redis_url: str

    def database_url(self, name: str) -> str:
        """Return the URL of a database of this session."""
        return f"postgresql://{USER}:{self.postgres_password}@127.0.0.1:{self.postgres_port}/{name}"

    def execute(self, statement: str) -> None:
        """Run one statement outside of a transaction, in the maintenance database."""
        connection = psycopg2.connect(self.database_url("postgres"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@contextmanager
def running_servers(home: Path, *postgres_options: str) -> Iterator[Servers]:
    """Run a real PostgreSQL and a real Redis on free ports until the end of the block; nothing is migrated."""
    password = secrets.token_urlsafe(12)
    cluster = make_cluster(home, free_port(), password, options=postgres_options)
    postgres = start_postgres(cluster, home / "postgres.log")
    store = RedisServer(home / "redis", free_port(), password)
    try:
        child = start_redis(store, home / "redis.log")
        try:
            yield Servers(postgres, cluster.port, password, child, f"redis://:{password}@127.0.0.1:{store.port}/0")
        finally:
            child.stop()
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of the session."""
    # A test's database lives for a second: what a power cut would lose is not at stake.
    with running_servers(tmp_path_factory.mktemp("servers"), "fsync=off") as running:
        yield running


@pytest.fixture(scope="session")
def _template(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database that each test's own is copied from."""
    from sentinel_core.stores.postgres import migrate

    migrate(
        load_settings(
            None, home=tmp_path_factory.mktemp("template"), database_url_given=servers.database_url(_TEMPLATE)
        )
    )
    return _TEMPLATE


@pytest.fixture
def settings(servers: Servers, _template: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a home, a migrated database and a Redis namespace that no other test sees."""
    name = f"test_{secrets.token_hex(6)}"
    servers.execute(f"CREATE DATABASE {name} TEMPLATE {_template}")
    yield load_settings(
        None,
        home=tmp_path / "home",
        database_url_given=servers.database_url(name),
        redis_url_given=servers.redis_url,
        redis_namespace=name,
        # On a machine that does much else at the time, Redis is slow rather than away.
        redis_deadline_ms=2000,
    )
    servers.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine on the test's database."""
    from sentinel_core.stores.postgres import make_engine

    made = make_engine(settings)
    yield made
    made.dispose()


@pytest.fixture
def redis_client(settings: Settings) -> Iterator[redis.Redis]:
    """A client of the session's Redis; the test's own keys are gone afterwards."""
    with redis.Redis.from_url(settings.redis_url) as client:
        yield client
        keys = list(client.scan_iter(match=f"{settings.redis_namespace}:*", count=1000))
        if keys:
            client.delete(*keys)


@contextmanager
def running_mlflow(home: Path) -> Iterator[str]:
    """Run an MLflow server with its own SQLite database, as `make up` starts it otherwise; the block gets its URI."""
    port = free_port()
    server = start_mlflow(home, port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of the session's MLflow server."""
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@pytest.fixture(scope="session")
def service(servers: Servers, _template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The scoring service of the session: two workers, a recorder, the real stores and a tiny model."""
    from tests.serving.conftest import tiny_service

    with tiny_service(servers, _template, tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> str:
    """The path of a browser. A machine that runs the tests of pages has one: without, they fail."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.fail(f"expected {', '.join(names)} on PATH, found none. Install Debian's package chromium.")
    return found
