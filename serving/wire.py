"""Bodies in and out: bounded reading, validation with field and bound named, compact JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from serving.errors import HttpError

BODY_SECONDS: Final = 5.0
ERRORS_SHOWN: Final = 20
_FIELD_SHOWN: Final = 128

T = TypeVar("T")


class ErrorDetail(BaseModel):
    """One field that is not as it should be; `index` is the item's place in a batch."""

    index: int | None = None
    field: str
    message: str


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: str
    detail: str | list[ErrorDetail]


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's body of at most `limit` bytes.

    Raises a 413 `HttpError` as soon as it is longer, and a 408 one where it has not come within `BODY_SECONDS`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise HttpError(408, "body_timeout", f"The body did not come within {BODY_SECONDS:g} s.") from None
    return b"".join(parts)


def parse(adapter: TypeAdapter[T], body: bytes, *, list_field: str | None = None) -> T:
    """Validate a JSON body; raises a 422 `HttpError` that names each field and its bound.

    `list_field` names the field whose items are reported by index; "" stands for the body itself.
    """
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise HttpError(
            422, "validation_error", [_detail(e["loc"], e["msg"], list_field) for e in found[:ERRORS_SHOWN]]
        ) from None


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with compact JSON; times in ISO 8601, money as numbers."""
    body = orjson.dumps(content, default=_plain)
    return Response(body, status, headers, media_type="application/json")


def problem_answer(problem: HttpError) -> Response:
    """Answer with an error in the form of `ErrorBody`."""
    return answer({"error": problem.code, "detail": problem.detail}, problem.status, problem.headers)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"expected what JSON can hold, got {type(value).__name__}")


def _detail(location: tuple[int | str, ...], message: str, list_field: str | None) -> dict[str, Any]:
    path = list(location)
    item: dict[str, Any] = {}
    if list_field and path[:1] == [list_field] and len(path) > 1:
        path.pop(0)
    if list_field is not None and path and isinstance(path[0], int):
        item["index"] = path.pop(0)
    name = ".".join(str(part) for part in path) or "body"
    return item | {"field": name[:_FIELD_SHOWN], "message": message.removeprefix("Value error, ")}


def _too_large(limit: int) -> HttpError:
    return HttpError(413, "body_too_large", f"The body is longer than the limit of {limit} bytes.")
