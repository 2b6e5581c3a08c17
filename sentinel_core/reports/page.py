"""A report as one HTML page that needs nothing else: no script, no other file, nothing from the network."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sentinel_core.reports.document import Document

TEMPLATES: Final = Path(__file__).with_name("templates")
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy: should an escape ever fail, what slipped through can still do nothing."""


def to_html(document: Document) -> str:
    """Render a document as HTML; every text is escaped, pictures are images of a data URI."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": _data_uri, "anchor": _anchor, "kind": lambda block: type(block).__name__}
    return environment.get_template("report.html.jinja").render(document=document, policy=POLICY)


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
