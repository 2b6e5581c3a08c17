"""Validate: Great Expectations judges a snapshot; a failing suite stops whatever comes after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.datasets.validation import REPORT, ValidationReport, validate
from sentinel_core.flows import Progress, silent
from sentinel_core.settings import Settings

PROJECT: Final = Path(__file__).parents[2] / "great_expectations"
"""The GX project of the checkout; runs only read it."""


def validate_snapshot(settings: Settings, snapshot: str, *, progress: Progress = silent) -> dict[str, Any]:
    """Check a snapshot by the suite; return {"snapshot", "rows", "evaluated", "left_out", "docs"}.

    Report, data docs and rejected rows are written under SENTINEL_HOME/validation/<snapshot>. Raises `ValidationError`
    that names each failing expectation with rows and examples.
    """
    report = judge(settings, snapshot, progress=progress)
    return {
        "snapshot": snapshot,
        "rows": report.rows,
        "evaluated": report.evaluated,
        "left_out": report.left_out,
        "docs": str(report.docs),
    }


def judge(settings: Settings, snapshot: str, *, progress: Progress = silent) -> ValidationReport:
    """Check a snapshot by the suite and return the whole report; raises as `validate_snapshot` does."""
    progress("validating with Great Expectations")
    taken = load_snapshot(settings.home, snapshot)
    cleaning = taken.manifest["cleaning"]
    return validate(
        taken.frame(),
        project_dir=PROJECT,
        out_dir=validation_dir(settings, snapshot),
        parameters={"currencies": [settings.currency]},
        removed_share=1.0 - cleaning["rows_out"] / cleaning["rows_in"],
    )


def validation_dir(settings: Settings, snapshot: str) -> Path:
    """The folder of a snapshot's validation: report.json, rejected.parquet, gx/ with the data docs."""
    return settings.home / "validation" / snapshot


def is_valid(settings: Settings, snapshot: str) -> bool:
    """Whether the suite was run on a snapshot and passed."""
    try:
        report = json.loads((validation_dir(settings, snapshot) / REPORT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return bool(report["success"])
