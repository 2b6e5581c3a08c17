"""The model card: what a person should know before they rely on a model (Mitchell et al., 2019).

One document, rendered as Markdown for the bundle and as a page for people. The bundle's depends on nothing but the
training's inputs; the page says besides which version it is about, and what the gate found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sentinel_core.flows.card_pictures import curves_section, importance_section
from sentinel_core.flows.findings import Findings
from sentinel_core.registry.manifest import Manifest, Policy
from sentinel_core.reports.document import Document, Facts, Section, Table, Text
from sentinel_core.reports.gate import gate_section, outcome
from sentinel_core.reports.prose import limits_section, use_section
from sentinel_core.reports.segments import segment_tables
from sentinel_core.reports.wording import METRIC_NAMES, PARTS, count, interval, minute, percent

HEADLINE: Final = ("pr_auc", "roc_auc", "precision", "recall", "f1")
TEST: Final = "test"
_SEEN: Final = (
    "The vectors of {logged} of the {rows} transactions are those that were logged when they were scored, feature by "
    "feature where the definition is still the same; the others were computed from the history."
)


def model_document(manifest: Manifest, findings: Findings) -> Document:
    """Make the card's document; what is said about a bundle from outside (version, run, time) is not in it."""
    return Document(
        title=f"{manifest.model_name}: {_words(manifest.algorithm)}",
        lead="Scores card transactions: the calibrated probability that one is fraud. From the threshold on it counts "
        "as fraud.",
        sections=(
            Section("Summary", (_headline(manifest),)),
            Section("Model", (Facts(_made_of(manifest)), *(Text(note) for note in findings.notes))),
            _data(manifest, findings),
            _figures(manifest),
            curves_section(manifest, findings),
            _decisions(manifest, findings),
            importance_section(findings),
            _segments(findings),
            _cross_validation(manifest, findings),
            use_section(manifest.data.profile),
            limits_section(manifest.data.label_delay_days),
        ),
    )


def model_report(manifest: Manifest, findings: Findings, verdict: Mapping[str, Any] | None = None) -> Document:
    """Make the page's document: the card's with version, run and time of the manifest, and the gate's verdict."""
    document = model_document(manifest, findings)
    summary, model, *others = document.sections
    origin = (
        ("Version", manifest.model_version),
        ("MLflow run", manifest.run_id),
        ("Trained", minute(manifest.created_at) if manifest.created_at else ""),
        ("Bundle hash", manifest.bundle_hash),
    )
    known = tuple((name, value) for name, value in origin if value)
    gate: tuple[Section, ...] = ()
    if verdict is not None:
        gate = (gate_section(verdict),)
        facts = (("Gate", outcome(verdict)), *_headline(manifest).facts)
        summary = Section(summary.title, (Facts(facts, prominent=True),))
    model = Section(model.title, (Facts((*known, *_made_of(manifest))), *model.blocks[1:]))
    version = f", {manifest.model_version}" if manifest.model_version else ""
    return Document(f"{document.title}{version}", document.lead, (summary, *gate, model, *others))


def _headline(manifest: Manifest) -> Facts:
    figures = manifest.metrics[TEST]
    found = tuple((f"{METRIC_NAMES[name]}, test part", interval(figures[name])) for name in HEADLINE if name in figures)
    return Facts((*found, ("Threshold", f"{manifest.threshold:.4f}")), prominent=True)


def _made_of(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    data, calibration = manifest.data, manifest.calibration
    settings = ", ".join(f"{name} {value}" for name, value in manifest.hyperparameters.items())
    return (
        ("Algorithm", _words(manifest.algorithm)),
        ("Inputs", f"{len(manifest.features)} features and the raw categories of a transaction"),
        ("Calibration", f"Platt, slope {calibration.slope:.4f}, intercept {calibration.intercept:.4f}"),
        ("Settings", settings or "defaults"),
        ("Seed", str(manifest.seed)),
        ("Snapshot", data.snapshot),
        ("Content hash", data.content_hash),
        ("Profile", data.profile),
        ("Code", manifest.git_commit),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())),
    )


