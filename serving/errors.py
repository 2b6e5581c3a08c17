"""What goes wrong in a request, as the one form that every route answers: {"error": code, "detail": …}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sentinel_core.errors import PayloadConflictError, SentinelError, StoreError

TOO_BUSY_RETRY_SECONDS: Final = 1


class NoModelError(SentinelError):
    """No model is in Production yet, and none was kept on disk (HTTP 503)."""


class DeadlineError(SentinelError):
    """A request was not answered in time (HTTP 503); what it recorded is still scored."""


class OverloadedError(SentinelError):
    """More requests came than the service takes on (HTTP 503); nothing of this one was recorded."""


class FutureEventsError(SentinelError):
    """Transactions whose time lies too far ahead (HTTP 422); `places` says where they stand in the request.

    One of them would push its user's history ahead of everything that really happens.
    """

    def __init__(self, places: Sequence[int], latest: datetime) -> None:
        super().__init__(
            f"expected a timestamp of at most {latest.isoformat()}, got a later one.",
            remedy="Check the clock and the zone of the client; SENTINEL_FUTURE_TOLERANCE_SECONDS allows for more.",
        )
        self.places = places
        self.latest = latest

    def details(self, *, indexed: bool) -> list[dict[str, Any]]:
        """Return the error of each field, as every 422 does."""
        message = f"must not lie in the future: at most {self.latest.isoformat()}"
        where: list[dict[str, Any]] = [{"index": place} if indexed else {} for place in self.places]
        return [item | {"field": "timestamp", "message": message} for item in where]


class HttpError(Exception):
    """A request that ends in an error: the status, a code for programs and a detail for people.

    `detail` is a sentence, or for 422 a list of {"field", "message"} (and "index" in a batch).
    """

    def __init__(self, status: int, code: str, detail: Any, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})


_LATER: Final[Mapping[type[SentinelError], str]] = {
    NoModelError: "no_model",
    DeadlineError: "deadline_exceeded",
    OverloadedError: "overloaded",
}
"""Errors that pass, whose text names nothing from inside."""


def to_problem(error: SentinelError) -> HttpError:
    """Translate a typed error to its answer; texts that could name hosts or files stay in the log."""
    if isinstance(error, PayloadConflictError):
        return HttpError(409, "payload_conflict", str(error))
    if isinstance(error, FutureEventsError):
        return HttpError(422, "validation_error", error.details(indexed=False))
    retry = {"Retry-After": str(TOO_BUSY_RETRY_SECONDS)}
    for kind, code in _LATER.items():
        if isinstance(error, kind):
            return HttpError(503, code, str(error), headers=retry)
    if isinstance(error, StoreError):
        detail = (
            "A store that this request needs is away. Send the same request again: a transaction with a "
            "transaction_id or a timestamp is counted once however often it comes."
        )
        return HttpError(503, "store_unavailable", detail, headers=retry)
    return HttpError(500, "internal_error", "The request failed for a reason that is in the service's log.")
