"""What a released version left behind is read by this one: nobody loses rows, histories or a model by upgrading."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
import redis
from sqlalchemy import Connection, text

from sentinel_core.features.entities import ENTITY_KINDS, unpack
from sentinel_core.features.risk import RiskTable
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.postgres import connected, make_engine, migrate
from sentinel_core.stores.recording import write_batch
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore
from sentinel_core.stores.risk import load_risk
from sentinel_core.stores.spool import FOLDER, drain
from sentinel_core.stores.streams import EventStreams
from tests.conftest import Servers
from tests.upgrade.dump import Dump

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["0.1.0"])
def dump(request: pytest.FixtureRequest) -> Dump:
    return Dump.of(request.param)


@pytest.fixture
def upgraded(servers: Servers, dump: Dump, tmp_path: Path) -> Iterator[Settings]:
    """Settings with the release's database, migrated to today's schema, and its state on disk."""
    name = f"upgrade_{secrets.token_hex(6)}"
    settings = load_settings(
        None,
        home=tmp_path / "home",
        database_url_given=servers.database_url(name),
        redis_url_given=servers.redis_url,
        redis_namespace=name,
        redis_slots=dump.facts["slots"],
        redis_deadline_ms=2000,
    )
    dump.fill_database(servers, name)
    dump.fill_home(settings)
    migrate(settings)
    yield settings
    servers.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def client(upgraded: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(upgraded.redis_url) as made:
        yield made
        keys = list(made.scan_iter(match=f"{upgraded.redis_namespace}:*", count=1000))
        if keys:
            made.delete(*keys)


def counts(conn: Connection, tables: list[str]) -> dict[str, int]:
    return {table: conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables}


def test_no_table_loses_a_row(upgraded: Settings, dump: Dump) -> None:
    before = {table: rows for table, rows in dump.facts["tables"].items() if table != "alembic_version"}
    assert sum(before.values()) > 1_000
    assert {table for table, rows in before.items() if rows == 0} == set(), "the dump has rows in every table"
    engine = make_engine(upgraded)
    with connected(engine) as conn:
        assert counts(conn, list(before)) == before
    engine.dispose()


def test_its_model_loads_and_scores(dump: Dump) -> None:
    # Loading compares the scores of the self-check with those of the release.
    assert load_bundle(dump.bundle).manifest.features


def test_its_histories_answers_and_risk_tables_are_read(upgraded: Settings, dump: Dump, client: redis.Redis) -> None:
    kinds = dump.fill_redis(client, upgraded)
    assert set(kinds) == {"h", "q", "a", "l", "r", "counts", "events", "risk"}
    for kind in ENTITY_KINDS:
        keys = [key for key in kinds["h"] if key.split(":")[3] == kind.name]
        assert keys
        assert all(len(unpack(client.get(key) or b"", kind.record)) for key in keys), kind.name
    answers = [orjson.loads(client.get(key) or b"") for key in kinds["a"]]
    assert all(answer["model_version"] == dump.facts["serving_version"] for answer in answers)
    table = load_risk(client, upgraded)
    assert table is not None
    assert RiskTable.from_bytes(table[1])


def test_what_waited_in_streams_and_spool_reaches_the_database(
    upgraded: Settings, dump: Dump, client: redis.Redis
) -> None:
    dump.fill_redis(client, upgraded)
    waiting = _accepted(client, upgraded)

    async def drain_spool() -> int:
        store = make_async_client(upgraded)
        try:
            return (await drain(HotStore(store, upgraded), upgraded.home / FOLDER)).brought
        finally:
            await store.aclose()

    spooled = asyncio.run(drain_spool())
    assert waiting and spooled
    streams = EventStreams(client, upgraded, "upgrade")
    streams.ensure_groups()
    engine = make_engine(upgraded)
    while events := streams.read(block_ms=100):
        with connected(engine) as conn:
            write_batch(conn, events, now=NOW)
        streams.done(events)
    with connected(engine) as conn:
        before = dump.facts["tables"]
        after = counts(conn, ["transactions", "prediction_logs", "dead_letters"])
    engine.dispose()
    assert after["transactions"] == before["transactions"] + waiting + spooled
    assert after["prediction_logs"] == before["prediction_logs"] + waiting + spooled
    assert after["dead_letters"] == before["dead_letters"]


def _accepted(client: redis.Redis, settings: Settings) -> int:
    entries = [fields for key in Keys.of(settings).streams() for _, fields in client.xrange(key)]
    return sum(fields[b"kind"] == b"accepted" for fields in entries)
