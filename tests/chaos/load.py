"""The load: predictions at a given rate, each sent again unchanged until it is answered, and what came of each."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import orjson

BATCH: Final = 20
BATCH_SHARE: Final = 0.1
"""The part of the transactions that come in batches."""
AGO: Final = timedelta(hours=3)
"""How long before the load its first transaction happened."""
APART: Final = timedelta(milliseconds=100)
"""By how much each transaction happened after the one before it."""
PATIENCE_SECONDS: Final = 240.0
"""How long a request is sent again and again."""
_PAUSE_SECONDS: Final = 0.2
_TIMEOUT_SECONDS: Final = 10.0
_USERS, _DEVICES, _MERCHANTS, _ADDRESSES = 300, 250, 80, 200
_KINDS: Final = (("grocery", "purchase"), ("travel", "online"), ("cash", "withdrawal"), ("transfer", "bank_transfer"))
_COUNTRIES: Final = ("DE", "FR", "PT", "US")
_OK: Final = 200
_SERVERS_FAULT: Final = 500

Transaction = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """How often a transaction was sent until it was answered, and that answer."""

    tries: int
    score: float
    degraded: bool
    cached: bool


@dataclass(slots=True)
class Load:
    """At least `predictions` transactions at `rate` a second, and more of them until `enough` is set.

    Ids, users, devices, merchants and addresses begin with `prefix` and are nobody else's; `seed` decides about the
    rest. Run it once, in any thread; `sent` and `answered` may be read meanwhile.
    """

    url: str
    prefix: str
    predictions: int
    rate: float
    concurrency: int = 16
    seed: int = 0
    enough: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    answered: dict[str, Answered] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    """Requests that had to be sent again, by what went wrong."""
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0

    def run(self) -> None:
        """Send all and wait for all answers; fails where one is refused (4xx) or does not come for minutes."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        began = time.monotonic()
        calls = self._calls(began)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=self.concurrency)
        async with aiohttp.ClientSession(self.url, connector=connector, timeout=timeout) as session:
            lock = asyncio.Lock()
            async with asyncio.TaskGroup() as group:
                for _ in range(self.concurrency):
                    group.create_task(self._client(session, calls, lock))
        self.seconds = time.monotonic() - began

    async def _client(
        self, session: aiohttp.ClientSession, calls: AsyncIterator[list[Transaction]], lock: asyncio.Lock
    ) -> None:
        while True:
            async with lock:
                call = await anext(calls, None)
            if call is None:
                return
            await self._until_answered(session, call)

    async def _calls(self, began: float) -> AsyncIterator[list[Transaction]]:
        rng = random.Random(self.seed)
        source = transactions(self.prefix, self.begun - AGO, rng)
        batches = BATCH_SHARE / (BATCH * (1 - BATCH_SHARE) + BATCH_SHARE)
        while self.sent < self.predictions or not self.enough.is_set():
            await asyncio.sleep(max(0.0, began + self.sent / self.rate - time.monotonic()))
            call = list(itertools.islice(source, BATCH if rng.random() < batches else 1))
            self.sent += len(call)
            yield call

    async def _until_answered(self, session: aiohttp.ClientSession, call: list[Transaction]) -> None:
        single = len(call) == 1
        path = "/api/v1/predict" if single else "/api/v1/predict/batch"
        body = orjson.dumps(call[0] if single else {"transactions": call})
        deadline = time.monotonic() + PATIENCE_SECONDS
        tries = 1
        while (answers := await self._once(session, path, body)) is None:
            assert time.monotonic() < deadline, f"{call[0]['transaction_id']}: no answer to {tries} requests"
            await asyncio.sleep(_PAUSE_SECONDS)
            tries += 1
        assert [one["transaction_id"] for one in answers] == [one["transaction_id"] for one in call]
        for one in answers:
            self.answered[one["transaction_id"]] = Answered(
                tries, one["fraud_score"], bool(one["degraded"]), bool(one["cached"])
            )

    async def _once(self, session: aiohttp.ClientSession, path: str, body: bytes) -> list[dict[str, Any]] | None:
        """Send a request once; return the answers, None where it is to be sent again."""
        try:
            async with session.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.failures[type(error).__name__] += 1
            return None
        if status == _OK:
            answer = orjson.loads(content)
            return list(answer.get("predictions", [answer]))
        assert status >= _SERVERS_FAULT, f"{path} was refused: {status} {content[:500]!r}"
        self.failures[f"HTTP {status}"] += 1
        return None


def transactions(prefix: str, first: datetime, rng: random.Random) -> Iterator[Transaction]:
    """Yield transactions without end, in the order of their times, of users who come again and again."""
    for number in itertools.count():
        user = int(_USERS * rng.random() ** 2)
        category, kind = rng.choice(_KINDS)
        one: Transaction = {
            "transaction_id": f"{prefix}{number}",
            "user_id": f"{prefix}user-{user}",
            "amount": round(rng.lognormvariate(3.5, 1.2), 2),
            "merchant_id": f"{prefix}merchant-{int(_MERCHANTS * rng.random() ** 2)}",
            "merchant_category": category,
            "transaction_type": kind,
            "timestamp": (first + number * APART).isoformat(),
            "location_country": rng.choice(_COUNTRIES),
        }
        if rng.random() < 0.9:
            one["device_id"] = f"{prefix}device-{(user + int(3 * rng.random() ** 4)) % _DEVICES}"
        if rng.random() < 0.9:
            one["ip_address"] = _address(prefix, (user + int(5 * rng.random() ** 4)) % _ADDRESSES)
        yield one


def _address(prefix: str, number: int) -> str:
    # Unique local addresses (RFC 4193) mean nobody.
    digest = hashlib.blake2b(f"{prefix}{number}".encode(), digest_size=15).digest()
    return str(ipaddress.IPv6Address(b"\xfd" + digest))
