"""Incidents: opened by a row, acknowledged and ended by rows that name it; nothing is ever changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from sentinel_core.stores.alerts import (
    CHECK,
    NUMBER_MAX,
    Alert,
    acknowledge,
    get_incident,
    list_alerts,
    list_incidents,
    record_alert,
)
from sentinel_core.stores.notifications import record_notification, waiting_alerts
from sentinel_core.stores.postgres import connected
from tests.stores.makers import NOW

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def add(engine: Engine, rule: str = "latency", state: Any = "firing", *, at: Any = NOW, **fields: Any) -> int:
    told = {"severity": "high", "metric": "latency_p99_ms", "actor": CHECK, "reason": "slow"}
    with connected(engine) as conn:
        return record_alert(conn, Alert(rule=rule, state=state, created_at=at, **(told | fields)))


def take_note(engine: Engine, number: int, actor: str = "ann", **fields: Any) -> dict[str, Any] | None:
    with connected(engine) as conn:
        return acknowledge(conn, number, actor=actor, reason="on it", now=NOW + HOUR, **fields)


def open_numbers(engine: Engine) -> list[int]:
    with connected(engine) as conn:
        return [one["id"] for one in list_incidents(conn, only_open=True)]


def test_an_incident_is_open_until_it_is_resolved_acknowledged_or_not(engine: Engine) -> None:
    first = add(engine)
    assert open_numbers(engine) == [first]
    noted = take_note(engine, first)
    assert noted is not None
    assert (noted["state"], noted["acknowledged_by"], noted["acknowledged_because"]) == ("acknowledged", "ann", "on it")
    assert noted["acknowledged_at"] == NOW + HOUR
    assert open_numbers(engine) == [first]
    add(engine, state="resolved", at=NOW + 2 * HOUR, details={"alert_id": first})
    second = add(engine, at=NOW + 3 * HOUR)
    assert open_numbers(engine) == [second]
    with connected(engine) as conn:
        states = [(one["id"], one["state"], one["resolved_at"]) for one in list_incidents(conn)]
    assert states == [(second, "firing", None), (first, "resolved", NOW + 2 * HOUR)]


def test_the_first_to_acknowledge_counts_and_a_second_gets_the_same(engine: Engine) -> None:
    number = add(engine)
    first = take_note(engine, number, "ann", details={"key": "shop"})
    assert take_note(engine, number, "bob") == first
    with connected(engine) as conn:
        rows = [row for row in list_alerts(conn) if row["state"] == "acknowledged"]
    assert [(row["actor"], row["details"]) for row in rows] == [("ann", {"key": "shop", "alert_id": number})]


def test_many_at_once_are_one(engine: Engine) -> None:
    number = add(engine)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: take_note(engine, number, f"person {n}"), range(8)))
    assert all(one == found[0] for one in found)
    with connected(engine) as conn:
        assert len(list_alerts(conn)) == 2


def test_a_resolved_one_says_so_and_nothing_is_written(engine: Engine) -> None:
    number = add(engine)
    end = add(engine, state="resolved", at=NOW + HOUR, details={"alert_id": number})
    for given in (number, end):
        found = take_note(engine, given)
        assert found is not None
        assert (found["id"], found["state"], found["acknowledged_by"]) == (number, "resolved", None)
    with connected(engine) as conn:
        assert len(list_alerts(conn)) == 2


def test_what_others_recorded_ends_when_it_is_acknowledged(engine: Engine) -> None:
    one, other = (add(engine, "champion_and_challenger_below_floors", actor="fraud_training") for _ in range(2))
    assert open_numbers(engine) == [other, one]
    take_note(engine, one)
    assert open_numbers(engine) == [other]


def test_a_number_that_is_none_has_no_incident(engine: Engine) -> None:
    for number in (0, -1, 12345, NUMBER_MAX, NUMBER_MAX + 1):
        assert take_note(engine, number) is None
    with connected(engine) as conn:
        assert get_incident(conn, 12345) is None


def waiting(engine: Engine, *channels: str, limit: int = 10) -> list[tuple[int, str]]:
    with connected(engine) as conn:
        found = waiting_alerts(conn, channels, now=NOW, reach=DAY, limit=limit)
    return [(row["id"], row["channel"]) for row in found]


def test_a_message_waits_until_its_channel_took_it(engine: Engine) -> None:
    add(engine, at=NOW - DAY)  # beyond reach
    add(engine, at=NOW + HOUR)  # not yet
    begun, ended = add(engine, at=NOW - HOUR), add(engine, state="resolved", at=NOW)
    add(engine, state="acknowledged", at=NOW)
    assert waiting(engine, "a-1", "b-2") == [(begun, "a-1"), (begun, "b-2"), (ended, "a-1"), (ended, "b-2")]
    assert waiting(engine, "a-1", "b-2", limit=1) == [(begun, "a-1"), (begun, "b-2")]
    with connected(engine) as conn:
        for channel, sent in (("a-1", False), ("a-1", True), ("b-2", False)):
            record_notification(conn, alert_id=begun, channel=channel, sent=sent, attempts=1, reason="said", at=NOW)
    assert waiting(engine, "a-1", "b-2") == [(begun, "b-2"), (ended, "a-1"), (ended, "b-2")]
    assert waiting(engine) == []
