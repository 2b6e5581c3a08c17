"""Around every request: an id for the logs, the clock, the counters, one error form, and the gate before the routes.

A plain ASGI middleware: wrapping the body streams as Starlette's BaseHTTPMiddleware does costs a task a request.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import DeadlineError, HttpError, to_problem
from serving.gate import SCORING, Gate
from serving.logs import get_logger
from serving.metrics import Metrics
from serving.wire import BODY_SECONDS, problem_answer

REQUEST_ID: Final = b"x-request-id"
_ACCEPTED_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OPEN: Final = frozenset({"/health", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"})
"""What is answered without a key and never refused: liveness, and the pages that describe the API."""
OPEN_ASSETS: Final = "/static-offline-docs/"
log = get_logger(__name__)


class RequestContext:
    """Give each request an id (the client's X-Request-ID, else a new one), time it and count it.

    An error that no handler knows becomes a 500 without its text; the log has the frames.
    """

    def __init__(self, app: ASGIApp, metrics: Callable[[], Metrics | None]) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        status = 0

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID, request_id)]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id.decode()):
            try:
                await self._app(scope, receive, reply)
            except Exception:
                log.exception("request failed", path=scope["path"], method=scope["method"])
                if status:
                    raise
                failure = HttpError(
                    500, "internal_error", "The request failed for a reason that is in the service's log."
                )
                await problem_answer(failure)(scope, receive, reply)
            finally:
                self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        metrics = self._metrics()
        if metrics is None:
            return
        # The route's pattern, not the path: a label for each path would grow without bound.
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        metrics.requests.labels(route, method, str(status or 499)).inc()
        metrics.latency.labels(route).observe(seconds)
        if status >= 500 and status != 503:
            log.warning("request answered with an error", route=route, status=status, ms=round(seconds * 1000, 2))
        else:
            log.debug("request", route=route, status=status, ms=round(seconds * 1000, 2))


class Guard:
    """Let a request pass `gate` before anything reads its body; paths of `OPEN` pass always."""

    def __init__(self, app: ASGIApp, gate: Callable[[], Gate]) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say why not."""
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(OPEN_ASSETS):
            await self._app(scope, receive, send)
            return
        gate = self._gate()
        try:
            with gate.room():
                await gate.check(scope)
                if scope["path"] in SCORING:
                    await self._app(scope, receive, send)
                else:
                    await self._within(gate.seconds, scope, receive, send)
        except HttpError as refusal:
            # The routes' own errors were answered further in.
            await problem_answer(refusal)(scope, receive, send)

    async def _within(self, seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(seconds if scope["method"] == "GET" else BODY_SECONDS + seconds):
                await self._app(scope, receive, send)
        except TimeoutError:
            raise to_problem(
                DeadlineError(
                    f"expected an answer within {seconds:g} s, and it took longer.", remedy="Try again later."
                )
            ) from None


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _ACCEPTED_ID.fullmatch(value):
            return bytes(value)
    return uuid4().hex.encode()
