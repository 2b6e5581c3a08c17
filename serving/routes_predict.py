"""POST /api/v1/predict and /api/v1/predict/batch: score one transaction, or up to a hundred in order."""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import Response

from sentinel_core.errors import PayloadConflictError, SentinelError
from sentinel_core.schema import Prediction, Transaction
from serving.answers import Reason
from serving.errors import FutureEventsError, HttpError, to_problem
from serving.runtime import runtime_of
from serving.scoring import Vectors
from serving.wire import ErrorBody, answer, parse, read_body

BATCH_MAX: Final = 100
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    408: {"model": ErrorBody, "description": "The body did not come in time."},
    409: {"model": ErrorBody, "description": "The transaction_id was used before with another payload."},
    413: {"model": ErrorBody, "description": "The body is too long."},
    422: {"model": ErrorBody, "description": "A field is missing, unknown, of the wrong type or out of bounds."},
    503: {"model": ErrorBody, "description": "No model is in Production, or a store is away."},
}

router = APIRouter(prefix="/api/v1", tags=["predictions"])


class BatchRequest(BaseModel):
    """Transactions to be scored in order, each seeing the ones before it."""

    model_config = ConfigDict(extra="forbid")

    transactions: list[Transaction] = Field(min_length=1, max_length=BATCH_MAX)


class BatchAnswer(BaseModel):
    """The predictions in the order of the request."""

    predictions: list[Prediction]
    count: int
    inference_time_ms: float


class PredictAnswer(Prediction):
    """A prediction; with `explain=true` the largest contributions to it, or null and a note that says why."""

    reasons: list[Reason] | None = None
    reasons_note: str = ""


ONE: Final = TypeAdapter(Transaction)
_FLAG: Final = TypeAdapter(bool)
_EXPLAIN: Final = {
    "name": "explain",
    "in": "query",
    "required": False,
    "description": "Whether to add the reasons for this score; batches have theirs by GET /api/v1/predictions/{id}.",
    "schema": {"type": "boolean", "default": False},
}
MANY: Final = TypeAdapter(BatchRequest)


def body_of(name: str) -> dict[str, Any]:
    """Describe a JSON body by the name of its schema, for routes that read the body by themselves."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/predict",
    response_model=PredictAnswer,
    responses=ERRORS,
    openapi_extra={**body_of("Transaction"), "parameters": [_EXPLAIN]},
)
async def predict(request: Request) -> Response:
    """Score one transaction; the same transaction_id again gives the same answer, marked as cached."""
    runtime = runtime_of(request)
    # None for almost every request: nothing is kept and nothing is asked for then.
    vectors: Vectors | None = {} if request.scope["query_string"] and _wants_reasons(request) else None
    transaction = parse(ONE, await read_body(request, runtime.settings.max_body_bytes))
    (scored,) = await runtime.scorer.score([transaction], vectors)
    if isinstance(scored, SentinelError):
        raise scored
    if vectors is None:
        return answer(scored)
    return answer({**scored, **await runtime.reasons.of_answer(scored, transaction, vectors)})


@router.post("/predict/batch", response_model=BatchAnswer, responses=ERRORS, openapi_extra=body_of("BatchRequest"))
async def predict_batch(request: Request) -> Response:
    """Score 1 to 100 transactions in order; an invalid one refuses them all, and nothing is recorded."""
    started = time.perf_counter()
    runtime = runtime_of(request)
    body = await read_body(request, runtime.settings.max_body_bytes)
    batch = parse(MANY, body, list_field="transactions")
    try:
        scored = await runtime.scorer.score(batch.transactions)
    except FutureEventsError as error:
        raise HttpError(422, "validation_error", error.details(indexed=True)) from None
    _raise_first_error(scored)
    milliseconds = round((time.perf_counter() - started) * 1000, 3)
    return answer({"predictions": list(scored), "count": len(scored), "inference_time_ms": milliseconds})


def _wants_reasons(request: Request) -> bool:
    try:
        return _FLAG.validate_python(request.query_params.get("explain", "false"))
    except ValidationError as error:
        detail = [{"field": "explain", "message": error.errors()[0]["msg"]}]
        raise HttpError(422, "validation_error", detail) from None


def _raise_first_error(scored: list[dict[str, Any] | SentinelError]) -> None:
    # The others are recorded by now: without the item in conflict, the same batch is answered from what was stored.
    for index, item in enumerate(scored):
        if isinstance(item, PayloadConflictError):
            problem = to_problem(item)
            raise HttpError(problem.status, problem.code, f"transactions[{index}]: {problem.detail}")
    for item in scored:
        if isinstance(item, SentinelError):
            raise item
