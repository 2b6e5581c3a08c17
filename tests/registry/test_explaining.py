"""What a bundle carries is enough to explain its scores, and to the last of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentinel_core.errors import BundleError
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.explaining import open_explainer
from sentinel_core.training.onnx_model import raw_scores
from tests.registry.bundles import CATEGORIES, tiny_bundle, vectors

WEIGHTS = {"amount_log": 0.8, "merchant_category=travel": 1.5, "card_type is null": -0.3}


def test_the_reasons_of_a_bundle_add_up_to_its_own_raw_scores(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "bundle", weights=WEIGHTS, explained=True)
    bundle = load_bundle(tmp_path / "bundle")
    explainer, values = open_explainer(bundle), vectors()
    for row, raw in enumerate(raw_scores(bundle.session, bundle.encoder.transform(values, CATEGORIES))):
        found = explainer.explain(values[row], {name: texts[row] for name, texts in CATEGORIES.items()})
        assert found.probability == pytest.approx(float(raw), abs=1e-5)
        assert {reason.feature for reason in found.top()} == {"amount_log", "merchant_category", "card_type"}


def test_a_linear_model_is_compared_with_the_mean_of_the_hold_out_rows(tmp_path: Path) -> None:
    """Contributions over those rows cancel out: on average there is nothing to explain."""
    tiny_bundle(tmp_path / "bundle", weights=WEIGHTS, explained=True)
    explainer, values = open_explainer(load_bundle(tmp_path / "bundle")), vectors()
    rows = [
        explainer.explain(values[row], {name: texts[row] for name, texts in CATEGORIES.items()})
        for row in range(len(values))
    ]
    total = np.sum([[reason.contribution for reason in one.reasons] for one in rows], axis=0)
    np.testing.assert_allclose(total, 0.0, atol=1e-5)


def test_a_bundle_whose_estimator_cannot_be_read_says_so_with_its_place(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "broken")
    expected = r"expected an estimator and hold-out rows in .*broken, got BadZipFile: .* its scores stand"
    with pytest.raises(BundleError, match=expected):
        open_explainer(load_bundle(tmp_path / "broken"))
