from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from sentinel_core.schema import OutcomeReport
from sentinel_core.stores.history_load import load_transactions
from sentinel_core.stores.outcomes import outcomes_of, record_outcomes
from sentinel_core.stores.reading import read_training_rows
from sentinel_core.stores.recording import write_batch
from tests.stores.makers import DAY, NOW, accepted_event, answered_event


def report(name: str = "a", outcome: Any = "declined", days: float | None = 1, **fields: Any) -> OutcomeReport:
    at = None if days is None else NOW + timedelta(days=days)
    return OutcomeReport(transaction_id=name, outcome=outcome, decided_at=at, **fields)


def record(engine: Engine, *reports: OutcomeReport, later: timedelta = DAY) -> list[str]:
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("a", 1), accepted_event("b", 2)], now=NOW)
        return [result.status for result in record_outcomes(conn, reports, now=NOW + later)]


def known(engine: Engine, **times: Any) -> dict[str, tuple[Any, Any]]:
    """The outcome and propensity of each transaction."""
    with engine.connect() as conn:
        chunks = list(read_training_rows(conn, **{"as_of": NOW + 100 * DAY, **times}))
    return {
        key: (outcome, None if np.isnan(propensity) else float(propensity))
        for chunk in chunks
        for key, outcome, propensity in zip(chunk["transaction_id"], chunk["outcome"], chunk["propensity"], strict=True)
    }


def test_each_outcome_has_its_own_result_and_comes_once(engine: Engine) -> None:
    given = [report("b"), report("nobody"), report("a", "explored", propensity=0.1)]
    assert record(engine, *given) == ["recorded", "unknown_transaction", "recorded"]
    assert record(engine, *given) == ["known", "unknown_transaction", "known"]
    assert record(engine) == []
    assert known(engine) == {"a": ("explored", 0.1), "b": ("declined", None)}


def test_one_without_a_time_holds_from_now_and_once(engine: Engine) -> None:
    explored = report(outcome="explored", days=None, propensity=0.1)
    assert record(engine, explored) == ["recorded"]
    assert record(engine, explored, later=2 * DAY) == ["known"]
    assert record(engine, report(outcome="declined", days=None), later=3 * DAY) == ["recorded"]
    assert record(engine, explored, later=4 * DAY) == ["recorded"]
    with engine.connect() as conn:
        told = outcomes_of(conn, "a")
    assert [(one["outcome"], one["decided_at"]) for one in told] == [
        ("explored", NOW + 4 * DAY),
        ("declined", NOW + 3 * DAY),
        ("explored", NOW + DAY),
    ]
    assert [one["created_at"] for one in told] == [one["decided_at"] for one in told]


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "explored"},
        {"outcome": "explored", "propensity": 0.0},
        {"outcome": "explored", "propensity": 1.01},
        {"outcome": "explored", "propensity": float("nan")},
        {"outcome": "approved", "propensity": 0.5},
        {"outcome": "lost"},
    ],
    ids=str,
)
def test_a_propensity_comes_with_explored_alone(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"propensity|outcome"):
        report(**fields)


def test_what_was_said_counts_before_the_file_and_the_file_before_our_decision(engine: Engine) -> None:
    columns = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at", "outcome")
    with engine.begin() as conn:
        rows = [(name, "u", 1, "m", NOW, NOW, outcome) for name, outcome in (("file", "challenged"), ("silent", None))]
        load_transactions(conn, columns, rows, now=NOW)
        names = ("flagged", "passed", "told")
        for number, name in enumerate(names):
            answer = {"prediction": name != "passed"}
            events = [accepted_event(name, number), answered_event(name, number, answer=answer)]
            write_batch(conn, events, now=NOW)
        record_outcomes(conn, [report("told", "approved"), report("file", "approved", days=2)], now=NOW)
    expected = {"silent": None, "flagged": "declined", "passed": "approved"}
    assert known(engine) == {key: (outcome, None) for key, outcome in expected.items()} | {
        "file": ("approved", None),
        "told": ("approved", None),
    }
    assert known(engine, as_of=NOW + DAY)["file"] == ("challenged", None)
    assert known(engine, as_of=NOW)["told"] == ("declined", None)


def test_an_answer_given_later_is_not_known_yet(engine: Engine) -> None:
    answered = answered_event("a", answer={"answered_at": (NOW + DAY).isoformat(), "prediction": True})
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("a"), answered], now=NOW)
        (before,) = read_training_rows(conn, as_of=NOW, vectors=True)
        (after,) = read_training_rows(conn, as_of=NOW + DAY, vectors=True)
    assert (before["outcome"][0], before["features"][0], before["prediction"][0]) == (None, None, -1)
    assert np.isnan(before["fraud_score"][0])
    assert np.isnat(before["risk_as_of"][0])
    assert (after["outcome"][0], after["prediction"][0], after["fraud_score"][0]) == ("declined", 1, 0.25)
    assert after["features"][0] is not None


def test_an_explored_payment_that_is_then_approved_stays_explored(engine: Engine) -> None:
    record(engine, report(outcome="explored", days=1, propensity=0.1), report(outcome="approved", days=2))
    assert known(engine)["a"] == ("explored", 0.1)
    record(engine, report(outcome="declined", days=3))
    assert known(engine)["a"] == ("declined", None)


def test_what_was_recorded_later_was_not_known_then(engine: Engine) -> None:
    record(engine, report(outcome="approved", days=1), later=DAY)
    record(engine, report(outcome="declined", days=2), later=10 * DAY)
    assert known(engine)["a"] == ("declined", None)
    assert known(engine, recorded_by=NOW + 9 * DAY)["a"] == ("approved", None)
    assert known(engine, recorded_by=NOW)["a"] == (None, None)
    assert known(engine, recorded_by=NOW - DAY) == {}
