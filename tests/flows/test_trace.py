from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine

from sentinel_core.errors import DataError
from sentinel_core.flows.trace import trace
from sentinel_core.schema import Label
from sentinel_core.settings import Settings
from sentinel_core.stores.feature_sets import add_feature_set
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.model_metrics import ModelMetrics, record_metrics
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
        record_metrics(conn, ModelMetrics(version, settings.model_name, "test", 10, NOW, details=ORIGIN))
    whole = trace(settings, "a")
    assert whole["features"] == {"first": float(np.float32(0.1)), "second": 2.0}
    assert whole["model"] == {"version": version, **ORIGIN}
    assert [label["is_fraud"] for label in whole["labels"]] == [True]
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
