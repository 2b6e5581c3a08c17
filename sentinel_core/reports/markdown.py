"""A report as Markdown (GitHub's dialect): all of it but the pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, assert_never

from sentinel_core.reports.document import Block, Document, Facts, Picture, Table, Text

_SPECIAL: Final = re.compile(r"([\\`*\[\]<>|#]|(?<!\w)_|_(?!\w))")


def to_markdown(document: Document) -> str:
    """Render a document; equal documents give equal text."""
    lines = [f"# {_plain(document.title)}", "", _plain(document.lead), ""]
    for section in document.sections:
        lines += [f"## {_plain(section.title)}", ""]
        for block in section.blocks:
            lines += _block(block)
    return "\n".join(lines)


def _block(block: Block) -> list[str]:
    match block:
        case Text(text):
            return [_plain(text), ""]
        case Facts(facts):
            return [*(f"- {_plain(name)}: {_plain(value)}" for name, value in facts), ""]
        case Table():
            return [f"{_plain(block.caption)}:", "", *_table(block), ""]
        case Picture():
            return []
        case _:
            assert_never(block)


def _table(table: Table) -> Iterator[str]:
    yield _row(table.header)
    yield "|" + "|".join("--:" if numeric else "---" for numeric in table.numeric) + "|"
    for row in table.rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Keep a text from being read as markup or as a new line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
