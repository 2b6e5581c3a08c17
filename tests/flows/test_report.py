"""A model's report says where the model comes from and what the gate found; the card in the bundle says neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sentinel_core.errors import BundleError
from sentinel_core.evaluation.judge import JUDGED
from sentinel_core.flows.bundling import write_report
from sentinel_core.flows.card import model_document, model_report
from sentinel_core.flows.findings import Bins, Counts, Decisions, Findings, Line, Segment
from sentinel_core.registry.manifest import CostTerms, Figure, Manifest
from sentinel_core.reports.markdown import to_markdown
from sentinel_core.reports.page import to_html
from tests.registry.bundles import tiny_bundle
from tests.reports.pages import Page, outside

FIGURE = Figure(value=0.8, low=0.7, high=0.9)
VERDICT: dict[str, Any] = {
    "outcome": "reject",
    "reason": "not enough: f1",
    "checks": [{"name": "f1", "value": 0.8, "low": 0.7, "high": 0.9, "bound": 0.82, "passed": False}],
}


def findings(**given: Any) -> Findings:
    """Return findings of a small test part; `given` replaces fields."""
    fields: dict[str, Any] = {
        "rows": 5_000,
        "labelled": 4_900,
        "mature": 4_321,
        "fitted_rows": 3_000,
        "importances": {f"input_{n}": 1 / 2 ** (n + 1) for n in range(40)},
        "precision_recall": Line(x=(0.5, 1.0), y=(1.0, 0.1)),
        "roc": Line(x=(0.0, 0.1, 1.0), y=(0.0, 0.9, 1.0)),
        "reliability": Bins(score=(0.01, 0.9), fraud=(0.02, 0.8), rows=(900, 100)),
        "histogram": Counts(edges=(0.0, 0.5, 1.0), legitimate=(880, 20), fraud=(20, 80)),
        "decisions": Decisions(true_positive=80, false_positive=20, false_negative=20, true_negative=880),
        "segments": (
            Segment(name="amount 0 to 10", rows=500, frauds=60, figures=dict.fromkeys(("pr_auc", "recall"), FIGURE)),
            Segment(name="new users", rows=100, frauds=29, figures={}),
            Segment(name="merchant_category <b>shop</b> | new users", rows=100, frauds=29, figures={}),
        ),
        "cross_validation": {"pr_auc": (0.91, 0.01)},
        "costs": CostTerms(loss=1.0, fee=15.0, false_alarm=10.0),
        "alerts_a_day": 100.0,
        "notes": ("Settings: the defaults stay.",),
    }
    return Findings(**(fields | given))


def full_manifest(folder: Path) -> Manifest:
    """Write a bundle that has every figure and return its manifest."""
    metrics = {part: dict.fromkeys(JUDGED, FIGURE) for part in ("calibrate", "test", "test_true")}
    return tiny_bundle(folder, metrics=metrics, created_at="2026-01-20T10:00:00+00:00")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """The manifest of a bundle that has every figure."""
    return full_manifest(tmp_path / "bundle")


def test_the_report_holds_what_a_reader_of_a_model_card_looks_for(manifest: Manifest) -> None:
    known = manifest.model_copy(update={"model_version": "v20260120_100000", "run_id": "f" * 32})
    page = Page(to_html(model_report(known, findings(), VERDICT)))
    titles = [section.title for section in model_report(known, findings(), VERDICT).sections]
    assert titles == [
        *("Summary", "Gate", "Model", "Data", "Figures", "Curves", "Threshold", "Importance of inputs", "Segments"),
        *("Cross-validation (flattering)", "Intended use", "Limits"),
    ]
    for text in (
        *("v20260120_100000", "f" * 32, manifest.bundle_hash, manifest.data.snapshot, manifest.git_commit),
        *("2026-01-20 10:00 UTC", "Settings: the defaults stay.", "when 4,321 had arrived", "33.33%"),
        *(
            "0.8000 [0.7000, 0.9000]",
            "best_f1: the highest F1",
            "its amount × 1 + 15, a false alarm 10",
            "not enough: f1",
            "failed",
        ),
        *("too few frauds", "<b>shop</b> | new users", "Its data is generated"),
    ):
        assert text in page.said, text
    assert len(page.of("img")) == 5
    assert outside(page) == []


def test_without_a_verdict_there_is_no_gate_in_the_report(manifest: Manifest) -> None:
    assert "Gate" not in [section.title for section in model_report(manifest, findings()).sections]


def test_the_card_in_a_bundle_does_not_know_when_and_as_what_it_was_trained(manifest: Manifest) -> None:
    later = manifest.model_copy(
        update={"created_at": "2027-01-01T00:00:00+00:00", "model_version": "v2", "run_id": "r"}
    )
    card = to_markdown(model_document(manifest, findings()))
    assert card == to_markdown(model_document(later, findings()))
    assert manifest.data.snapshot in card
    assert "too few frauds" in card


def test_the_card_says_how_many_vectors_were_logged(manifest: Manifest) -> None:
    said = to_markdown(model_document(manifest, findings(logged_rows=4_200)))
    assert "vectors of 4,200 of the 5,000 transactions are those that were logged" in said
    assert "that were logged" not in to_markdown(model_document(manifest, findings()))


def test_the_25_heaviest_inputs_are_named(manifest: Manifest) -> None:
    said = Page(to_html(model_report(manifest, findings()))).said
    assert "input_24" in said
    assert "input_25" not in said
    assert "25 heaviest of 40" in said


def test_findings_are_read_back_as_they_were_written(manifest: Manifest, tmp_path: Path) -> None:
    write_report(tmp_path / "report", manifest, findings())
    assert Findings.read(tmp_path / "report") == findings()
    assert (tmp_path / "report" / "report.html").read_text() == to_html(model_report(manifest, findings()))


def test_findings_of_another_release_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected the findings of a training in .*findings\.json"):
        Findings.read(tmp_path)
    (tmp_path / "findings.json").write_text('{"rows": 1}')
    with pytest.raises(BundleError, match=r"Train again"):
        Findings.read(tmp_path)
