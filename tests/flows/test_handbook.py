"""The public benchmark as a user's file, all the way to a promoted model under floors of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentinel_core.flows.ingest import Request
from sentinel_core.flows.pipeline import TrainingPipeline
from sentinel_core.registry.rest import production_version
from sentinel_core.settings import Settings
from tests.datasets.test_handbook import FILE, ROOT

NOW = datetime(2026, 6, 1, tzinfo=UTC)
COLUMN_MAP = ROOT / "examples" / "handbook.toml"


@pytest.mark.slow
@pytest.mark.handbook
@pytest.mark.skipif(not FILE.is_file(), reason="the benchmark file is not here: name it by SENTINEL_HANDBOOK")
def test_the_benchmark_ends_as_a_promoted_model(settings: Settings, mlflow_uri: str, tmp_path: Path) -> None:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    with_mlflow = settings.model_copy(update=update)
    request = Request("file", file=str(FILE), column_map=str(COLUMN_MAP))
    pipeline = TrainingPipeline(with_mlflow, clock=lambda: NOW)
    outcome = pipeline.run_on(request, models="gradient_boosting")
    assert outcome["verdict"]["profile"] == "handbook"
    assert {check["name"]: check["bound"] for check in outcome["verdict"]["checks"]} == {
        "roc_auc": 0.84,
        "pr_auc": 0.60,
        "latency_ms": 5.0,
        "data validated": 1.0,
    }
    assert outcome["promoted"] is True
    served = production_version(with_mlflow)
    assert served is not None
    assert served.name == outcome["version"]
    # Nobody gets far above .90 on this data: a model that does has a leak.
    assert outcome["table"][0]["roc_auc"] < 0.92
