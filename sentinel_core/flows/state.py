"""SENTINEL_HOME/state: what one run leaves behind for the next, where no table keeps it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sentinel_core.errors import DataError
from sentinel_core.settings import Settings

_STREAKS: Final = "alerts.json"


def last_training_path(settings: Settings) -> Path:
    """The place of what the last training made."""
    return settings.home / "state" / "last_training.json"


def write_last_training(settings: Settings, facts: Mapping[str, Any]) -> None:
    """Replace what the last training made."""
    _replace(last_training_path(settings), facts)


def read_last_training(settings: Settings) -> dict[str, Any]:
    """Read what the last training made; raises `DataError` where no training has ended here yet."""
    try:
        facts: dict[str, Any] = json.loads(last_training_path(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"expected the facts of a training in {last_training_path(settings)}, found none.",
            remedy="Train first: sentinel train.",
        ) from None
    return facts


def write_streaks(settings: Settings, streaks: Mapping[str, Any]) -> None:
    """Replace what the last check of alerts counted, by rule."""
    _replace(settings.home / "state" / _STREAKS, streaks)


def read_streaks(settings: Settings) -> dict[str, Any]:
    """Read what the last check of alerts counted, by rule; nothing where it is gone: then it is counted anew."""
    try:
        streaks = json.loads((settings.home / "state" / _STREAKS).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return streaks if isinstance(streaks, dict) else {}


def _replace(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace a file in one step: readers see the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    made.replace(path)
