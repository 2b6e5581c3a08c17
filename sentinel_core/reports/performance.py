"""The page on live performance: each model's figures by day of the events and age, and what scores promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sentinel_core.reports import plots
from sentinel_core.reports.document import NONE, Block, Document, Picture, Section, Table, Text
from sentinel_core.reports.wording import count

Row = Mapping[str, Any]

FIGURES: Final = {"precision": "Precision", "recall": "Recall", "f1_score": "F1", "pr_auc": "PR-AUC"}
_ESTIMATED: Final = {"precision": "expected_precision", "recall": "expected_recall", "f1_score": "expected_f1"}
HEADER: Final = ("Day", "Model", "Age", *FIGURES.values(), "Rows", "Alerts", "Frauds", "Note")
ESTIMATE_HEADER: Final = ("Day", "Model", *(f"Expected {FIGURES[name]}" for name in _ESTIMATED), "Rows", "Note")
_LEAD: Final = (
    "What each model's answers were worth, by the day of the events and as it was known when that day was so many days "
    "old. Intervals are 95%, drawn by users."
)
_NEWEST: Final = (
    "As many of the newest days together as it takes for 300 alerts, at most 14; the range is in the first column."
)
_EXPECTED: Final = (
    "What calibrated scores alone promise of all that was scored, before labels mature. It holds while fraud looks as "
    "it did when the model was calibrated, is void while drift fires, and drives no alert."
)


def performance_document(found: Mapping[str, Sequence[Row]]) -> Document:
    """Make the document of {"newest", "cohorts", "estimates"} as `flows.performance.read_performance` returns them."""
    cohorts, estimates = found["cohorts"], found["estimates"]
    sections = [Section("Newest", (Text(_NEWEST), Table("Newest figures", HEADER, _rows(found["newest"]))))]
    for age in sorted({row["age_days"] for row in cohorts}, reverse=True):
        of_age = [row for row in cohorts if row["age_days"] == age]
        pictures: list[Block] = [_picture(name, of_age, estimates) for name in FIGURES]
        table = Table(f"Each day, {age} days later", HEADER, _rows(of_age), folded=True)
        sections.append(Section(f"{age} days later", (*pictures, table)))
    table = Table("Estimates by day", ESTIMATE_HEADER, tuple(estimate_cells(row) for row in estimates))
    sections.append(Section("Estimates", (Text(_EXPECTED), table)))
    return Document("Live performance", _LEAD, tuple(sections))


def cells(row: Row) -> tuple[str, ...]:
    """Write a row of stored figures, in the order of `HEADER`."""
    days = row["cohort_day"] if row["first_day"] == row["cohort_day"] else f"{row['first_day']} – {row['cohort_day']}"
    counts = [count(row["counts"][name]) for name in ("rows", "alerts", "frauds")]
    figures = [bounded(row[name]) for name in FIGURES]
    return (days, row["model_version"], f"{row['age_days']} d", *figures, *counts, note(row))


def estimate_cells(row: Row) -> tuple[str, ...]:
    """Write an estimate, in the order of `ESTIMATE_HEADER`."""
    figures = [NONE if row[name] is None else f"{row[name]:.3f}" for name in _ESTIMATED.values()]
    return (row["day"], row["model_version"], *figures, count(row["rows"]), row["reason"] or "estimated")


def bounded(figure: Mapping[str, float | None] | None) -> str:
    """Write a figure with the interval that it has."""
    if figure is None:
        return NONE
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def note(row: Row) -> str:
    """Say what must be known beside the figures."""
    notes = []
    if row["provisional"]:
        errs = ", ".join(f"{name} errs {side}" for name, side in sorted(row["errs"].items()))
        notes.append(f"provisional: {errs}")
    if row["on_approved_traffic"]:
        notes.append("on approved traffic")
    return "; ".join(notes)


def _rows(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    return tuple(cells(row) for row in rows)


def _picture(name: str, rows: Sequence[Row], estimates: Sequence[Row]) -> Picture:
    measured, expected = _measured(name, rows), _expected(name, estimates)
    title, age = FIGURES[name], rows[0]["age_days"]
    shown = ", ".join(dict.fromkeys(series.name for series in measured)) or "no model"
    return Picture(
        lambda: plots.to_svg(plots.over_time_plot([*measured, *expected], title)),
        f"{title} of {shown} by day of the events, {age} days later; the table of the days follows.",
        f"{title}, {age} days after the events, with intervals" + ("; estimates dashed." if expected else "."),
    )


def _measured(name: str, rows: Sequence[Row]) -> list[plots.Series]:
    found = []
    for version in dict.fromkeys(row["model_version"] for row in rows):
        own = [row for row in rows if row["model_version"] == version and row[name] is not None]
        ends = [None if row[name]["low"] is None else (row[name]["low"], row[name]["high"]) for row in own]
        days = [date.fromisoformat(row["cohort_day"]) for row in own]
        found.append(plots.Series(version, days, [row[name]["value"] for row in own], ends))
    return found


def _expected(name: str, estimates: Sequence[Row]) -> list[plots.Series]:
    if name not in _ESTIMATED:
        return []
    key, found = _ESTIMATED[name], []
    for version in dict.fromkeys(row["model_version"] for row in estimates):
        own = [row for row in estimates if row["model_version"] == version and row[key] is not None]
        if own:
            days = [date.fromisoformat(row["day"]) for row in own]
            found.append(plots.Series(version, days, [row[key] for row in own], [None] * len(own), estimated=True))
    return found
