"""Plots have something on them also for the odd cases, as PNG and as SVG."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentinel_core.evaluation.curves import histogram, precision_recall, reliability, roc
from sentinel_core.evaluation.metrics import confusion
from sentinel_core.reports.plots import (
    Mark,
    Series,
    confusion_plot,
    heaviest,
    histogram_plot,
    importance_plot,
    levels_plot,
    over_time_plot,
    precision_recall_plot,
    reliability_plot,
    roc_plot,
    save_png,
    to_svg,
)

RNG = np.random.default_rng(0)
FRAUD = RNG.random(500) < 0.1
SCORE = np.clip(FRAUD * 0.4 + RNG.random(500) * 0.6, 0, 1)
WEEK = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]
PLOTS: dict[str, Callable[[], Any]] = {
    "importance": lambda: importance_plot({f"feature {i}": 1 / (i + 1) for i in range(60)}, "importance"),
    "one feature of no weight": lambda: importance_plot({"only": 0.0}, "one feature of no weight"),
    "names that look like formulas": lambda: importance_plot({"shop=$5 \\foo$": 0.5, "shop=美_€<b>": 0.5}, "names"),
    "precision and recall": lambda: precision_recall_plot(precision_recall(FRAUD, SCORE), 0.1, "p", chosen=(0.5, 0.7)),
    "roc": lambda: roc_plot(roc(FRAUD, SCORE), "ROC", chosen=(0.1, 0.5)),
    "reliability": lambda: reliability_plot(reliability(FRAUD, SCORE), "reliability"),
    "scores": lambda: histogram_plot(histogram(FRAUD, SCORE), "scores", threshold=0.4),
    "scores of no fraud": lambda: histogram_plot(histogram(np.zeros(500), np.zeros(500)), "scores"),
    "confusion": lambda: confusion_plot(confusion(FRAUD, SCORE > 0.5), "confusion"),
    "over time": lambda: over_time_plot(
        [
            Series("v1", WEEK, [0.9, 0.8, 0.85], [(0.8, 0.95), None, (0.7, 0.9)]),
            Series("v2_$x", WEEK[:1], [0.5], [None]),
            Series("v1", WEEK, [0.9, 0.8, 0.85], [None] * 3, estimated=True),
        ],
        "over time",
        marks=[Mark(WEEK[1], "the world $changes"), Mark(datetime(2026, 3, 1, 12, tzinfo=UTC), "v2")],
    ),
    "levels": lambda: levels_plot(
        [datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in range(5)],
        [0, 1, 2, 2, 0],
        ("no", "perhaps", "yes"),
        "levels",
    ),
    "no level": lambda: levels_plot([], [], ("no", "yes"), "no level", marks=[Mark(WEEK[0], "x")]),
    "over no time": lambda: over_time_plot([Series("v1", [], [], [])], "over no time"),
    "nothing flagged": lambda: confusion_plot(confusion(FRAUD, np.zeros(500, dtype=bool)), "nothing flagged"),
}


@pytest.fixture(params=PLOTS)
def draw(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Each plot in turn."""
    return PLOTS[request.param]


def test_a_plot_is_a_png_that_is_not_blank(tmp_path: Path, draw: Callable[[], Any]) -> None:
    from matplotlib.image import imread

    save_png(draw(), tmp_path / "plot.png")
    pixels = imread(tmp_path / "plot.png")
    assert pixels.shape[0] > 200
    assert pixels.shape[1] > 400
    assert pixels[..., :3].std() > 0.01


def test_a_plot_drawn_twice_is_the_same_svg(draw: Callable[[], Any]) -> None:
    first, second = to_svg(draw()), to_svg(draw())
    assert first == second
    assert "<svg" in first
    assert "<script" not in first


def test_names_of_the_data_are_drawn_as_they_are_and_are_no_markup() -> None:
    svg = to_svg(PLOTS["names that look like formulas"]())
    assert "shop=$5 \\foo$" in svg
    assert "shop=美_€&lt;b&gt;" in svg


def test_the_heaviest_inputs_come_first_and_equal_ones_by_name() -> None:
    weights = {f"i{n:02}": 0.0 for n in range(40)} | {"b": 0.3, "a": 0.3, "c": 0.4}
    assert [name for name, _ in heaviest(weights)[:4]] == ["c", "a", "b", "i00"]
    assert len(heaviest(weights)) == 25
