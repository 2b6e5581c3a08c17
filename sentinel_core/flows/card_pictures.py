"""The pictures of the model card: curves of the test part, and the importance of inputs."""

from __future__ import annotations

from sentinel_core.flows.findings import Findings
from sentinel_core.registry.manifest import Manifest
from sentinel_core.reports import plots
from sentinel_core.reports.document import Picture, Section, Table, Text
from sentinel_core.reports.wording import count, interval, percent


def rate_of(findings: Findings) -> float:
    """Return the share of fraud in the test part."""
    decided = findings.decisions
    frauds = decided.true_positive + decided.false_negative
    return frauds / (frauds + decided.false_positive + decided.true_negative)


def curves_section(manifest: Manifest, findings: Findings) -> Section:
    """Show precision over recall, ROC, reliability and scores; the point of the threshold is marked."""
    decided, rate = findings.decisions.confusion(), rate_of(findings)
    false = decided.false_positive / max(decided.false_positive + decided.true_negative, 1)
    figure = manifest.metrics["test"]
    brier = interval(figure.get("brier"))
    bins = findings.reliability
    return Section(
        "Curves",
        (
            Picture(
                lambda: plots.to_svg(
                    plots.precision_recall_plot(
                        findings.precision_recall.curve(),
                        rate,
                        "Precision and recall",
                        chosen=(decided.recall, decided.precision),
                    )
                ),
                f"Precision over recall: PR-AUC {interval(figure.get('pr_auc'))}; at the threshold recall "
                f"{decided.recall:.3f} with precision {decided.precision:.3f}; guessing has {rate:.4f} throughout.",
                f"Precision over recall. PR-AUC {interval(figure.get('pr_auc'))}.",
            ),
            Picture(
                lambda: plots.to_svg(plots.roc_plot(findings.roc.curve(), "ROC", chosen=(false, decided.recall))),
                f"True over false positive rate: ROC-AUC {interval(figure.get('roc_auc'))}; at the threshold "
                f"{decided.recall:.3f} over {false:.5f}.",
                f"True over false positive rate. ROC-AUC {interval(figure.get('roc_auc'))}.",
            ),
            Picture(
                lambda: plots.to_svg(plots.reliability_plot(bins.reliability(), "Reliability")),
                "Share of fraud over the mean score of ranges of scores, beside the diagonal of perfect calibration; "
                "the table of the ranges follows.",
                f"Share of fraud over mean score, by ranges of the score. Brier score {brier}.",
            ),
            Picture(
                lambda: plots.to_svg(
                    plots.histogram_plot(findings.histogram.histogram(), "Scores", threshold=manifest.threshold)
                ),
                f"Histogram of the scores by label, on a logarithmic scale; the threshold is {manifest.threshold:.4f}.",
                "Transactions by score, on a logarithmic scale.",
            ),
            Table(
                "Reliability by range of scores",
                ("Mean score", "Share of fraud", "Rows"),
                tuple(
                    (f"{score:.4f}", f"{fraud:.4f}", count(rows))
                    for score, fraud, rows in zip(bins.score, bins.fraud, bins.rows, strict=True)
                ),
                folded=True,
            ),
        ),
    )


def importance_section(findings: Findings) -> Section:
    """Show the inputs that weigh most."""
    shown = plots.heaviest(findings.importances)
    first = ", ".join(f"{name} {percent(share)}" for name, share in shown[:5])
    return Section(
        "Importance of inputs",
        (
            Text(
                "Each input's share of the total: impurity for a forest, gain for boosting, weight times deviation for "
                "a linear model. It says what the model looks at, not what causes fraud; inputs that tell the same "
                "share it."
            ),
            Picture(
                lambda: plots.to_svg(plots.importance_plot(findings.importances, "Importance of inputs")),
                f"Bars of the {len(shown)} heaviest inputs; the first are {first}.",
                f"The {len(shown)} heaviest of {len(findings.importances)} inputs.",
            ),
            Table(
                "Importance of the heaviest inputs",
                ("Input", "Share"),
                tuple((name, percent(share)) for name, share in shown),
                folded=True,
            ),
        ),
    )
