"""How `sentinel replay` behaves towards a busy service: it comes back, and not before it is asked to."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from sentinel_core.flows.traffic import Sent, send

REQUESTS = [{"transaction_id": "t1", "user_id": "u"}, {"transaction_id": "t2", "user_id": "u"}]


def sent_to(status: int, refusals: int, retry_after: str) -> tuple[Sent, list[float]]:
    """Send to a service that refuses its first calls; return the outcome and when calls came."""
    calls: list[float] = []

    async def predict(request: web.Request) -> web.Response:
        calls.append(time.monotonic())
        if len(calls) <= refusals:
            return web.json_response({"detail": "busy"}, status=status, headers={"Retry-After": retry_after})
        return web.json_response({**await request.json(), "cached": False})

    async def main() -> Sent:
        app = web.Application()
        app.router.add_post("/api/v1/predict", predict)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            return await send(f"http://{host}:{port}", REQUESTS, concurrency=4, batch=1, progress=lambda *_: None)
        finally:
            await runner.cleanup()

    return asyncio.run(main()), calls


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_after_the_time_that_it_names(status: int) -> None:
    sent, calls = sent_to(status, refusals=1, retry_after="1")
    assert (sent.answered, dict(sent.errors)) == (2, {})
    assert calls[1] - calls[0] >= 1.0


def test_a_time_that_is_none_is_not_waited_for() -> None:
    sent, calls = sent_to(503, refusals=1, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert sent.answered == 2
    assert calls[1] - calls[0] < 1.0


def test_what_is_wrong_with_a_request_is_not_sent_again() -> None:
    sent, calls = sent_to(422, refusals=1, retry_after="1")
    assert (sent.answered, dict(sent.errors), len(calls)) == (1, {"HTTP 422": 1}, 2)
