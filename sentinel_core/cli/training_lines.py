"""The last lines of `sentinel train`: what came out of it, a fact a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_TEST_METRICS = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1 score",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
}


def training_lines(outcome: Mapping[str, Any]) -> list[str]:
    """Return the last lines of a training: the model, its metrics on the test part, time, files, version and stage."""
    test, paths = outcome["metrics"]["test"], outcome["paths"]
    facts = [("Model", outcome["model"])]
    facts += [(label, "-" if test[name] is None else f"{test[name]:.4f}") for name, label in _TEST_METRICS.items()]
    facts.append(("Training time", f"{sum(outcome['seconds'].values()):.1f} s"))
    facts += [("Artifacts", paths["output_dir"])] if paths else []
    if outcome["version"] is None:
        return [*_aligned(facts), "Not registered: trained without MLflow."]
    return _aligned(
        [*facts, ("MLflow", outcome["mlflow_url"]), ("Version", outcome["version"]), ("Stage", outcome["stage"])]
    )


def _aligned(facts: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{name + ':':<15} {value}" for name, value in facts]
