"""The whole chain in its short form: `make up` with few rows and one model, a prediction read back, `make down`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel_core.local import orphans
from tests.e2e.asking import predict, stored_prediction
from tests.e2e.stack import NAMES, Checkout, until


@pytest.mark.server
@pytest.mark.timeout(1200)
def test_few_rows_and_one_model_end_with_a_served_prediction(tmp_path: Path) -> None:
    checkout = Checkout.make(tmp_path)
    try:
        arrival = checkout.make_up(10_000, "--models", "random_forest")
        assert set(arrival["started"]) == NAMES
        assert arrival["trained"] is True
        (version,) = checkout.sentinel("models")["versions"]
        assert (version["version"], version["stage"]) == (arrival["model_version"], "Production")
        ordinary, fraudulent = (answer["response"] for answer in arrival["answers"])
        assert ordinary["fraud_score"] < fraudulent["fraud_score"]
        assert predict(checkout, "short-1")["model_version"] == arrival["model_version"]
        until(lambda: stored_prediction(checkout, "short-1") is not None, 60)
        until(lambda: all(process["healthy"] for process in checkout.processes().values()), 120)
    finally:
        stopped = checkout.sentinel("down")["stopped"]
    assert set(stopped) == NAMES
    assert orphans.find(checkout.settings) == []
