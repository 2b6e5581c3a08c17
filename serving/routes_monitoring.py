"""GET /health, /metrics and /api/v1/monitoring/metrics: is it well, how fast, how much, how good."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from sentinel_core.errors import StoreError
from serving.answers import Figures, Health
from serving.metrics import CONTENT_TYPE, Now
from serving.runtime import runtime_of
from serving.wire import ErrorBody, answer

_AWAY: Final[dict[int | str, dict[str, Any]]] = {503: {"model": ErrorBody, "description": "PostgreSQL is away."}}

router = APIRouter(tags=["monitoring"])


@router.get("/health", response_model=Health)
async def health(request: Request) -> Response:
    """Say that this worker lives, which model it serves, and how each dependency is."""
    return answer(runtime_of(request).health())


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=Response)
async def prometheus(request: Request) -> Response:
    """Return the Prometheus metrics of all workers."""
    runtime = runtime_of(request)
    try:
        lag, histories = await runtime.store.backlog(), await runtime.store.counts()
    except StoreError:
        lag, histories = None, {}
    up = {one.name: one.up for one in runtime.dependencies}
    now = Now(runtime.models.version, lag, up, runtime.spool_size, histories)
    return Response(await asyncio.to_thread(runtime.metrics.render, now), media_type=CONTENT_TYPE)


@router.get("/api/v1/monitoring/metrics", response_model=Figures, responses=_AWAY)
async def monitoring(request: Request) -> Response:
    """Return totals, fraud rate, scores, latency percentiles, and precision, recall and F1 where labels exist."""
    return answer(await runtime_of(request).figures())
