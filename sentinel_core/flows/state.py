"""SENTINEL_HOME/state/last_training.json: what the last training made, for whoever comes after it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentinel_core.errors import DataError
from sentinel_core.settings import Settings


def last_training_path(settings: Settings) -> Path:
    """The file's place."""
    return settings.home / "state" / "last_training.json"


def write_last_training(settings: Settings, facts: Mapping[str, Any]) -> None:
    """Replace the file in one step: readers see the old one or the new one, never half of one."""
    path = last_training_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    made.replace(path)


def read_last_training(settings: Settings) -> dict[str, Any]:
    """Read the file; raises `DataError` where no training has ended here yet."""
    try:
        facts: dict[str, Any] = json.loads(last_training_path(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"expected the facts of a training in {last_training_path(settings)}, found none.",
            remedy="Train first: sentinel train.",
        ) from None
    return facts
