"""What an API key looks like and what is kept of it. The standard library alone: `make env` runs before any install."""

from __future__ import annotations

import hashlib
from typing import Final

PREFIX: Final = "sml_"
"""What every key begins with, so that a scanner finds one that was published by mistake."""


def hash_of(key: str) -> str:
    """Return what is kept of a key: its SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()
