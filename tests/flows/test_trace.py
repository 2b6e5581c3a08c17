from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text

from sentinel_core.errors import DataError
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.trace import trace, trace_model, trace_snapshot
from sentinel_core.schema import Label, OutcomeReport
from sentinel_core.settings import Settings
from sentinel_core.stores.feature_sets import add_feature_set
from sentinel_core.stores.gate_attempts import GateAttempt, record_attempt
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.model_metrics import ModelMetrics, of_snapshot, record_metrics
from sentinel_core.stores.outcomes import record_outcomes
from sentinel_core.stores.prediction_logs import _NEWEST
from sentinel_core.stores.promotions import Promotion, record_promotion
from sentinel_core.stores.recording import write_batch
from tests.stores.makers import NOW, accepted_event, answered_event

ORIGIN = {
    "algorithm": "random_forest",
    "run_id": "run-1",
    "bundle_hash": "b" * 64,
    "snapshot": "s" * 16,
    "content_hash": "c" * 32,
    "git_commit": "d" * 40,
}


def test_every_link_of_the_chain_is_there(settings: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("a", 1), answered_event("a", 1)], now=NOW)
    bare = trace(settings, "a")
    version = bare["answer"]["model_version"]
    assert bare["features"] is None  # their names are not known yet
    assert bare["model"] == {"version": version, **dict.fromkeys(ORIGIN)}
    assert bare["labels"] == []
    with engine.begin() as conn:
        add_feature_set(conn, "set-1", [{"name": "first", "hash": "0"}, {"name": "second", "hash": "1"}])
        record_labels(conn, [Label(transaction_id="a", is_fraud=True)], now=NOW)
        record_outcomes(conn, [OutcomeReport(transaction_id="a", outcome="explored", propensity=0.1)], now=NOW)
        record_metrics(conn, ModelMetrics(version, settings.model_name, "test", 10, NOW, details=ORIGIN))
    whole = trace(settings, "a")
    assert whole["features"] == {"first": float(np.float32(0.1)), "second": 2.0}
    assert whole["model"] == {"version": version, **ORIGIN}
    assert [label["is_fraud"] for label in whole["labels"]] == [True]
    assert [(one["outcome"], one["propensity"]) for one in whole["outcomes"]] == [("explored", 0.1)]
    assert whole["request"]["transaction_id"] == "a"
    assert whole["request"]["location_city"] == "Köln"
    assert whole["answer"]["fraud_score"] == 0.25


def test_a_transaction_that_was_never_scored_has_no_answer(settings: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("a", 1)], now=NOW)
    found = trace(settings, "a")
    assert (found["answer"], found["features"], found["model"]) == (None, None, None)


def test_an_unknown_id_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(DataError, match=r"the id 'nobody' in PostgreSQL, found none\. Check the id; .* on its way"):
        trace(settings, "nobody")


def test_a_model_leads_back_to_its_answers_moves_and_snapshot(settings: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_batch(conn, [event for n in "abc" for event in (accepted_event(n, 1), answered_event(n, 1))], now=NOW)
    version = trace(settings, "a")["answer"]["model_version"]
    verdict = {"reason": "superior in pr_auc"}
    fields = {"lineage": "", "holdout_start": NOW, "holdout_end": NOW, "label_day": NOW.date(), "created_at": NOW}
    judged = {"number": 1, "error_rate": 0.05, "outcome": "promote", "verdict": verdict}
    with engine.begin() as conn:
        record_metrics(conn, ModelMetrics(version, settings.model_name, "test", 10, NOW, pr_auc=0.7, details=ORIGIN))
        record_attempt(conn, GateAttempt(settings.model_name, version, "v0", **fields, **judged))  # type: ignore[arg-type]
        for stage in ("Staging", "Production"):
            move = Promotion(settings.model_name, version, "1", "promote", stage, "dag", "why", NOW)  # type: ignore[arg-type]
            record_promotion(conn, move)
    found = trace_model(settings, version, limit=2)
    assert found["model"] == {"version": version, **ORIGIN}
    assert (found["gate"]["outcome"], found["gate"]["reason"]) == ("promote", "superior in pr_auc")
    assert [move["to_stage"] for move in found["moves"]] == ["Production", "Staging"]
    assert found["stage"] == "Production"
    assert found["predictions"]["predictions"] == 3
    assert found["predictions"]["first_at"] <= found["predictions"]["last_at"]
    assert len(found["predictions"]["newest"]) == 2
    assert {one["transaction_id"] for one in found["predictions"]["newest"]} <= set("abc")
    assert trace(settings, "a")["gate"]["outcome"] == "promote"
    (model,) = trace_snapshot(settings, ORIGIN["snapshot"])["models"]
    assert (model["version"], model["stage"], model["gate"], model["pr_auc"]) == (version, "Production", "promote", 0.7)


def test_unknown_models_and_snapshots_suggest_the_near_one(settings: Settings, engine: Engine) -> None:
    name = "v20260101_000000"
    with engine.begin() as conn:
        record_metrics(conn, ModelMetrics(name, settings.model_name, "test", 10, NOW, details=ORIGIN))
    with pytest.raises(DataError, match=f"Did you mean '{name}'"):
        trace_model(settings, "v20260101_000001")
    with pytest.raises(DataError, match=f"Did you mean '{ORIGIN['snapshot']}'"):
        trace_snapshot(settings, "sssssssssssssss")
    assert trace_model(settings, name)["predictions"] == {"predictions": 0, "newest": []}


def test_an_id_with_a_slip_suggests_the_one_that_was_meant(settings: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_batch(conn, [accepted_event(n, 1) for n in ("order-1041", "order-1042", "zebra")], now=NOW)
    with pytest.raises(DataError, match=r"found none\. Did you mean 'order-1042'\?"):
        trace(settings, "order-10422")


def test_a_snapshot_is_told_from_disk_even_where_it_fed_nothing(settings: Settings) -> None:
    identity = make_snapshot(settings, Request(rows=500, fraud_rate=0.05, seed=1), now=NOW)
    found = trace_snapshot(settings, identity)
    assert found["models"] == []
    assert found["data"]["rows"] == 500
    assert "seed 1" in found["data"]["source"]


def test_the_newest_answers_are_found_over_the_hours(settings: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        for n, hours in enumerate((0, 1, 5)):
            at = {"answered_at": (NOW + timedelta(hours=hours)).isoformat()}
            events = [accepted_event(f"t{n}", n + 1), answered_event(f"t{n}", n + 1, answer=at)]
            write_batch(conn, events, now=NOW)
    version = trace(settings, "t0")["answer"]["model_version"]
    found = trace_model(settings, version, limit=2)["predictions"]
    assert [one["transaction_id"] for one in found["newest"]] == ["t2", "t1"]
    assert (found["first_at"], found["last_at"]) == (NOW, NOW + timedelta(hours=5))


def test_the_models_of_a_snapshot_are_found_by_its_index(settings: Settings, engine: Engine) -> None:
    query = of_snapshot(settings.model_name, "s1").compile(engine, compile_kwargs={"literal_binds": True})
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(row[0] for row in conn.exec_driver_sql(f"EXPLAIN {query}"))
    assert "ix_model_metrics_snapshot" in plan


def test_what_a_model_answered_is_read_from_one_hour_of_the_log(settings: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_batch(conn, [accepted_event("a", 1), answered_event("a", 1)], now=NOW)
        values = {"version": "v1", "hour": NOW, "limit": 5}
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(row[0] for row in conn.execute(text(f"EXPLAIN {_NEWEST.text}"), values))
    assert "ix_prediction_logs_created_at" in plan
