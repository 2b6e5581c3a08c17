"""The models: which there are, how a version is named, the stages, and the floors of generated data."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sentinel_core.evaluation.judge import JUDGED, Interval
from sentinel_core.registry.promotion import STAGES, unused_name
from sentinel_core.settings import load_settings
from sentinel_core.training.candidates import CANDIDATES
from sentinel_core.training.floors import check_floors, profile_floors

FLOORS = {"roc_auc": 0.90, "precision": 0.80, "recall": 0.85, "f1": 0.82}


def test_three_models_are_trained_with_balanced_classes() -> None:
    assert {"random_forest", "gradient_boosting", "logistic_regression"} <= set(CANDIDATES)
    for candidate in CANDIDATES.values():
        assert candidate.defaults["class_weight"] == "balanced"


def test_a_model_is_judged_by_these_metrics() -> None:
    assert {"accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc"} <= set(JUDGED)


def test_a_version_is_named_after_its_second_and_no_name_is_given_twice() -> None:
    now = datetime(2026, 3, 1, 8, 5, 2, tzinfo=UTC)
    first = unused_name(now, [])
    assert first == "v20260301_080502"
    second = unused_name(now, [first])
    assert second == "v20260301_080503"
    assert all(re.fullmatch(r"v\d{8}_\d{6}", name) for name in (first, second))


def test_the_registry_is_fraud_detector_with_its_stages() -> None:
    assert load_settings(None).model_name == "fraud_detector"
    assert {"Staging", "Production", "Archived"} <= set(STAGES)


def test_the_floors_of_generated_data_must_be_exceeded() -> None:
    floors = profile_floors("synthetic", {})
    assert floors == FLOORS
    at, above = (
        check_floors(floors, {name: Interval(bound + more, 0, 1) for name, bound in FLOORS.items()})
        for more in (0.0, 0.001)
    )
    assert [check.passed for check in at] == [False] * 4
    assert [check.passed for check in above] == [True] * 4


def test_other_data_has_its_own_floors() -> None:
    assert profile_floors("handbook", {"precision": 0.3}) == {"precision": 0.3}
    assert not profile_floors("handbook", {})
