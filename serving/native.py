"""What stands before BentoML's own routes: no control characters in a path, and its `predict` as guarded as ours.

BentoML reads other forms of a body by their media type, files and pickle among them; none of them comes that far.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import HttpError
from serving.middleware import Guard, RequestContext
from serving.runtime import Runtime
from serving.wire import problem_answer, read_body

NATIVE_PATH: Final = "/predict"
_JSON: Final = "application/json"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
"""A router's pattern ends before a newline too: "/predict\\n" would reach `predict` past everything in front of it."""


class NativeRoute:
    """Stand before BentoML's routes; `runtime` gives the worker's."""

    def __init__(self, app: ASGIApp, runtime: Callable[[], Runtime]) -> None:
        self._app = app
        self._runtime = runtime
        self._guarded = RequestContext(
            Guard(self._json_within_bounds, gate=lambda: runtime().gate), metrics=lambda: runtime().metrics
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and _CONTROL.search(scope["path"]):
            refusal = HttpError(404, "not_found", "A path holds no control characters. /docs lists what there is.")
            await problem_answer(refusal)(scope, receive, send)
            return
        guarded = scope["type"] == "http" and scope["path"] == NATIVE_PATH
        await (self._guarded if guarded else self._app)(scope, receive, send)

    async def _json_within_bounds(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            _refuse_other_forms(request)
            body = await read_body(request, self._runtime().settings.max_body_bytes)
        except HttpError as refusal:
            await problem_answer(refusal)(scope, receive, send)
            return
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return unread.pop() if unread else await receive()

        await self._app(scope, again, send)


def _refuse_other_forms(request: Request) -> None:
    given = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if given != _JSON:
        raise HttpError(415, "unsupported_media_type", f"This route takes {_JSON}.")
