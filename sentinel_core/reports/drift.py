"""The page of a drift check, drawn by Evidently: each variable of the window beside the reference of the same season.

The verdict is ours (sentinel_core.monitoring.drift); the page shows the distributions, and KS and PSI as Evidently
computes them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.distances import SIGNIFICANT
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import SCORE, VARIABLES

UNKNOWN: Final = "unknown"
SHOWN_ROWS: Final = 5_000
"""As many as of the reference: SciPy's exact test grows with the product of both."""
P_VALUE: Final = 0.05
"""Below it the test of Kolmogorov and Smirnov is marked on the page, variable by variable."""


def write_page(reference: Sample, window: Sample, rows: NDArray[np.intp], path: Path) -> None:
    """Write the page to `path`; of the reference the given rows are drawn, of the window `SHOWN_ROWS` at most.

    Only what has a say is on it.
    """
    shown = np.linspace(0, len(window) - 1, min(len(window), SHOWN_ROWS)).astype(np.intp)
    with warnings.catch_warnings():
        # Evidently uses what NumPy has renamed while it is imported, and divides by counts of bins that are empty.
        warnings.simplefilter("ignore")
        _write(reference.take(rows), window.take(shown), path)


def _write(reference: Sample, window: Sample, path: Path) -> None:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    shown = [one for one in VARIABLES if one.judged and (one.kind == "score" or _has(reference, one.name))]
    numbers = [one.name for one in shown if one.kind != "category"]
    texts = [one.name for one in shown if one.kind == "category"]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    ours, theirs = (
        Dataset.from_pandas(_frame(sample, numbers, texts), data_definition=definition)
        for sample in (window, reference)
    )
    metrics: list[Any] = [ValueDrift(column=name, method="ks", threshold=P_VALUE) for name in numbers]
    metrics += [ValueDrift(column=name, method="psi", threshold=SIGNIFICANT) for name in (*numbers, *texts)]
    Report(metrics).run(ours, theirs).save_html(str(path))


def _has(sample: Sample, name: str) -> bool:
    return name in sample.numbers or name in sample.categories


def _frame(sample: Sample, numbers: list[str], texts: list[str]) -> Any:
    import pandas as pd

    columns: dict[str, Any] = {name: sample.score if name == SCORE else sample.numbers[name] for name in numbers}
    columns |= {name: [UNKNOWN if text is None else str(text) for text in sample.categories[name]] for name in texts}
    return pd.DataFrame(columns)
