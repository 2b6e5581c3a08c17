"""PostgreSQL: the engine, and the migration to the newest schema."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x53454E54494E454C  # "SENTINEL": two processes that migrate at once take turns
_PAUSE_SECONDS: Final = 0.02
# Whoever has written to a table holds this lock on it until the end of the transaction.
_WRITERS: Final = text(
    """
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND relation = ANY(CAST(CAST(:tables AS text[]) AS regclass[]))
    """
)
_HELD: Final = text(
    """
    SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND (CAST(classid AS bigint) << 32 | CAST(objid AS bigint)) = hashtextextended(:what, 0))
    """
)
_DATABASE_EXISTS: Final = ("42P04", "23505")  # duplicate_database; two CREATE DATABASE that race


def make_engine(settings: Settings, *, pool_size: int = 5, max_overflow: int = 5) -> Engine:
    """Make an engine with a pool of at most `pool_size + max_overflow` connections; connects nowhere yet.

    Connections are tested before use, so that a restarted server costs no failed call; they speak UTC and
    give up connecting after 5 s. Use `connected` to have an absent server reported as `StoreError`.
    """
    return create_engine(
        settings.database_url,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "options": "-c timezone=UTC", "application_name": "sentinel"},
    )


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """Open a transaction: committed at the end of the block, rolled back where it raises.

    Raises `StoreError` where the server is away or hangs up meanwhile; other errors of the database pass.
    """
    try:
        with engine.begin() as conn:
            yield conn
    except OperationalError as error:
        raise _away(engine.url.render_as_string(hide_password=True), error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _away(engine.url.render_as_string(hide_password=True), error) from error
        raise


def await_writers(conn: Connection, tables: Sequence[str], *, seconds: float) -> None:
    """Wait until every write to these tables that is open now has ended: what it recorded is seen by what reads next.

    Nobody is kept waiting for it. Raises `StoreError` where one is still open after `seconds`.
    """
    deadline = time.monotonic() + seconds
    begun = _writers(conn, tables)
    while begun := begun & _writers(conn, tables):
        if time.monotonic() >= deadline:
            raise StoreError(
                f"expected the writes to {', '.join(tables)} that were open to end within {seconds:g} s, "
                f"and {len(begun)} did not.",
                remedy="Wait for the load that is under way (pg_stat_activity names it), and try again.",
            )
        time.sleep(_PAUSE_SECONDS)


def _writers(conn: Connection, tables: Sequence[str]) -> set[str]:
    return set(conn.execute(_WRITERS, {"tables": list(tables)}).scalars())


def take_turns(conn: Connection, what: str) -> None:
    """Wait until nobody else does `what`, and keep others waiting until the transaction ends."""
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": what})


@contextmanager
def hold(engine: Engine, what: str) -> Iterator[bool]:
    """Hold the lock on `what` until the end of the block, or until this process dies; false where somebody has it.

    It takes a connection of its own, outside of any transaction. Raises `StoreError` where the server is away.
    """
    try:
        conn = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except OperationalError as error:
        raise _away(engine.url.render_as_string(hide_password=True), error) from error
    try:
        query = text("SELECT pg_try_advisory_lock(hashtextextended(:what, 0))")
        yield bool(conn.execute(query, {"what": what}).scalar_one())
    finally:
        # The server lets go of it when the connection closes, also of one that was lost meanwhile.
        conn.detach()
        conn.close()


def is_held(conn: Connection, what: str) -> bool:
    """Whether somebody holds the lock on `what`."""
    return bool(conn.execute(_HELD, {"what": what}).scalar_one())


def migrate(settings: Settings) -> str:
    """Create the database where it is absent, bring its schema to the newest revision, return that revision.

    Idempotent, and safe when several processes do it at once: an advisory lock makes them take turns.
    Raises `StoreError` where the server is away or refuses.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

    create_database(settings, settings.db_name)
    engine = create_engine(settings.database_url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    with connected(engine) as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config = Config(output_buffer=io.StringIO(), stdout=io.StringIO())
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        revision = MigrationContext.configure(conn).get_current_revision()
    if revision is None:
        raise StoreError(f"expected at least one migration in {MIGRATIONS}, found none.", remedy="Reinstall sentinel.")
    return revision


def create_database(settings: Settings, name: str) -> None:
    """Create a database beside ours where it is absent; raises `StoreError` where the server is away or refuses."""
    url = make_url(settings.database_url_for(name))
    engine = create_engine(
        url.set(database="postgres"),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5},
    )
    probe = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        # The database itself is asked first: on a managed server we may see no other one.
        with probe.connect():
            return
    except OperationalError as error:
        if "does not exist" not in str(error.orig):
            raise _away(url.render_as_string(hide_password=True), error) from error
    quoted = engine.dialect.identifier_preparer.quote(str(url.database))
    try:
        with engine.connect() as conn:
            conn.execute(text(f"CREATE DATABASE {quoted} ENCODING 'UTF8' TEMPLATE template0"))
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) in _DATABASE_EXISTS:
            return
        raise StoreError(
            f"expected the database {url.database!r} or the right to create it, and got: {_first_line(error)}.",
            remedy=f"Create it by hand: CREATE DATABASE {quoted} ENCODING 'UTF8'.",
        ) from error


def _away(url: str, error: DBAPIError) -> StoreError:
    return StoreError(
        f"expected PostgreSQL at {url}, and got: {_first_line(error)}.",
        remedy="See `sentinel status`, or the server that DATABASE_URL names.",
    )


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0].rstrip(".")
