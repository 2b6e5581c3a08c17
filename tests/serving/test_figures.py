"""The figures of /api/v1/monitoring/metrics: what is not known is null, and the shares are those of the matrix."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from sentinel_core.stores.monitoring import Labelled
from serving.figures import describe, quality, read_figures

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_system_without_traffic_has_no_rates(engine: Engine) -> None:
    with engine.connect() as conn:
        found = describe(*read_figures(conn, NOW))
    assert (found["total_predictions"], found["predictions"]) == (0, 0)
    for name in ("fraud_rate", "mean_fraud_score", "newest_prediction"):
        assert found[name] is None
    assert found["latency_ms"] == {"p50": None, "p95": None, "p99": None, "sampled": 0}
    assert found["labelled"]["sample_size"] == 0
    assert found["labelled"]["f1_score"] is None


@pytest.mark.parametrize(
    ("matrix", "precision", "recall", "f1"),
    [
        ((8, 2, 4, 86), 8 / 10, 8 / 12, 16 / 22),
        ((0, 5, 0, 95), 0.0, None, 0.0),
        ((0, 0, 5, 95), None, 0.0, 0.0),
        ((0, 0, 0, 100), None, None, None),
    ],
)
def test_precision_recall_and_f1(
    matrix: tuple[int, int, int, int], precision: float | None, recall: float | None, f1: float | None
) -> None:
    found = quality(Labelled(*matrix))
    assert (found["precision"], found["recall"], found["f1_score"]) == (precision, recall, f1)
    assert found["sample_size"] == sum(matrix)
