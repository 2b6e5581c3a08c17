"""What the OpenAPI document says beyond what FastAPI sees: bodies, the key, the refusals that every route shares."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from sentinel_core.schema import FULL_EXAMPLE, MINIMAL_EXAMPLE, Label, OutcomeReport, Transaction
from serving.middleware import OPEN
from serving.routes_alerts import Acknowledgement
from serving.routes_predict import BatchRequest
from serving.wire import ErrorBody

_SCHEME: Final = "ApiKey"
_FOREIGN: Final = ("HTTPValidationError", "ValidationError")
_KEY: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "X-API-Key",
    "description": "Needed where other machines reach the service; `sentinel keys create NAME` makes one.",
}
_WAIT: Final = {"Retry-After": {"description": "In how many seconds to come again.", "schema": {"type": "integer"}}}
_REFUSALS: Final[dict[str, dict[str, Any]]] = {
    "401": {"description": "No known API key came with the request."},
    "429": {"description": "More requests came within a minute than this caller may send.", "headers": _WAIT},
    "503": {"description": "More requests came than the service takes on.", "headers": _WAIT},
}


def describe(app: FastAPI) -> None:
    """Complete the OpenAPI document that an application makes of itself."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            parts = document.setdefault("components", {})
            parts["schemas"] = _without_foreign_form({**parts.get("schemas", {}), **_bodies()})
            parts["securitySchemes"] = {_SCHEME: _KEY}
            for path, operations in document["paths"].items():
                if path not in OPEN:
                    for operation in operations.values():
                        _guard(operation)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _bodies() -> dict[str, Any]:
    """Return the schemas of request bodies, which the routes read by themselves."""
    _, schemas = models_json_schema(
        [
            (Transaction, "validation"),
            (Label, "validation"),
            (OutcomeReport, "validation"),
            (BatchRequest, "validation"),
            (Acknowledgement, "validation"),
            (ErrorBody, "serialization"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    found = dict(schemas["$defs"])
    # Not in the model itself: BentoML builds nothing whose schema has `examples`.
    found["Transaction"] = {**found["Transaction"], "examples": [MINIMAL_EXAMPLE, FULL_EXAMPLE]}
    return found


def _without_foreign_form(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: schema for name, schema in schemas.items() if name not in _FOREIGN}


def _guard(operation: dict[str, Any]) -> None:
    operation["security"] = [{_SCHEME: []}]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    # FastAPI's own 422, of its own form: a text in the path is never invalid.
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]
    for status, refusal in _REFUSALS.items():
        own = operation["responses"].get(status, {})
        reasons = [one["description"] for one in (own, refusal) if one]
        operation["responses"][status] = {**refusal, **own, "description": " ".join(reasons), "content": content}
