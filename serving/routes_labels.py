"""POST /api/v1/labels: the truth, when it arrives. One label, or many."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import Response

from sentinel_core.schema import Label
from serving.errors import HttpError
from serving.runtime import runtime_of
from serving.wire import ErrorBody, answer, parse, read_body

LABELS_MAX: Final = 1000
STATUS_CODES: Final = {"recorded": 201, "known": 200, "unknown_transaction": 404}
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ErrorBody, "description": "The one label given is of a transaction that is not known."},
    408: {"model": ErrorBody, "description": "The body did not come in time."},
    413: {"model": ErrorBody, "description": "The body is too long."},
    422: {"model": ErrorBody, "description": "A field is missing, unknown, of the wrong type or out of bounds."},
    503: {"model": ErrorBody, "description": "PostgreSQL is away."},
}
_LABEL: Final = {"$ref": "#/components/schemas/Label"}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_LABEL, {"type": "array", "items": _LABEL, "minItems": 1, "maxItems": LABELS_MAX}]}
            }
        },
    }
}

router = APIRouter(prefix="/api/v1", tags=["labels"])


class LabelOutcome(BaseModel):
    """What became of one label; `status` is the code that it would have had alone."""

    transaction_id: str
    status: int
    result: str


class LabelsAnswer(BaseModel):
    """What became of each label, in the order of the request."""

    results: list[LabelOutcome]
    recorded: int


ONE: Final = TypeAdapter(Label)
MANY: Final = TypeAdapter(Annotated[list[Label], Field(min_length=1, max_length=LABELS_MAX)])


@router.post("/labels", response_model=LabelsAnswer, responses=ERRORS, openapi_extra=_BODY)
async def add_labels(request: Request) -> Response:
    """Record one label or a list; the same label again changes nothing, the latest of a transaction counts."""
    runtime = runtime_of(request)
    body = await read_body(request, runtime.settings.max_body_bytes)
    many = body.lstrip()[:1] == b"["
    labels = parse(MANY, body, list_field="") if many else [parse(ONE, body)]
    results = await runtime.ledger.add_labels(labels)
    if not many and results[0].status == "unknown_transaction":
        raise HttpError(404, "unknown_transaction", f"No transaction {results[0].transaction_id!r} is known.")
    outcomes = [
        {"transaction_id": one.transaction_id, "status": STATUS_CODES[one.status], "result": one.status}
        for one in results
    ]
    return answer({"results": outcomes, "recorded": sum(one.status == "recorded" for one in results)})
