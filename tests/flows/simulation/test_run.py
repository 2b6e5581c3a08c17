"""A few days of simulated operation on real servers: every check runs, nothing is known too early, the loop closes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from sentinel_core.errors import StoreError
from sentinel_core.flows.simulation import operation
from sentinel_core.flows.simulation.plan import Plan
from sentinel_core.flows.simulation.run import simulate
from sentinel_core.settings import Settings

DAYS = 2
PLAN = Plan("sudden", days=DAYS, rows_a_day=1_500, fraud_rate=0.04, change_day=1, models=("logistic_regression",))
pytestmark = pytest.mark.slow


@pytest.fixture
def ours(settings: Settings, mlflow_uri: str) -> Settings:
    return settings.model_copy(
        update={
            "mlflow_tracking_uri_given": mlflow_uri,
            "model_name": settings.redis_namespace,
            "retrain_min_frauds": 20,
        }
    )


def test_days_of_operation_with_every_check_and_nothing_known_too_early(
    ours: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, called = operation.check_drift, []

    def away_once(*given: Any, **named: Any) -> Any:
        called.append(named["now"])
        if len(called) == 5:
            raise StoreError("expected PostgreSQL to answer, it did not.", remedy="Start it.")
        return check(*given, **named)

    monkeypatch.setattr(operation, "check_drift", away_once)
    found = simulate(ours, PLAN)

    # An hour without PostgreSQL is told, and the next one is judged again.
    assert len(called) == DAYS * 24
    assert len(found["verdicts"]) == DAYS * 24 - 1
    (failed,) = [one for one in found["events"] if one["kind"] == "drift failed"]
    assert "expected PostgreSQL to answer" in failed["what"]
    assert found["windows"] == sum(
        found["windows_by_verdict"].get(name, 0) for name in ("drift", "suspected", "no_drift")
    )
    assert found["false_alarms"] == 0
    assert found["drift"]["found_at"] is not None
    assert found["drift"]["hours"] <= 24
    assert "amount" in found["drift"]["rejected"]
    assert found["retrainings"] >= 1
    assert None not in found["pr_auc"]["with_loop"]

    with engine.connect() as conn:
        count = dict(
            conn.execute(
                text(
                    "SELECT 'answers', count(*) FROM prediction_logs UNION ALL"
                    " SELECT 'explored', count(*) FROM outcomes WHERE outcome = 'explored' UNION ALL"
                    " SELECT 'early', count(*) FROM labels AS l JOIN transactions AS t USING (transaction_id)"
                    "  WHERE l.labelled_at <= t.timestamp OR l.created_at < l.labelled_at UNION ALL"
                    # What was declined, and did not go through by chance, nobody complained about.
                    " SELECT 'of declined', count(*) FROM labels AS l JOIN prediction_logs AS p USING (transaction_id)"
                    "  WHERE p.prediction AND NOT EXISTS (SELECT 1 FROM outcomes AS o"
                    "   WHERE o.transaction_id = l.transaction_id AND o.outcome = 'explored') UNION ALL"
                    " SELECT 'live labels', count(*) FROM labels AS l JOIN prediction_logs AS p USING (transaction_id)"
                    " UNION ALL SELECT 'decisions', count(*) FROM retraining_decisions"
                )
            ).all()
        )
    assert count["answers"] == found["transactions"]
    assert count["explored"] == found["explored"]
    assert (count["early"], count["of declined"]) == (0, 0)
    assert count["live labels"] > 0
    assert count["decisions"] == DAYS * 24 + 1
