"""The report of a model once more, when more is known: its version's name and the gate's verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentinel_core.flows.bundling import PAGE
from sentinel_core.flows.card import model_report
from sentinel_core.flows.findings import Findings
from sentinel_core.flows.train import BUNDLE, REPORT
from sentinel_core.registry.files import read_manifest
from sentinel_core.registry.tracking import log_file
from sentinel_core.reports.page import to_html
from sentinel_core.settings import Settings


def write_model_report(
    settings: Settings, run_id: str, *, version: str = "", verdict: Mapping[str, Any] | None = None
) -> Path:
    """Write report.html of a candidate anew, log it with its run, and return its path.

    `verdict` is `Verdict.to_dict()`; without one the page has no section on the gate. The page is for people alone: it
    is no part of the bundle and of its hash. Raises `BundleError` where the candidate was removed or is of another
    release.
    """
    folder = settings.home / "candidates" / run_id
    manifest = read_manifest(folder / BUNDLE)
    manifest = manifest.model_copy(update={"run_id": run_id, "model_version": version})
    page = folder / REPORT / PAGE
    made = page.with_name(f".{PAGE}")
    made.write_text(to_html(model_report(manifest, Findings.read(folder / REPORT), verdict)), encoding="utf-8")
    # Somebody may be reading it.
    made.rename(page)
    log_file(settings, run_id, page)
    return page
