"""A report as data: sections of paragraphs, facts, tables and pictures, from which Markdown and HTML are rendered.

Every text is plain: it may hold whatever the users' data holds, and each renderer escapes it for its format.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

NONE: Final = "–"
_FIGURE: Final = re.compile(r"[-−]?\d[\d,.]*%?( \[.*\])?")
_FIGURE_OR_NONE: Final = re.compile(rf"{_FIGURE.pattern}|{NONE}|too few frauds|not judged")


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values; `prominent` are the few that a reader looks for first."""

    facts: tuple[tuple[str, str], ...]
    prominent: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; the first cell of a row names it. A `folded` table backs a picture and may be hidden."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold figures: one at least, and beside them nothing but what stands for a missing one."""
        columns = list(zip(*self.rows, strict=True)) or [() for _ in self.header]
        return tuple(
            any(_FIGURE.fullmatch(cell) for cell in column) and all(_FIGURE_OR_NONE.fullmatch(cell) for cell in column)
            for column in columns
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """What draws an SVG, what that shows in words for those who do not see it, and its caption."""

    draw: Callable[[], str]
    alt: str
    caption: str


Block = Text | Facts | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A title, a sentence that says what it is about, and the sections."""

    title: str
    lead: str
    sections: tuple[Section, ...]
