"""GET /api/v1/model/info and /api/v1/predictions/{id}: which model serves, and what was said to a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from sentinel_core.schema import ID_MAX_LENGTH
from serving.answers import ModelInfo, StoredPrediction
from serving.errors import HttpError
from serving.runtime import runtime_of
from serving.wire import ErrorBody, answer

HIDDEN: Final = frozenset({"ip_address", "card_last_four", "payload_hash"})
"""Columns that leave the database by `sentinel trace` alone."""
_VECTOR: Final = ("features", "feature_set", "feature_set_id", "risk_as_of")
_ANSWER: Final = (
    "event_id",
    "fraud_score",
    "prediction",
    "confidence",
    "model_version",
    "variant",
    "degraded",
    "warning",
    "explored",
)
_OUTCOME: Final = ("outcome", "propensity", "known_outcome", "known_propensity")
_LABEL: Final = ("is_fraud", "labelled_at", "label_source")

router = APIRouter(prefix="/api/v1", tags=["model"])


@router.get("/model/info", response_model=ModelInfo)
async def model_info(request: Request) -> Response:
    """Describe the model in service, and a bundle that was refused with the reason."""
    runtime = runtime_of(request)
    return answer(runtime.models.info())


@router.get(
    "/predictions/{transaction_id:path}",
    response_model=StoredPrediction,
    responses={
        404: {"model": ErrorBody, "description": "No such transaction is known."},
        503: {"model": ErrorBody, "description": "PostgreSQL is away."},
    },
)
async def stored_prediction(request: Request, transaction_id: str) -> Response:
    """Return a stored prediction: the transaction, its features by name, the model, the label that counts, reasons."""
    if len(transaction_id) > ID_MAX_LENGTH or "\x00" in transaction_id:
        raise _unknown()
    runtime = runtime_of(request)
    row = await runtime.ledger.prediction(transaction_id)
    if row is None:
        raise _unknown()
    return answer({**describe(row), **await runtime.reasons.of_row(row)})


def describe(row: Mapping[str, Any]) -> dict[str, Any]:
    """Arrange a row of `get_prediction` as the route's answer; a prediction or label that there is not is null."""
    apart = {*HIDDEN, *_VECTOR, *_ANSWER, *_LABEL, *_OUTCOME, "prediction_time_ms", "answered_at"}
    names = [feature["name"] for feature in row["feature_set"] or ()]
    vector = row["features"]
    scored = None
    if row["fraud_score"] is not None:
        scored = {name: row[name] for name in (*_ANSWER, "answered_at")} | {
            "inference_time_ms": row["prediction_time_ms"],
            "risk_as_of": row["risk_as_of"],
            "feature_set_id": row["feature_set_id"],
        }
    label = None
    if row["is_fraud"] is not None:
        label = {"is_fraud": row["is_fraud"], "labelled_at": row["labelled_at"], "source": row["label_source"]}
    return {
        "transaction_id": row["transaction_id"],
        "transaction": {name: value for name, value in row.items() if name not in apart and value is not None},
        "prediction": scored,
        "features": dict(zip(names, vector, strict=True)) if vector is not None and names else None,
        "label": label,
        "outcome": row["known_outcome"],
        "propensity": row["known_propensity"] if row["known_outcome"] == "explored" else None,
    }


def _unknown() -> HttpError:
    return HttpError(404, "not_found", "No transaction with this id is known.")
