"""What the service reads from Redis gives the vectors that the offline build gives."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from sentinel_core.features.build import build_offline, build_online
from sentinel_core.features.entities import USER
from sentinel_core.features.events import Events, hash_texts
from sentinel_core.features.risk import RiskTable
from sentinel_core.schema import to_cents, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore, RecordReply, RecordRequest
from tests.stores.makers import NOW, record_request, redis_settings

CAP = 40


@pytest.fixture
def settings(servers: Any) -> Settings:
    return redis_settings(servers)


def history(seed: int, disorder: float) -> list[dict[str, Any]]:
    """Return a year of two users' days: bursts, pauses longer than any window, and events that come late."""
    rng = np.random.default_rng(seed)
    minutes = np.cumsum(rng.choice([0, 1, 60, 1500, 60_000], 900, p=[0.3, 0.4, 0.25, 0.045, 0.005]))
    behind = rng.choice([0, 30, 1400, 1700], 900) * (rng.random(900) < disorder)
    return [
        {
            "name": f"t{n}",
            "user": f"u{rng.integers(2)}",
            "amount": float(rng.integers(1, 10**6)) / 100,
            "at": NOW + timedelta(minutes=int(minutes[n] - behind[n])),
            "device_id": [None, "d1", "d2"][rng.integers(3)],
            "location_country": [None, "DE", "FR"][rng.integers(3)],
        }
        for n in range(900)
    ]


def events(given: list[dict[str, Any]], replies: list[RecordReply]) -> Events:
    return Events(
        id_hash=hash_texts([one["name"] for one in given]),
        user=hash_texts([one["user"] for one in given]),
        merchant=hash_texts(["m1"] * len(given)),
        device=hash_texts([one["device_id"] for one in given]),
        address=hash_texts([one.get("ip_address") for one in given]),
        country=hash_texts([one["location_country"] for one in given]),
        time=np.array([to_micros(one["at"]) for one in given], np.int64),
        cents=np.array([to_cents(one["amount"]) for one in given], np.int64),
        arrival=np.array([reply.arrival for reply in replies], np.int64),
        is_bank_transfer=np.zeros(len(given), np.bool_),
    )


@pytest.mark.parametrize("disorder", [0.0, 0.15], ids=["in order", "out of order"])
def test_histories_from_redis_give_the_vectors_of_the_offline_build(settings: Settings, disorder: float) -> None:
    small = settings.model_copy(update={"user_history_cap": CAP})
    given = history(11, disorder)
    requests = [record_request(**one) for one in given]

    async def record(batch: list[RecordRequest]) -> list[RecordReply]:
        async with make_async_client(small) as client:
            store = HotStore(client, small)
            return [reply for at in range(0, len(batch), 32) for reply in await store.record(batch[at : at + 32])]

    replies = asyncio.run(record(requests))
    rows, kind = events(given, replies), replace(USER, cap=CAP)
    histories = [reply.history for reply in replies if reply.history is not None]
    online = build_online(rows, histories, RiskTable.empty(), kind=kind)
    offline = build_offline(rows, None, kind=kind)
    assert online.values.tobytes() == offline.values.tobytes()
    assert [reply.late for reply in replies] == offline.late.tolist()
    assert offline.late.any() == (disorder > 0)
    assert max(len(one) for one in histories) > 2 * CAP
    newest = {one["user"]: max(other["at"] for other in given if other["user"] == one["user"]) for one in given}
    retried = [n for n, one in enumerate(given) if n >= 700 and one["at"] >= newest[one["user"]] - timedelta(days=1)]
    assert len(retried) > 10
    again = [
        reply.history for reply in asyncio.run(record([requests[n] for n in retried])) if reply.history is not None
    ]
    repeated = build_online(rows.take(np.array(retried)), again, RiskTable.empty(), kind=kind)
    assert repeated.values.tobytes() == offline.values[retried].tobytes()