def _data(manifest: Manifest, findings: Findings) -> Section:
    data = manifest.data
    rows = tuple(
        (
            name,
            count(part.rows),
            count(part.frauds),
            percent(part.frauds / part.rows if part.rows else 0.0),
            minute(part.first),
            minute(part.last),
        )
        for name, part in manifest.parts.items()
    )
    logged = findings.logged_rows
    seen = () if logged is None else (Text(_SEEN.format(logged=count(logged), rows=count(findings.rows))),)
    return Section(
        "Data",
        (
            Text(
                f"{count(findings.rows)} transactions, {count(findings.labelled)} of them labelled. Labels count as "
                f"known at {minute(data.as_of)}, when {count(findings.mature)} had arrived. A typical label takes "
                f"{data.label_delay_days:g} days; so long are the gaps between the parts, which follow each other in "
                "time, each at its natural rate of fraud."
            ),
            *seen,
            Table("Parts of the data", ("Part", "Rows", "Frauds", "Rate", "First event", "Last event"), rows),
            Text(
                f"The model was fitted on {count(findings.fitted_rows)} rows of the train part, calibrated and given "
                "its threshold on the calibrate part, judged on the test part, and not fitted again."
            ),
        ),
    )


def _figures(manifest: Manifest) -> Section:
    parts = list(manifest.metrics)
    names = [name for name in METRIC_NAMES if any(name in manifest.metrics[part] for part in parts)]
    names += [name for part in parts for name in manifest.metrics[part] if name not in METRIC_NAMES]
    rows = tuple(
        (
            METRIC_NAMES.get(name, name),
            *(interval(manifest.metrics[part].get(name)) for part in parts),
        )
        for name in dict.fromkeys(names)
    )
    said = " ".join(f"{part}: {PARTS[part]}." for part in parts if part in PARTS)
    return Section(
        "Figures",
        (
            Text(f"With 95% intervals over draws of whole users. {said}"),
            Table("Figures by part of the data", ("Figure", *parts), rows),
        ),
    )


def _decisions(manifest: Manifest, findings: Findings) -> Section:
    decided = findings.decisions
    reached = ", ".join(
        f"{METRIC_NAMES.get(name.partition('_on_')[0], name)} {value:.4f}"
        for name, value in manifest.policy.figures.items()
    )
    costs = findings.costs
    facts = (
        ("Threshold", f"{manifest.threshold:.4f}, inclusive"),
        ("Policy", f"{manifest.policy.name}: {_policy(manifest.policy, findings)}"),
        *((("Reached on the calibrate part", reached),) if reached else ()),
        (
            "Costs",
            f"a missed fraud costs its amount × {costs.loss:g} + {costs.fee:g}, a false alarm {costs.false_alarm:g}; "
            "cost saved is counted by these",
        ),
    )
    table = Table(
        "Decisions against labels at the threshold, test part",
        ("Label", "Passed", "Flagged"),
        (
            ("legitimate", count(decided.true_negative), count(decided.false_positive)),
            ("fraud", count(decided.false_negative), count(decided.true_positive)),
        ),
    )
    return Section("Threshold", (Facts(facts), table))


def _policy(policy: Policy, findings: Findings) -> str:
    said = {
        "floor_margin": "the largest smallest margin above the profile's floors on precision, recall and F1",
        "best_f1": "the highest F1",
        "alert_budget": f"as many alarms as {findings.alerts_a_day:g} a day allow",
        "lowest_cost": "for each transaction the decision that costs less; the threshold moves with the amount, and is "
        "given for the median one",
    }
    return f"{said.get(policy.name, 'as it was configured')}, on the calibrate part"


def _segments(findings: Findings) -> Section:
    said = Text(
        "The test part, by kinds of transactions. A figure in a small segment is uncertain: look at the intervals. "
        "Differences between segments may be differences of their fraud rates, which move PR-AUC and precision."
    )
    return Section("Segments", (said, *segment_tables(findings.segments)))


def _cross_validation(manifest: Manifest, findings: Findings) -> Section:
    rows = tuple(
        (METRIC_NAMES.get(name, name), f"{mean:.4f}", f"{deviation:.4f}", interval(manifest.metrics[TEST].get(name)))
        for name, (mean, deviation) in findings.cross_validation.items()
    )
    return Section(
        "Cross-validation (flattering)",
        (
            Text(
                "Stratified folds of whole users in a sample of the train part, for comparison with other work. They "
                "mix past and future, which flatters a fraud model: the test part is what counts, and by these figures "
                "nothing was chosen."
            ),
            Table("Cross-validation beside the test part", ("Figure", "Mean", "Deviation", "Test part"), rows),
        ),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
