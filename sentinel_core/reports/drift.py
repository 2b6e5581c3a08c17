"""The page of a drift check, drawn by Evidently: each variable of the window beside the reference of the same season.

The page shows the distributions, and KS and PSI as Evidently computes them. A table on top gives both verdicts and how
often each is wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.distances import SIGNIFICANT
from sentinel_core.monitoring.drift_reliability import HOW, MEASURED
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import VARIABLES
from sentinel_core.reports.drift_preset import frame, has

SHOWN_ROWS: Final = 5_000
"""As many as of the reference: SciPy's exact test grows with the product of both."""
P_VALUE: Final = 0.05
"""Below it the test of Kolmogorov and Smirnov is marked on the page, variable by variable."""
_BODY: Final = "<body>"


def write_page(
    reference: Sample, window: Sample, rows: NDArray[np.intp], path: Path, verdicts: Mapping[str, str]
) -> None:
    """Write the page to `path`; of the reference the given rows are drawn, of the window `SHOWN_ROWS` at most.

    Only what has a say is drawn. `verdicts` are what each judge says, in words. Raises whatever Evidently raises.
    """
    shown = np.linspace(0, len(window) - 1, min(len(window), SHOWN_ROWS)).astype(np.intp)
    with warnings.catch_warnings():
        # Evidently uses what NumPy has renamed while it is imported, and divides by counts of bins that are empty.
        warnings.simplefilter("ignore")
        page = _drawn(reference.take(rows), window.take(shown))
    head, body, rest = page.partition(_BODY)
    with path.open("w", encoding="utf-8") as file:
        file.writelines((head, body, _verdicts(verdicts), rest))


def _drawn(reference: Sample, window: Sample) -> str:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    shown = [one for one in VARIABLES if one.judged and has(reference, one)]
    numbers = [one.name for one in shown if one.kind != "category"]
    texts = [one.name for one in shown if one.kind == "category"]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    ours, theirs = (
        Dataset.from_pandas(frame(sample, shown), data_definition=definition) for sample in (window, reference)
    )
    metrics: list[Any] = [ValueDrift(column=name, method="ks", threshold=P_VALUE) for name in numbers]
    metrics += [ValueDrift(column=name, method="psi", threshold=SIGNIFICANT) for name in (*numbers, *texts)]
    page: str = Report(metrics).run(ours, theirs).get_html_str(as_iframe=False)
    return page


def _verdicts(verdicts: Mapping[str, str]) -> str:
    """Return the two verdicts, and how often each is wrong, as HTML."""
    said = "".join(f"<li><b>{escape(who)}</b>: {escape(what)}</li>" for who, what in verdicts.items())
    rows = "".join(
        f"<tr><td>{escape(one.windows)}</td><td>{escape(one.sentinel)}</td><td>{escape(one.evidently)}</td></tr>"
        for one in MEASURED
    )
    return (
        '<section style="font-family: sans-serif; margin: 1em 2em">'
        f"<h2>Verdicts</h2><ul>{said}</ul><details><summary>{escape(HOW)}</summary>"
        "<table><tr><th>windows</th><th>SentinelML</th><th>Evidently's preset</th></tr>"
        f"{rows}</table></details></section>"
    )
