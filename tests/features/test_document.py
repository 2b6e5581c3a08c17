from __future__ import annotations

from pathlib import Path

from sentinel_core.features.catalog import CATALOGUE
from sentinel_core.features.document import COMMAND, catalog_markdown

DOCUMENT = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_document_is_what_the_catalogue_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == catalog_markdown(), f"write it anew: {COMMAND}"


def test_every_feature_stands_in_it_once() -> None:
    text = catalog_markdown()
    for one in CATALOGUE:
        assert text.count(f"| `{one.name}` |") == 1
        assert one.definition_hash in text
