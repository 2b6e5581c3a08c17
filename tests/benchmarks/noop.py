"""A BentoML service that does nothing but answer: how fast the server itself is, beside ours."""

from __future__ import annotations

import os
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def nothing(request: Request) -> Response:
    """Read the body and answer with a constant."""
    await request.body()
    return Response(b'{"ok":true}', media_type="application/json")


app = Starlette(routes=[Route("/predict", nothing, methods=["POST"])])


@bentoml.service(name="NoopService", workers=int(os.environ.get("API_WORKERS", "1")))
@bentoml.asgi_app(app, path="/noop")
class NoopService:
    """Two ways to do nothing: an endpoint of BentoML's own, and a route of a mounted application."""

    @bentoml.api
    async def predict(self, values: list[list[float]]) -> dict[str, Any]:
        """Answer with a constant."""
        return {"ok": True}
