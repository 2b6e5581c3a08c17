"""The model card: what a person should know before they rely on a model, in Markdown (Mitchell et al., 2019)."""

from __future__ import annotations

from sentinel_core.registry.manifest import Figure, Manifest
from sentinel_core.training.fit import TrainedCandidate

_PARTS = {
    "calibrate": "calibration part, on which calibration and threshold were chosen",
    "test": "test part, later in time than all of training, used for nothing but this table",
    "test_true": "test part against the true labels, which only generated data has",
}


def model_card(manifest: Manifest, trained: TrainedCandidate) -> str:
    """Write the card of a candidate; it depends on nothing but the training's inputs."""
    data = manifest.data
    lines = [
        f"# {manifest.model_name}: {manifest.algorithm}",
        "",
        "Scores card transactions: the calibrated probability that one is fraud. From "
        f"{manifest.threshold:.4f} on it counts as fraud (chosen on the calibration part by {manifest.policy.name}).",
        "",
        "## Data",
        "",
        f"Snapshot `{data.snapshot}` (profile {data.profile}, content `{data.content_hash}`), labels as known at "
        f"{data.as_of}. A typical label takes {data.label_delay_days:g} days; so long are the gaps between the parts.",
        "",
        "| part | rows | frauds | first event | last event |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {part.rows:,} | {part.frauds:,} | {part.first} | {part.last} |"
            for name, part in manifest.parts.items()
        ),
        "",
        f"Fitted on {trained.rows:,} rows of the train part.",
        "",
        "## Figures, with 95% intervals over users",
        "",
    ]
    for part, metrics in manifest.metrics.items():
        lines += [f"On the {_PARTS.get(part, part)}:", "", "| metric | value |", "|---|---|"]
        lines += [f"| {name} | {_interval(figure)} |" for name, figure in metrics.items()]
        lines.append("")
    lines += [
        "Stratified cross-validation in the train part (it mixes past and future; for comparison with other work): "
        + ", ".join(
            f"{name} {mean:.3f} ± {deviation:.3f}" for name, (mean, deviation) in trained.cross_validation.items()
        )
        + ".",
        "",
        "## Settings",
        "",
        f"Seed {manifest.seed}; "
        + ", ".join(f"{name} {value}" for name, value in manifest.hyperparameters.items())
        + ".",
        f"Code {manifest.git_commit}; " + ", ".join(f"{name} {v}" for name, v in manifest.libraries.items()) + ".",
        "",
        "## Limits",
        "",
        "It knows the kinds of fraud that its labels knew, at the rate of its data, in its currency. Fraud that nobody "
        "reported counts as legitimate. A user's first transactions are judged by what they are, not by how unusual.",
        "",
    ]
    return "\n".join(lines)


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"
