"""POST /api/v1/labels and /api/v1/outcomes: the truth, and what became of a payment, when they are known.

One statement, or many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import Response

from sentinel_core.schema import Label, OutcomeReport
from sentinel_core.stores.statements import StatementResult
from serving.errors import HttpError
from serving.runtime import runtime_of
from serving.wire import ErrorBody, answer, parse, read_body

STATEMENTS_MAX: Final = 1000
STATUS_CODES: Final = {"recorded": 201, "known": 200, "unknown_transaction": 404}
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ErrorBody, "description": "The only one given is of a transaction that is not known."},
    408: {"model": ErrorBody, "description": "The body did not come in time."},
    413: {"model": ErrorBody, "description": "The body is too long."},
    422: {"model": ErrorBody, "description": "A field is missing, unknown, of the wrong type or out of bounds."},
    503: {"model": ErrorBody, "description": "PostgreSQL is away."},
}

S = TypeVar("S", Label, OutcomeReport)
router = APIRouter(prefix="/api/v1", tags=["labels"])


class LabelOutcome(BaseModel):
    """What became of one label, or of one outcome; `status` is the code that it would have had alone."""

    transaction_id: str
    status: int
    result: str


class LabelsAnswer(BaseModel):
    """What became of each label, or outcome, in the order of the request."""

    results: list[LabelOutcome]
    recorded: int


def _body(name: str) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{name}"}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": STATEMENTS_MAX}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": [one, many]}}}}}


LABEL: Final = TypeAdapter(Label)
LABELS: Final = TypeAdapter(Annotated[list[Label], Field(min_length=1, max_length=STATEMENTS_MAX)])
OUTCOME: Final = TypeAdapter(OutcomeReport)
OUTCOMES: Final = TypeAdapter(Annotated[list[OutcomeReport], Field(min_length=1, max_length=STATEMENTS_MAX)])


@router.post("/labels", response_model=LabelsAnswer, responses=ERRORS, openapi_extra=_body("Label"))
async def add_labels(request: Request) -> Response:
    """Record one label or a list; the same label again changes nothing, the latest of a transaction counts."""
    labels, many = await _given(request, LABEL, LABELS)
    return _told(await runtime_of(request).ledger.add_labels(labels), many=many)


@router.post("/outcomes", response_model=LabelsAnswer, responses=ERRORS, openapi_extra=_body("OutcomeReport"))
async def add_outcomes(request: Request) -> Response:
    """Record what became of one payment or of several; the same again changes nothing, the latest counts.

    Without an outcome a payment counts as what was answered: declined where `prediction` is true, else approved.
    `propensity` comes with `explored`, and with no other.
    """
    outcomes, many = await _given(request, OUTCOME, OUTCOMES)
    return _told(await runtime_of(request).ledger.add_outcomes(outcomes), many=many)


async def _given(request: Request, one: TypeAdapter[S], several: TypeAdapter[list[S]]) -> tuple[list[S], bool]:
    body = await read_body(request, runtime_of(request).settings.max_body_bytes)
    many = body.lstrip()[:1] == b"["
    return (parse(several, body, list_field="") if many else [parse(one, body)]), many


def _told(results: Sequence[StatementResult], *, many: bool) -> Response:
    if not many and results[0].status == "unknown_transaction":
        raise HttpError(404, "unknown_transaction", f"No transaction {results[0].transaction_id!r} is known.")
    told = [
        {"transaction_id": one.transaction_id, "status": STATUS_CODES[one.status], "result": one.status}
        for one in results
    ]
    return answer({"results": told, "recorded": sum(one.status == "recorded" for one in results)})
