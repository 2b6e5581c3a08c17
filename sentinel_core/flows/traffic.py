"""Traffic: the rows of a file as requests to a running service, each user's in order, users side by side."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sentinel_core.flows import Progress

if TYPE_CHECKING:
    import aiohttp

ATTEMPTS: Final = 4
"""How often a request is sent whose answer did not come: it carries its transaction_id, so that it counts once."""
SAMPLE: Final = 10
API_KEY_HEADER: Final = "X-API-Key"
LONGEST_PAUSE_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.25
_OK: Final = 200
_RETRIED: Final = frozenset({429, 502, 503, 504})


@dataclass(slots=True)
class Sent:
    """What came of sending: milliseconds a request (the answered ones), statuses of the others, and the wall time.

    `answered` counts transactions with an answer, `cached` those among them that had one before; `samples` holds the
    first few errors as text.
    """

    milliseconds: list[float] = field(default_factory=list)
    answered: int = 0
    cached: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def failed(self, what: str, detail: str, transactions: int) -> None:
        """Count transactions without an answer."""
        self.errors[what] += transactions
        if len(self.samples) < SAMPLE:
            self.samples.append(f"{what}: {detail}")


async def send(
    url: str,
    requests: Sequence[Mapping[str, Any]],
    *,
    concurrency: int,
    batch: int,
    progress: Progress,
    api_key: str | None = None,
) -> Sent:
    """Send requests to the service at `url` and wait for all answers.

    They begin in the order given, `concurrency` at a time; one begins when those of its users that came before it are
    answered. With a `batch` above 1 that many go into one call. An answer that does not come, and a service that is
    busy, is tried again, not before its Retry-After; what fails then is counted.
    """
    import aiohttp

    sent, queue = Sent(), enumerate(_calls(requests, batch))
    last: dict[str, asyncio.Future[None]] = {}
    begun = time.perf_counter()

    async def worker(session: aiohttp.ClientSession) -> None:
        for number, call in queue:
            users = {str(request["user_id"]) for request in call}
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            before = [last[user] for user in users if user in last]
            last.update(dict.fromkeys(users, done))
            await asyncio.gather(*before)
            await _send_one(session, call, single=batch == 1, sent=sent)
            done.set_result(None)
            if number % 200 == 0:
                progress(f"{sent.answered:,} of {len(requests):,} transactions answered")

    connector = aiohttp.TCPConnector(limit=concurrency)
    timeout = aiohttp.ClientTimeout(total=30)
    headers = {} if api_key is None else {API_KEY_HEADER: api_key}
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, headers=headers) as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
    sent.seconds = time.perf_counter() - begun
    return sent


def _calls(requests: Sequence[Mapping[str, Any]], size: int) -> Iterator[Sequence[Mapping[str, Any]]]:
    for start in range(0, len(requests), size):
        yield requests[start : start + size]


async def _send_one(
    session: aiohttp.ClientSession, call: Sequence[Mapping[str, Any]], *, single: bool, sent: Sent
) -> None:
    import aiohttp

    path = "/api/v1/predict" if single else "/api/v1/predict/batch"
    body = dict(call[0]) if single else {"transactions": [dict(request) for request in call]}
    what, detail, wanted = "", "", 0.0
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(max(_PAUSE_SECONDS * 2**attempt, wanted))
        begun = time.perf_counter()
        try:
            async with session.post(path, json=body) as response:
                status, answer = response.status, await response.json(content_type=None)
                wanted = _wanted_pause(response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            what, detail = type(error).__name__, str(error) or path
            continue
        if status == _OK:
            sent.milliseconds.append((time.perf_counter() - begun) * 1000)
            answers = [answer] if single else answer["predictions"]
            sent.answered += len(answers)
            sent.cached += sum(bool(one["cached"]) for one in answers)
            return
        what, detail = f"HTTP {status}", str(answer.get("detail", answer))[:300]
        if status not in _RETRIED:
            break
    sent.failed(what, f"{call[0]['transaction_id']}: {detail}", len(call))


def _wanted_pause(retry_after: str) -> float:
    """Return the seconds that a service asks for, at most `LONGEST_PAUSE_SECONDS`."""
    return min(float(retry_after), LONGEST_PAUSE_SECONDS) if retry_after.isdecimal() else 0.0
