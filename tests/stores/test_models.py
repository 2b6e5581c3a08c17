from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from sentinel_core.stores.audit import list_acts, record_act
from sentinel_core.stores.model_metrics import ModelMetrics, latest_metrics, record_metrics
from sentinel_core.stores.promotions import Promotion, list_promotions, previous_production, record_promotion
from tests.stores.makers import DAY, NOW


def move(version: str, to_stage: str, days: int, action: str = "promote", name: str = "fraud_detector") -> Promotion:
    return Promotion(
        model_name=name,
        model_version=version,
        registry_version=version[1:],
        action=action,  # type: ignore[arg-type]
        to_stage=to_stage,  # type: ignore[arg-type]
        actor="dag",
        reason="passed the gate",
        created_at=NOW + days * DAY,
        verdict={"roc_auc": {"floor": 0.9, "value": 0.95, "passed": True}},
    )


def test_the_log_of_moves_says_where_a_rollback_goes(engine: Engine) -> None:
    with engine.begin() as conn:
        assert previous_production(conn, "fraud_detector", "v1", among=("v1",)) is None
        for day, (version, stage) in enumerate(
            [("v1", "Staging"), ("v1", "Production"), ("v2", "Staging"), ("v1", "Archived"), ("v2", "Production")]
        ):
            record_promotion(conn, move(version, stage, day))
        record_promotion(conn, move("v9", "Production", 9, name="another"))
        moves = list_promotions(conn, "fraud_detector")
        both = ("v1", "v2")
        assert previous_production(conn, "fraud_detector", "v2", among=both) == "v1"
        assert previous_production(conn, "fraud_detector", "v1", among=both) == "v2"
        assert previous_production(conn, "fraud_detector", "v2", among=("v2",)) is None
        record_promotion(conn, move("v1", "Production", 5, action="rollback"))
        # v2 was rolled back from: nobody wants it back.
        assert previous_production(conn, "fraud_detector", "v1", among=both) is None
    assert [(one["model_version"], one["to_stage"]) for one in moves[:2]] == [("v2", "Production"), ("v1", "Archived")]
    assert moves[0]["verdict"]["roc_auc"]["passed"] is True
    assert moves[0]["created_at"] == NOW + 4 * DAY
    assert len(moves) == 5


def test_a_move_to_a_stage_that_does_not_exist_is_refused(engine: Engine) -> None:
    with pytest.raises(IntegrityError, match="ck_promotions_to_stage_known"), engine.begin() as conn:
        record_promotion(conn, move("v1", "Heaven", 0))


def test_the_newest_metrics_of_each_split_count(engine: Engine) -> None:
    with engine.begin() as conn:
        for day, value in enumerate((0.8, 0.9)):
            record_metrics(conn, ModelMetrics("v1", "random_forest", "test", 1000, NOW + day * DAY, pr_auc=value))
        record_metrics(conn, ModelMetrics("v1", "random_forest", "train", 9000, NOW, details={"threshold": 0.5}))
        found = latest_metrics(conn, "v1")
        assert latest_metrics(conn, "v2") == {}
    assert {split: row["pr_auc"] for split, row in found.items()} == {"test": 0.9, "train": None}
    assert found["train"]["details"] == {"threshold": 0.5}
    assert found["test"]["sample_size"] == 1000


def test_acts_are_kept_with_actor_and_reason(engine: Engine) -> None:
    with engine.begin() as conn:
        for subject in ("v1", "v2"):
            record_act(conn, actor="ada", action="rollback", subject=subject, reason="too many alerts", at=NOW)
        newest, oldest = list_acts(conn)
        (only,) = list_acts(conn, subject="v1")
    assert (newest["subject"], oldest["subject"], only["subject"]) == ("v2", "v1", "v1")
    assert (only["actor"], only["reason"], only["details"], only["created_at"]) == ("ada", "too many alerts", {}, NOW)
