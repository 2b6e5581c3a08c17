"""The public benchmark by the book's own protocol, beside what the book and others published on it.

Settings are those of examples/handbook-models.toml, chosen on earlier weeks. The file is named by SENTINEL_HANDBOOK.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sentinel_core.cli.backtest import read_settings
from sentinel_core.flows.backtest import Plan
from sentinel_core.flows.backtest import run as run_backtest
from sentinel_core.flows.ingest import Request
from sentinel_core.flows.pipeline import MODELS
from sentinel_core.settings import load_settings
from tests.datasets.test_handbook import FILE, ROOT

WEEK: Final = timedelta(days=7)
TRAIN: Final = datetime(2018, 7, 25, tzinfo=UTC)
FIGURES: Final = ("roc_auc", "pr_auc", "card_precision_100")
PUBLISHED: Final = {
    "single split": {
        "logistic regression": (0.871, 0.606, 0.291),
        "random forest": (0.867, 0.658, 0.287),
        "XGBoost": (0.862, 0.639, 0.273),
    },
    "prequential": {
        "random forest, selected": (0.870, 0.678, 0.299),
        "XGBoost, selected": (0.869, 0.687, 0.303),
        "XGBoost, its best setting on the test": (0.871, 0.694, 0.304),
        "balanced bagging": (0.879, 0.680, 0.305),
        "LSTM": (0.876, 0.665, 0.297),
    },
}
"""ROC-AUC, average precision and card precision@100, of Le Borgne et al., chapters 3 to 7."""


def run() -> dict[str, Any]:
    """Return both protocols: ours with intervals over users and seconds, and what was published."""
    if not FILE.is_file():
        return {"skipped": f"there is no file {FILE.name}: name it by SENTINEL_HANDBOOK"}
    chosen = read_settings(ROOT / "examples" / "handbook-models.toml")
    with tempfile.TemporaryDirectory() as home:
        return {
            "by default settings": _run(home, {name: {} for name in MODELS}, folds=1, blend=()),
            **{
                protocol: {
                    "published": {name: dict(zip(FIGURES, values, strict=True)) for name, values in published.items()},
                    "ours": _run(home, chosen, folds=folds, blend=("random_forest", "gradient_boosting")),
                }
                for (protocol, published), folds in zip(PUBLISHED.items(), (1, 4), strict=True)
            },
        }


def _run(home: str, models: dict[str, Any], *, folds: int, blend: tuple[str, ...]) -> dict[str, Any]:
    plan = Plan(
        (TRAIN, TRAIN + WEEK),
        (TRAIN + 2 * WEEK, TRAIN + 3 * WEEK),
        models,
        label_delay=WEEK,
        folds=folds,
        step=WEEK,
        blend=blend,
        exclude_known_cards=True,
    )
    # A home of its own for each: the features are part of what is timed.
    with tempfile.TemporaryDirectory(dir=home) as own:
        settings = load_settings(None, home=Path(own))
        request = Request("file", file=str(FILE), column_map=str(ROOT / "examples" / "handbook.toml"))
        found = run_backtest(settings, request, plan, now=datetime(2026, 6, 1, tzinfo=UTC)).document
    return {
        "models": {
            name: {
                **{figure: model["metrics"][figure] for figure in FIGURES},
                "by_period": [round(part["metrics"]["pr_auc"], 4) for part in model["by_period"]],
                "seconds": model["seconds"],
            }
            for name, model in found["models"].items()
        },
        "periods": [(period["train_rows"], period["test_rows"], period["test_frauds"]) for period in found["periods"]],
        "seconds": found["seconds"],
    }
