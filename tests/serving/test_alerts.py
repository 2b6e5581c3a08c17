"""Alerts over HTTP, from a running service: listed, acknowledged once, and every refusal in the common form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sentinel_core.stores.alerts import CHECK, Alert, record_alert
from tests.serving.conftest import Service
from tests.serving.test_http import error

PATH = "/api/v1/alerts"


def add_alert(service: Service, state: Any = "firing", **details: Any) -> int:
    alert = Alert(
        rule="latency",
        severity="medium",
        state=state,
        metric="latency_p99_ms",
        actor=CHECK,
        reason="slow",
        created_at=datetime.now(UTC),
        value=120.0,
        threshold=100.0,
        details=details,
    )
    with service.engine.begin() as conn:
        return record_alert(conn, alert)


def shown(service: Service, which: str) -> dict[int, dict[str, Any]]:
    return {one["id"]: one for one in service.http.get(PATH).json()[which]}


def test_an_alert_is_listed_acknowledged_once_and_gone_when_it_ended(service: Service) -> None:
    number = add_alert(service, what_to_do="look")
    listed = shown(service, "open")[number]
    assert (listed["state"], listed["severity"], listed["value"], listed["details"]) == (
        *("firing", "medium", 120.0),
        {"what_to_do": "look"},
    )
    first = service.http.post(f"{PATH}/{number}/acknowledge", json={"reason": "on it", "actor": "ann"})
    assert first.status_code == 200
    assert first.json()["result"] == "acknowledged"
    assert (first.json()["alert"]["acknowledged_by"], first.json()["alert"]["open"]) == ("ann", True)
    second = service.http.post(f"{PATH}/{number}/acknowledge", json={"reason": "me too"})
    assert second.content == first.content
    add_alert(service, "resolved", alert_id=number)
    assert number not in shown(service, "open")
    assert shown(service, "newest")[number]["state"] == "resolved"


def test_one_that_ended_says_so(service: Service) -> None:
    number = add_alert(service)
    add_alert(service, "resolved", alert_id=number)
    found = service.http.post(f"{PATH}/{number}/acknowledge", json={"reason": "late"}).json()
    assert (found["result"], found["alert"]["acknowledged_by"]) == ("resolved", None)


@pytest.mark.parametrize("number", ["0", "-1", "999999999", "9223372036854775807", "9" * 19, "1" * 40, "x", "٣", "1.0"])
def test_what_is_no_alert_is_404(service: Service, number: str) -> None:
    error(service.http.post(f"{PATH}/{number}/acknowledge", json={"reason": "what?"}), 404, "unknown_alert")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"reason": "fine", "actor": "a\x00"}, "actor"),
        ({"reason": "fine", "by": "ann"}, "by"),
    ],
)
def test_an_acknowledgement_says_why(service: Service, body: dict[str, Any], field: str) -> None:
    (detail,) = error(service.http.post(f"{PATH}/1/acknowledge", json=body), 422, "validation_error")
    assert detail["field"] == field
