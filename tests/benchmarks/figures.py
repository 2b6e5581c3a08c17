"""How a figure of a benchmark's JSON reads on the results page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ABSENT: Final = object()
_MANY: Final = 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the page.

    `path` names a value in the JSON's `figures` by its keys, parted by "/"; "last" is the last key of a mapping.
    `of` names the whole of which the value is a part. `peer` names what stands beside it from the same run, and
    `peer_is` says what that is. `at_most` or `at_least` is the bar, where there is one.
    """

    label: str
    path: str
    unit: str = ""
    of: str = ""
    peer: str = ""
    peer_is: str = ""
    at_most: float | None = None
    at_least: float | None = None

    def cells(self, figures: Mapping[str, Any]) -> tuple[str, str, str, str]:
        """Return label, value, peer and bar as they stand in the table."""
        value = look_up(figures, self.path)
        if value is ABSENT:
            return self.label, "not in this run", "", self._bar(None)
        shown = written(value) + (f" of {written(look_up(figures, self.of))}" if self.of else "")
        peer = look_up(figures, self.peer) if self.peer else ABSENT
        beside = "" if peer is ABSENT else f"{self.peer_is}: {_with_unit(written(peer), self.unit)}"
        return self.label, _with_unit(shown, self.unit), beside, self._bar(value)

    def _bar(self, value: Any) -> str:
        for sign, bar, met in (
            ("≤", self.at_most, lambda found, bound: found <= bound),
            ("≥", self.at_least, lambda found, bound: found >= bound),
        ):
            if bar is not None:
                verdict = "" if value is None else ", met" if met(value, bar) else ", **missed**"
                return f"{sign} {_with_unit(written(bar), self.unit)}{verdict}"
        return ""


@dataclass(frozen=True, slots=True)
class Section:
    """What the page says of one benchmark: a title, its lines, and what a reader must know about them."""

    title: str
    figures: tuple[Figure, ...]
    note: str = ""


def look_up(figures: Any, path: str) -> Any:
    """Return the value that a path names, `ABSENT` where there is none.

    >>> look_up({"a": {"1": 2, "2": 3}}, "a/last")
    3
    """
    found = figures
    for key in path.split("/"):
        if not isinstance(found, Mapping) or not found:
            return ABSENT
        found = found.get(next(reversed(found)) if key == "last" else key, ABSENT)
    return ABSENT if found is None else found


def written(value: Any) -> str:
    """Write a value for a reader: three digits that count, and commas between thousands.

    >>> written(0.93456), written(1234567), written(12.0), written(True)
    ('0.935', '1,234,567', '12', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= _MANY):
        return f"{value:,.0f}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()
