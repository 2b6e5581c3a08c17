"""Plots are PNG files with something on them, also for the odd cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentinel_core.evaluation.curves import precision_recall, reliability, roc
from sentinel_core.evaluation.metrics import confusion
from sentinel_core.reports.plots import (
    plot_confusion,
    plot_importance,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
)

RNG = np.random.default_rng(0)
FRAUD = RNG.random(500) < 0.1
SCORE = np.clip(FRAUD * 0.4 + RNG.random(500) * 0.6, 0, 1)


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: plot_importance(path, {f"feature {i}": 1 / (i + 1) for i in range(60)}, "importance"),
        lambda path: plot_importance(path, {"only": 0.0}, "one feature of no weight"),
        lambda path: plot_precision_recall(path, precision_recall(FRAUD, SCORE), 0.1, "precision and recall"),
        lambda path: plot_roc(path, roc(FRAUD, SCORE), "ROC"),
        lambda path: plot_reliability(path, reliability(FRAUD, SCORE), "reliability"),
        lambda path: plot_confusion(path, confusion(FRAUD, SCORE > 0.5), "confusion"),
        lambda path: plot_confusion(path, confusion(FRAUD, np.zeros(500, dtype=bool)), "nothing flagged"),
    ],
)
def test_a_plot_is_a_png_that_is_not_blank(tmp_path: Path, draw) -> None:
    from matplotlib.image import imread

    draw(tmp_path / "plot.png")
    pixels = imread(tmp_path / "plot.png")
    assert pixels.shape[0] > 200
    assert pixels.shape[1] > 400
    assert pixels[..., :3].std() > 0.01
