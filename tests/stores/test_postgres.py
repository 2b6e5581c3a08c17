from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.drift_reports import list_reports
from sentinel_core.stores.postgres import MIGRATIONS, connected, make_engine, migrate
from sentinel_core.stores.tables import APPEND_ONLY, transactions
from tests.stores.makers import NOW

HEAD = "0008"
ROW = {
    "transaction_id": "t",
    "user_id": "u",
    "amount": "1.00",
    "merchant_id": "m",
    "timestamp": NOW,
    "arrived_at": NOW,
    "source": "live",
}


def test_the_migrated_schema_is_what_the_metadata_says(engine: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, transactions.metadata) == []
        checks = text("SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace")
        migrated = set(conn.execute(checks).scalars())
    declared = {
        str(constraint.name)
        for table in transactions.metadata.tables.values()
        for constraint in table.constraints
        if type(constraint).__name__ == "CheckConstraint"
    }
    assert migrated == declared


def test_a_database_comes_into_being_by_several_migrations_at_once(servers: Any) -> None:
    name = f'odd "name" {secrets.token_hex(3)}'
    settings = load_settings(
        None, database_url_given=servers.database_url(name.replace('"', "%22").replace(" ", "%20"))
    )
    # Each has a connection of its own, and the lock is the connection's: threads compete as processes do.
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate, [settings] * 4)) == [HEAD] * 4
    assert migrate(settings) == HEAD
    engine = make_engine(settings)
    with connected(engine) as conn:
        assert conn.execute(text("SELECT count(*) FROM transactions")).scalar_one() == 0
        assert conn.execute(text("SHOW timezone")).scalar_one() == "UTC"
    engine.dispose()
    servers.execute('DROP DATABASE "{}" WITH (FORCE)'.format(name.replace('"', '""')))


def test_checks_of_drift_made_before_evidentlys_verdict_are_kept(settings: Settings, engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    with engine.begin() as conn:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = conn
        command.downgrade(config, "0007")
    row = {"at": NOW, "verdict": "suspected", "figures": '{"rejected": ["amount"]}'}
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO drift_reports (window_start, window_end, sample_size, verdict, reason, figures)"
                " VALUES (:at, :at, 700, :verdict, 'why', CAST(:figures AS jsonb))"
            ),
            row,
        )
    assert migrate(settings) == HEAD
    with engine.begin() as conn:
        (kept,) = list_reports(conn)
    assert (kept["verdict"], kept["sample_size"], kept["figures"]) == ("suspected", 700, {"rejected": ["amount"]})
    assert {kept[name] for name in kept if name.startswith("evidently")} == {None}


def test_an_absent_server_is_a_store_error_that_hides_the_password() -> None:
    settings = load_settings(None, database_url_given="postgresql://sentinel:topsecret@127.0.0.1:1/sentinel_ml")
    with pytest.raises(
        StoreError, match=r"expected PostgreSQL at postgresql.*127\.0\.0\.1:1.*sentinel status"
    ) as caught:
        migrate(settings)
    assert "topsecret" not in str(caught.value)
    with pytest.raises(StoreError), connected(make_engine(settings)):
        pass


def test_a_database_that_we_may_not_create_is_asked_for(servers: Any) -> None:
    role = f"guest_{secrets.token_hex(3)}"
    servers.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'guest'")
    url = f"postgresql://{role}:guest@127.0.0.1:{servers.postgres_port}/absent"
    with pytest.raises(StoreError, match=r"permission denied.*Create it by hand: CREATE DATABASE absent"):
        migrate(load_settings(None, database_url_given=url))
    servers.execute(f"DROP ROLE {role}")


def test_a_connection_that_the_server_ends_is_a_store_error(settings: Settings, engine: Engine) -> None:
    other = make_engine(settings)
    with pytest.raises(StoreError, match="connection"), connected(engine) as conn:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with connected(other) as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        conn.execute(text("SELECT 1"))
    with connected(engine) as conn:
        assert conn.execute(text("SELECT 1")).scalar_one() == 1
    other.dispose()


def test_append_only_tables_refuse_every_change(engine: Engine) -> None:
    with engine.connect() as conn:
        for table in APPEND_ONLY:
            for change in ("UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
                refused = f"expected only INSERT on {table.name}, got {change.split()[0]}"
                with pytest.raises(DBAPIError, match=refused), conn.begin_nested():
                    conn.execute(text(change.format(table.name)))


def test_transactions_refuse_what_the_schema_refuses(engine: Engine) -> None:
    wrongs: list[dict[str, Any]] = [
        {"transaction_id": ""},
        {"transaction_id": "x" * 129},
        {"user_id": "x" * 129},
        {"merchant_id": ""},
        {"device_id": ""},
        {"amount": "-0.01"},
        {"amount": "10000000.00"},
        {"amount": "NaN"},
        {"fraud_score": 1.01},
        {"fraud_score": float("nan")},
        {"latitude": 91},
        {"outcome": "perhaps"},
        {"source": "rumour"},
        {"propensity": -0.1},
    ]
    with engine.connect() as conn:
        for wrong in wrongs:
            refused = f"violates check constraint .ck_transactions_{next(iter(wrong))}"
            with pytest.raises(IntegrityError, match=refused), conn.begin_nested():
                conn.execute(insert(transactions).values(ROW | wrong))


def test_ids_of_the_longest_kind_fit(engine: Engine) -> None:
    longest = "\U0001f4b3" * 128
    with engine.begin() as conn:
        ids = {"transaction_id": longest, "user_id": longest, "merchant_id": longest, "amount": "9999999.99"}
        conn.execute(insert(transactions).values(ROW | ids))
