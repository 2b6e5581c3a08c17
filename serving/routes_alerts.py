"""GET /api/v1/alerts and POST /api/v1/alerts/{id}/acknowledge: what somebody should look at, and who does."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, TypeAdapter
from sqlalchemy import Connection
from starlette.responses import Response

from sentinel_core.schema import Reason, Text
from sentinel_core.stores.alerts import NUMBER_MAX, list_incidents
from serving.answers import AcknowledgedAlert, Alerts
from serving.errors import HttpError
from serving.gate import KEY_NAME
from serving.runtime import runtime_of
from serving.wire import ErrorBody, answer, parse, read_body

SHOWN: Final = 100
_AWAY: Final[dict[int | str, dict[str, Any]]] = {503: {"model": ErrorBody, "description": "PostgreSQL is away."}}
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ErrorBody, "description": "There is no alert of this number."},
    408: {"model": ErrorBody, "description": "The body did not come in time."},
    413: {"model": ErrorBody, "description": "The body is too long."},
    422: {"model": ErrorBody, "description": "A field is missing, unknown, of the wrong type or out of bounds."},
    **_AWAY,
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Acknowledgement"}}},
    }
}

router = APIRouter(prefix="/api/v1", tags=["alerts"])


class Acknowledgement(BaseModel):
    """Why an alert needs nobody else, and optionally who says so; else the name of the API key counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason
    actor: Text | None = None


ACKNOWLEDGEMENT: Final = TypeAdapter(Acknowledgement)


@router.get("/alerts", response_model=Alerts, responses=_AWAY)
async def alerts(request: Request) -> Response:
    """Return the alerts that have not ended and the newest of all, at most 100 each, newest first."""
    return answer(await runtime_of(request).ledger.read(_read))


@router.post("/alerts/{alert_id}/acknowledge", response_model=AcknowledgedAlert, responses=_ERRORS, openapi_extra=_BODY)
async def acknowledge_alert(request: Request, alert_id: str) -> Response:
    """Write down that somebody takes care of an alert.

    The first to do so counts: a second call answers the same. One that was resolved by then says so, and nothing is
    written. What fires goes on until its figure is well again.
    """
    runtime = runtime_of(request)
    given = parse(ACKNOWLEDGEMENT, await read_body(request, runtime.settings.max_body_bytes))
    number = int(alert_id) if alert_id.isascii() and alert_id.isdigit() and len(alert_id) < 20 else 0
    key = request.scope.get(KEY_NAME)
    found = None
    if 0 < number <= NUMBER_MAX:
        found = await runtime.ledger.acknowledge(
            number, actor=given.actor or key or "api", reason=given.reason, key=key
        )
    if found is None:
        raise HttpError(404, "unknown_alert", f"No alert {alert_id[:20]!r} is known.")
    return answer({"result": found["state"], "alert": found})


def _read(conn: Connection) -> dict[str, Any]:
    return {
        "open": list_incidents(conn, only_open=True, limit=SHOWN),
        "newest": list_incidents(conn, limit=SHOWN),
    }
