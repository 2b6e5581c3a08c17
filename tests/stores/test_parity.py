"""What the service reads from Redis gives the vectors that the offline build gives."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from sentinel_core.features.build import build_offline, build_online
from sentinel_core.features.catalog import POSITION
from sentinel_core.features.entities import TOUCHED, USER
from sentinel_core.features.events import Events, Stamps, hash_texts
from sentinel_core.features.risk import RiskTable
from sentinel_core.schema import to_cents, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore, RecordReply, RecordRequest
from serving.events import touches_of
from tests.stores.makers import NOW, record_request, redis_settings

CAP = 40
ATTEMPTS = POSITION["device_txn_count_10m"]


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
            "ip_address": [None, "192.0.2.1", "2001:db8::1"][rng.integers(3)],
            "merchant_id": f"m{rng.integers(2)}",
        }
        for n in range(900)
    ]


def events(given: list[dict[str, Any]], replies: list[RecordReply]) -> Events:
    return Events(
        id_hash=hash_texts([one["name"] for one in given]),
        user=hash_texts([one["user"] for one in given]),
        merchant=hash_texts([one["merchant_id"] for one in given]),
        device=hash_texts([one["device_id"] for one in given]),
        address=hash_texts([one["ip_address"] for one in given]),
        country=hash_texts([one["location_country"] for one in given]),
        time=np.array([to_micros(one["at"]) for one in given], np.int64),
        cents=np.array([to_cents(one["amount"]) for one in given], np.int64),
        arrival=np.array([reply.arrival for reply in replies], np.int64),
        is_bank_transfer=np.zeros(len(given), np.bool_),
    )


def stamps(replies: list[RecordReply]) -> dict[str, Stamps]:
    """What the entities noted, as the log would tell it."""
    found = {}
    for kind in TOUCHED:
        noted = [reply.touches.get(kind.name) for reply in replies]
        found[kind.name] = Stamps(
            np.array([0 if touch is None else touch.time for touch in noted], np.int64),
            np.array([-1 if touch is None else touch.arrival for touch in noted], np.int64),
        )
    return found


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
    online = build_online(rows, histories, RiskTable.empty(), kind=kind, touches=touches_of(replies))
    offline = build_offline(rows, None, kind=kind, stamps=stamps(replies))
    assert online.values.tobytes() == offline.values.tobytes()
    assert [reply.late for reply in replies] == offline.late.tolist()
    assert offline.late.any() == (disorder > 0)
    assert max(len(one) for one in histories) > 2 * CAP
    newest = {one["user"]: max(other["at"] for other in given if other["user"] == one["user"]) for one in given}
    retried = [n for n, one in enumerate(given) if n >= 700 and one["at"] >= newest[one["user"]] - timedelta(days=1)]
    assert len(retried) > 10
    again = asyncio.run(record([requests[n] for n in retried]))
    histories = [reply.history for reply in again if reply.history is not None]
    repeated = build_online(
        rows.take(np.array(retried)), histories, RiskTable.empty(), kind=kind, touches=touches_of(again)
    )
    # A merchant forgets sooner than a user: a retry finds what it saw while the event is within its lateness.
    assert repeated.values[:, :ATTEMPTS].tobytes() == offline.values[retried, :ATTEMPTS].tobytes()
    last = max(one["at"] for one in given)
    recent = [place for place, n in enumerate(retried) if given[n]["at"] >= last - timedelta(hours=1)]
    assert len(recent) > 5
    whole = repeated.values[recent]
    assert whole.tobytes() == offline.values[retried][recent].tobytes()
    assert not any(touch.fresh for reply in again for touch in reply.touches.values())
