"""Files that appear whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(out: Path) -> Iterator[Path]:
    """Yield a path beside `out` to write to; it takes the place of `out` when the block ends without an error."""
    made = out.with_name(f".{out.name}.part")
    try:
        yield made
        made.replace(out)
    finally:
        made.unlink(missing_ok=True)


def write_json(document: Mapping[str, Any], out: Path) -> None:
    """Write a document as JSON for people and machines."""
    with whole_file(out) as made:
        made.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
