"""The HTTP application: routes, the one form of errors, the pages of its own description."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from sentinel_core import __version__
from sentinel_core.errors import SentinelError
from serving import routes_alerts, routes_labels, routes_model, routes_monitoring, routes_predict
from serving.description import describe
from serving.errors import HttpError, OverloadedError, to_problem
from serving.logs import get_logger
from serving.middleware import Guard, RequestContext
from serving.wire import problem_answer

ROUTERS: Final = (
    routes_predict.router,
    routes_labels.router,
    routes_model.router,
    routes_monitoring.router,
    routes_alerts.router,
)
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CODES: Final = {404: "not_found", 405: "method_not_allowed"}
_DESCRIPTION: Final = (
    "Scores card transactions for fraud. Every answer that is not a success has the form "
    '`{"error": code, "detail": …}`; a request may carry an `X-Request-ID`, which comes back and stands in the logs.'
)
log = get_logger(__name__)


def make_app() -> FastAPI:
    """Make the application; `app.state.runtime` must be set before it serves its first request."""
    app = FastAPIOffline(title="SentinelML", version=__version__, description=_DESCRIPTION)
    app.state.runtime = None
    # The one that is added last stands outermost.
    app.add_middleware(Guard, gate=lambda: app.state.runtime.gate)
    app.add_middleware(RequestContext, metrics=lambda: app.state.runtime and app.state.runtime.metrics)
    app.add_exception_handler(HttpError, _on_problem)
    app.add_exception_handler(SentinelError, _on_sentinel_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    for router in ROUTERS:
        app.include_router(router)
    # BentoML answers what no route here knows; below /api the form of the error is ours.
    app.router.add_route("/api/{rest:path}", _unknown, methods=METHODS, include_in_schema=False)
    describe(app)
    return app


async def _on_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HttpError):
        raise error
    return problem_answer(error)


async def _on_sentinel_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, SentinelError):
        raise error
    problem = to_problem(error)
    if isinstance(error, OverloadedError):
        # Counted, not logged: shedding load must cost next to nothing.
        request.app.state.runtime.metrics.refused.labels("queue").inc()
    elif problem.status >= 500:
        log.warning("request not served", code=problem.code, reason=str(error))
    return problem_answer(problem)


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES.get(error.status_code, "http_error")
    return problem_answer(HttpError(error.status_code, code, str(error.detail), headers=error.headers))


async def _unknown(request: Request) -> Response:
    path, method = request.url.path, request.method
    allowed: set[str] = set()
    for route in request.app.router.routes:
        methods = getattr(route, "methods", None)
        if methods and route.endpoint is not _unknown and route.matches(request.scope)[0] is Match.PARTIAL:
            allowed |= methods
    if allowed:
        headers = {"Allow": ", ".join(sorted(allowed))}
        return problem_answer(HttpError(405, "method_not_allowed", f"{path} does not take {method}.", headers=headers))
    return problem_answer(HttpError(404, "not_found", "There is no such path; /docs lists those that are."))
