"""Evaluate: the candidates side by side, and which of them goes on."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sentinel_core.flows import Progress, silent
from sentinel_core.flows.runs import run_url, step_of
from sentinel_core.flows.train import read_facts
from sentinel_core.registry.tracking import log_files
from sentinel_core.settings import Settings

CHOSEN_BY: Final = ("calibrate", "pr_auc")
"""The candidate with the highest PR-AUC on the calibration part wins; the test part only reports."""
METRICS: Final = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc")


def compare(
    settings: Settings, candidates: Sequence[Mapping[str, Any]], *, progress: Progress = silent
) -> dict[str, Any]:
    """Compare what `train_candidate` returned; return {"run", "best", "table", "mlflow_url"}.

    `best` is the reference of the candidate with the highest PR-AUC on the calibration part, which lies before the test
    in time; `table` holds a row a candidate with the six metrics on the test part, also logged as comparison.csv where
    the training is tracked by MLflow.
    """
    run = candidates[0]["run"]
    with step_of(settings, run):
        facts = [read_facts(candidate["folder"]) for candidate in candidates]
        part, metric = CHOSEN_BY
        scores = [fact["metrics"][part][metric]["value"] for fact in facts]
        best = candidates[scores.index(max(scores))]
        table = [_row(candidate, fact) for candidate, fact in zip(candidates, facts, strict=True)]
        for row in table:
            progress(" ".join([row["model"], *(f"{name} {row[name]:.4f}" for name in METRICS)]))
        progress(f"{best['model']} has the highest {metric} on the part {part}")
        if run is not None:
            _log(settings, run, table)
        url = None if run is None else run_url(settings, run)
    return {"run": run, "best": dict(best), "table": table, "mlflow_url": url}


def _row(candidate: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    part, metric = CHOSEN_BY
    return {
        "model": candidate["model"],
        **{name: facts["metrics"]["test"][name]["value"] for name in METRICS},
        f"{metric}_on_{part}": facts["metrics"][part][metric]["value"],
        "seconds": round(sum(facts["seconds"].values()), 1),
        "run_id": candidate["run_id"],
    }


def _log(settings: Settings, run: str, table: Sequence[Mapping[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "comparison.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
        log_files(settings, run, Path(folder))
