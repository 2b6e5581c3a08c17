"""The segments of a report, a table for each way of cutting the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from sentinel_core.reports.document import Table
from sentinel_core.reports.wording import METRIC_NAMES, Bounded, count, interval, percent

FIGURES: Final = ("pr_auc", "recall", "precision")
TOO_FEW: Final = "too few frauds"
_USERS: Final = ("new users", "known users")


class Judged(Protocol):
    """A segment with its counts, and its figures by name where it has enough frauds."""

    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def frauds(self) -> int: ...
    @property
    def figures(self) -> Mapping[str, Bounded]: ...


def segment_tables(segments: Sequence[Judged]) -> tuple[Table, ...]:
    """Make a table of each group of segments (`evaluation.segments` names them), in their order."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for segment in segments:
        group, value = _named(segment.name)
        groups.setdefault(group, []).append(_row(value, segment))
    header = (*("Rows", "Frauds", "Rate"), *(METRIC_NAMES[name] for name in FIGURES))
    return tuple(
        Table(f"By {group.replace('_', ' ')}", (group.replace("_", " ").capitalize(), *header), tuple(rows))
        for group, rows in groups.items()
    )


def _named(name: str) -> tuple[str, str]:
    if name in _USERS:
        return "user", name
    group, _, value = name.partition(" ")
    return group, value


def _row(value: str, segment: Judged) -> tuple[str, ...]:
    figures = segment.figures
    return (
        value,
        count(segment.rows),
        count(segment.frauds),
        percent(segment.frauds / segment.rows),
        *(interval(figures[name]) if name in figures else TOO_FEW for name in FIGURES),
    )
