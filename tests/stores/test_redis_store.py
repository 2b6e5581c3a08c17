from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import redis

from sentinel_core.errors import StoreError
from sentinel_core.features.entities import RECORD, unpack
from sentinel_core.schema import hash_text
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.keys import Keys, slot
from sentinel_core.stores.redis_clients import check_eviction_policy, make_async_client, refuse_eviction_policy
from sentinel_core.stores.redis_store import HotStore, RecordReply
from sentinel_core.stores.streams import EventStreams
from tests.stores.makers import DAY, NOW, commit_request, record, record_request, redis_settings, transaction


@pytest.fixture
def settings(servers: Any) -> Settings:
    return redis_settings(servers)


def run(settings: Settings, use: Callable[[HotStore], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        client = make_async_client(settings)
        try:
            return await use(HotStore(client, settings))
        finally:
            await client.aclose()

    return asyncio.run(main())


def events(client: redis.Redis, settings: Settings) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and body of every entry, stream by stream."""
    return [
        (fields[b"kind"].decode(), json.loads(fields[b"body"]))
        for stream in Keys.of(settings).streams()
        for _, fields in client.xrange(stream)
    ]


def names(reply: RecordReply) -> list[int]:
    assert reply.history is not None
    return [int(one) for one in reply.history["id_hash"]]


def hashes(*ids: str) -> list[int]:
    return [hash_text(one) for one in ids]


def test_a_transaction_sees_what_arrived_before_it_and_reaches_the_stream(
    settings: Settings, redis_client: redis.Redis
) -> None:
    async def use(store: HotStore) -> list[RecordReply]:
        first = await store.record([record_request("a"), record_request("b", "other"), record_request("c")])
        return first + await store.record([record_request("d", amount=99.99)])

    a, b, c, d = run(settings, use)
    assert [names(reply) for reply in (a, b, c, d)] == [[], [], hashes("a"), hashes("a", "c")]
    assert a.arrival < c.arrival < d.arrival
    assert not any(reply.seen or reply.late for reply in (a, b, c, d))
    stored = unpack(redis_client.get(Keys.of(settings).history("u")) or b"")
    expected = record("d", transaction(amount=99.99), d.arrival)[0]
    assert [stored[-1][name] for name in RECORD.names[:-1]] == [expected[name] for name in RECORD.names[:-1]]
    bodies = {body["transaction_id"]: body for kind, body in events(redis_client, settings) if kind == "accepted"}
    assert set(bodies) == {"a", "b", "c", "d"}
    assert bodies["d"]["arrival"] == {"user": d.arrival}
    assert bodies["d"]["late"] is False
    assert bodies["d"]["amount"] == 99.99
    assert bodies["d"]["payload_hash"] == f"{int(expected['payload_hash']):016x}"


def test_recording_again_gives_the_same_history_and_adds_nothing(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(store: HotStore) -> list[RecordReply]:
        await store.record([record_request(name) for name in "abcd"])
        return await store.record([record_request("c"), record_request("a"), record_request("c")])

    replies = run(settings, use)
    assert [names(reply) for reply in replies] == [hashes("a", "b"), [], hashes("a", "b")]
    assert all(reply.seen for reply in replies)
    assert replies[0].arrival == replies[2].arrival > replies[1].arrival
    assert len(events(redis_client, settings)) == 4


def test_the_first_answer_counts_and_is_returned_ever_after(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(store: HotStore) -> Any:
        await store.record([record_request("a")])
        first = await store.commit([commit_request("a", score=0.25)])
        second = await store.commit([commit_request("a", score=0.75)])
        return first + second, await store.record([record_request("a")])

    (first, second), (again,) = run(settings, use)
    assert (first.first, first.answer) == (True, {"fraud_score": 0.25})
    assert (second.first, second.answer) == (False, {"fraud_score": 0.25})
    assert again.answer == {"fraud_score": 0.25}
    assert again.seen
    assert [kind for kind, _ in events(redis_client, settings)] == ["accepted", "answered"]
    ttl = redis_client.pttl(Keys.of(settings).answer("u", "a"))
    assert 0 < ttl <= settings.answer_ttl_seconds * 1000


def test_past_the_answers_life_the_history_still_knows_the_transaction(
    settings: Settings, redis_client: redis.Redis
) -> None:
    async def use(store: HotStore) -> list[RecordReply]:
        await store.record([record_request("a"), record_request("b")])
        await store.commit([commit_request("b")])
        redis_client.delete(Keys.of(settings).answer("u", "b"))
        return await store.record([record_request("b")])

    (reply,) = run(settings, use)
    assert reply.seen
    assert reply.answer is None
    assert names(reply) == hashes("a")


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_another_payload_under_the_same_id_is_a_conflict(settings: Settings, answered: bool, late: bool) -> None:
    at = NOW - 2 * DAY if late else NOW

    async def use(store: HotStore) -> list[RecordReply]:
        await store.record([record_request("newer"), record_request("a", at=at)])
        if answered:
            await store.commit([commit_request("a", at=at)])
        return await store.record([record_request("a", at=at, amount=12.35), record_request("z")])

    conflicting, other = run(settings, use)
    assert "expected the payload that transaction_id 'a' came with before" in str(conflicting.conflict)
    assert conflicting.answer is None
    assert other.conflict is None


def test_a_late_event_is_a_cold_start_that_enters_no_history(settings: Settings, redis_client: redis.Redis) -> None:
    edge, beyond = NOW - DAY, NOW - DAY - timedelta(microseconds=1)

    async def use(store: HotStore) -> Any:
        await store.record([record_request("now"), record_request("edge", at=edge)])
        late = await store.record([record_request("late", at=beyond)])
        again = await store.record([record_request("late", at=beyond)])
        return late + again + await store.record([record_request("next")]), await store.counts()

    (late, again, following), counts = run(settings, use)
    assert late.late
    assert not late.seen
    assert again.late
    assert again.seen
    assert names(late) == names(again) == []
    assert late.arrival == again.arrival
    assert names(following) == hashes("now", "edge")
    assert counts == {"late": 1, "late_touches": 7, "capped": 0, "quarantined": 0}
    lates = [body["transaction_id"] for kind, body in events(redis_client, settings) if body.get("late")]
    assert lates == ["late"]


def test_lateness_is_judged_by_the_newest_event_not_the_last(settings: Settings) -> None:
    async def use(store: HotStore) -> RecordReply:
        await store.record([record_request("new"), record_request("older", at=NOW - timedelta(hours=20))])
        return (await store.record([record_request("late", at=NOW - timedelta(hours=30))]))[0]

    assert run(settings, use).late


@pytest.mark.parametrize(
    "blob",
    [b"x", b"x" * 71, b"x" * 144, bytes(72), record("a", transaction()).tobytes() + bytes(72), b"\x01" * 73],
    ids=["short", "ragged", "garbage", "version 0", "a good start", "one byte more"],
)
def test_a_foreign_history_is_a_cold_start_and_kept_aside(
    settings: Settings, redis_client: redis.Redis, blob: bytes
) -> None:
    keys = Keys.of(settings)
    redis_client.set(keys.history("u"), blob)

    async def use(store: HotStore) -> Any:
        return await store.record([record_request("b"), record_request("c")]), await store.counts()

    (b, c), counts = run(settings, use)
    assert names(b) == []
    assert names(c) == hashes("b")
    assert redis_client.get(keys.quarantine("u")) == blob
    assert counts["quarantined"] == 1


def test_a_history_corrupt_in_its_middle_is_set_aside_too(settings: Settings, redis_client: redis.Redis) -> None:
    keys = Keys.of(settings)
    good = record("a", transaction()).tobytes()
    redis_client.set(keys.history("u"), good + bytes(72) + good)

    async def use(store: HotStore) -> Any:
        return await store.record([record_request("b")]), await store.record([record_request("c")])

    ((b,), (c,)) = run(settings, use)
    assert names(b) == []
    assert names(c) == hashes("b")
    assert redis_client.exists(keys.quarantine("u"))


def test_keys_of_another_type_are_set_aside_or_replaced(settings: Settings, redis_client: redis.Redis) -> None:
    keys = Keys.of(settings)
    redis_client.rpush(keys.history("u"), "a", "list")
    redis_client.hset(keys.answer("u", "a"), "a", "hash")

    async def use(store: HotStore) -> Any:
        return await store.record([record_request("a")]), await store.commit([commit_request("a")])

    (reply,), (committed,) = run(settings, use)
    assert names(reply) == []
    assert committed.first
    assert redis_client.type(keys.quarantine("u")) == b"list"


def test_scripts_are_loaded_again_after_the_server_forgot_them(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(store: HotStore) -> list[RecordReply]:
        await store.record([record_request("a")])
        redis_client.script_flush()
        replies = await store.record([record_request(name) for name in "bcd"])
        redis_client.script_flush()
        await store.commit([commit_request("b")])
        return replies

    replies = run(settings, use)
    assert [names(reply) for reply in replies] == [hashes(*"abcd"[:n]) for n in (1, 2, 3)]


def test_a_dropped_connection_is_made_anew(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(store: HotStore) -> list[RecordReply]:
        await store.record([record_request("a")])
        redis_client.client_kill_filter(skipme=True, _type="normal")
        return await store.record([record_request("b")])

    assert names(run(settings, use)[0]) == hashes("a")


def test_a_cancelled_call_never_lends_its_replies_to_the_next(settings: Settings) -> None:
    async def use(store: HotStore) -> list[int]:
        await store.record([record_request("a", "first")])
        seen = []
        for number in range(30):
            task = asyncio.create_task(store.record([record_request(f"x{number}-{k}", "first") for k in range(40)]))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            task.cancel()
            reply = (await store.record([record_request(f"y{number}", f"user{number}")]))[0]
            seen.append(len(names(reply)))
        return seen

    assert run(settings, use) == [0] * 30


def test_concurrent_attempts_of_one_transaction_record_it_once(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(_: HotStore) -> Any:
        clients = [make_async_client(settings) for _ in range(8)]
        stores = [HotStore(client, settings) for client in clients]
        await stores[0].record([record_request("before")])
        replies = await asyncio.gather(*(store.record([record_request("same")]) for store in stores * 4))
        commits = await asyncio.gather(
            *(store.commit([commit_request("same", score=n / 10)]) for n, store in enumerate(stores))
        )
        for client in clients:
            await client.aclose()
        return [reply for (reply,) in replies], [reply for (reply,) in commits]

    replies, commits = run(settings, use)
    assert all(names(reply) == hashes("before") for reply in replies)
    assert len({reply.arrival for reply in replies}) == 1
    assert sum(not reply.seen for reply in replies) == 1
    assert sum(reply.first for reply in commits) == 1
    assert len({json.dumps(reply.answer) for reply in commits}) == 1
    assert sorted(kind for kind, _ in events(redis_client, settings)) == ["accepted", "accepted", "answered"]


def test_a_burst_of_one_user_sees_itself(settings: Settings) -> None:
    async def use(_: HotStore) -> Any:
        clients = [make_async_client(settings) for _ in range(4)]
        stores = [HotStore(client, settings) for client in clients]
        batches = [[f"{b}-{n}" for n in range(5)] for b in range(40)]
        replies = await asyncio.gather(
            *(stores[b % 4].record([record_request(name) for name in batch]) for b, batch in enumerate(batches))
        )
        for client in clients:
            await client.aclose()
        return [reply for batch in replies for reply in batch], [name for batch in batches for name in batch]

    replies, ids = run(settings, use)
    order = sorted(range(200), key=lambda n: replies[n].arrival)
    arrived = [hash_text(ids[n]) for n in order]
    assert len({reply.arrival for reply in replies}) == 200
    for position, n in enumerate(order):
        assert names(replies[n]) == arrived[:position]
    for batch in range(40):
        own = [replies[5 * batch + n].arrival for n in range(5)]
        assert own == sorted(own)


def test_an_absent_redis_is_a_store_error() -> None:
    settings = load_settings(None, redis_url_given="redis://127.0.0.1:1/0")

    async def use(store: HotStore) -> None:
        for call in (
            store.record([record_request("a")]),
            store.commit([commit_request("a")]),
            store.ping(),
            store.backlog(),
            store.counts(),
            store.load_risk(),
            store.risk_as_of(),
            store.refuse_eviction_policy(),
            store.publish_feature_set("s", []),
        ):
            with pytest.raises(StoreError, match=r"expected Redis to .* and got: .*sentinel status"):
                await call

    run(settings, use)


def test_a_full_redis_is_a_store_error_and_keeps_what_it_has(settings: Settings, servers: Any) -> None:
    # maxmemory is the whole server's: nothing else may run beside this test.
    client = redis.Redis.from_url(servers.redis_url)

    async def use(store: HotStore) -> Any:
        await store.record([record_request("a")])
        client.config_set("maxmemory", 1)
        try:
            for call in (store.record([record_request("b")]), store.commit([commit_request("a")])):
                with pytest.raises(StoreError, match="used memory > 'maxmemory'"):
                    await call
        finally:
            client.config_set("maxmemory", 0)
        return await store.record([record_request("b")])

    (reply,) = run(settings, use)
    assert names(reply) == hashes("a")
    assert not reply.seen
    client.close()


def test_a_silent_redis_is_given_up(settings: Settings, redis_client: redis.Redis) -> None:
    async def main() -> RecordReply:
        client = make_async_client(settings)
        store = HotStore(client, settings, deadline_seconds=0.1)
        await store.record([record_request("a")])
        redis_client.client_pause(400)
        with pytest.raises(StoreError, match="no answer within 100 ms"):
            await store.record([record_request("b")])
        await asyncio.sleep(0.5)
        (reply,) = await store.record([record_request("b")])
        await client.aclose()
        return reply

    assert names(asyncio.run(main())) == hashes("a")


def test_an_evicting_redis_is_refused(settings: Settings, redis_client: redis.Redis) -> None:
    refuse_eviction_policy(redis_client)
    run(settings, lambda store: store.refuse_eviction_policy())
    with pytest.raises(StoreError, match="noeviction, got allkeys-lru: it would drop histories"):
        check_eviction_policy({"maxmemory_policy": "allkeys-lru"})


def test_the_cap_cuts_the_oldest_and_counts_them(settings: Settings, redis_client: redis.Redis) -> None:
    small = settings.model_copy(update={"user_history_cap": 16})
    ids = [f"t{n}" for n in range(16 + 256 + 5)]

    async def use(store: HotStore) -> Any:
        return await store.record([record_request(name) for name in ids]), await store.counts()

    replies, counts = run(small, use)
    for n, reply in enumerate(replies):
        seen = names(reply)
        assert len(seen) <= 16 + 256
        assert len(seen) >= min(n, 16 + 128)
        assert seen == [hash_text(name) for name in ids[n - len(seen) : n]]
    stored = unpack(redis_client.get(Keys.of(settings).history("u")) or b"")
    assert counts["capped"] == len(ids) - len(stored) == 128


def test_the_cap_keeps_the_newest_by_time_whatever_their_order(settings: Settings, redis_client: redis.Redis) -> None:
    small = settings.model_copy(update={"user_history_cap": 16})
    minutes = np.random.default_rng(5).integers(0, 1000, 16 + 256 + 1).tolist()
    requests = [record_request(f"t{n}", at=NOW + timedelta(minutes=m)) for n, m in enumerate(minutes)]
    run(small, lambda store: store.record(requests))
    stored = unpack(redis_client.get(Keys.of(settings).history("u")) or b"")
    oldest = sorted(range(16 + 256), key=lambda n: (minutes[n], n))[:128]
    kept = [hash_text(f"t{n}") for n in range(len(minutes)) if n not in oldest]
    assert [int(one) for one in stored["id_hash"]] == kept


def test_an_idle_history_expires_and_a_used_one_lives_on(settings: Settings, redis_client: redis.Redis) -> None:
    key = Keys.of(settings).history("u")
    run(settings, lambda store: store.record([record_request("a")]))
    assert 32 * 86_400_000 < redis_client.pttl(key) <= 33 * 86_400_000
    redis_client.pexpire(key, 5000)
    run(settings, lambda store: store.record([record_request("b")]))
    assert redis_client.pttl(key) > 32 * 86_400_000


def test_unicode_ids_travel_unharmed(settings: Settings, redis_client: redis.Redis) -> None:
    name, user = "t\u00e4\U0001f4b3{}:*", "na\u00efve {user} \U0001f600"
    run(settings, lambda store: store.record([record_request(name, user)]))
    stream = Keys.of(settings).stream(slot(user, settings.redis_slots))
    reader = EventStreams(redis_client, settings, "me")
    reader.ensure_groups()
    (event,) = reader.read(block_ms=10)
    assert (event.stream, event.transaction_id) == (stream, name)
    assert json.loads(event.body)["user_id"] == user


def test_histories_survive_any_order_of_times(settings: Settings) -> None:
    """What a transaction is given holds all that the definition of a history can ask for."""
    small = settings.model_copy(update={"user_history_cap": 40})
    rng = np.random.default_rng(7)
    hours = np.cumsum(rng.choice([0, 1, 30, 200], 500, p=[0.6, 0.3, 0.08, 0.02])) - rng.choice([0, 12, 30], 500)
    times = [NOW + timedelta(hours=int(hour)) for hour in hours]

    async def use(store: HotStore) -> list[RecordReply]:
        return await store.record([record_request(f"t{n}", at=at) for n, at in enumerate(times)])

    kept: list[int] = []
    for n, reply in enumerate(run(small, use)):
        newest = max((times[k] for k in kept), default=times[n])
        assert reply.late == (newest - times[n] > DAY)
        if reply.late:
            continue
        seen = {int(one) for one in reply.history["id_hash"]} if reply.history is not None else set()
        horizon = max(newest, times[n]) - 31 * DAY
        wanted = [k for k in kept if times[k] > horizon][-40:]
        assert {hash_text(f"t{k}") for k in wanted} <= seen
        kept.append(n)
