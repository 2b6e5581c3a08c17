""".env.example names every setting, each with its default."""

from __future__ import annotations

from sentinel_core.local.environment import variable
from sentinel_core.local.paths import project_root
from sentinel_core.settings import Settings

NAMED_BY_EXAMPLE = (
    *("DATABASE_URL", "DB_HOST", "REDIS_URL", "REDIS_HOST", "MLFLOW_TRACKING_URI"),
    *("SENTINEL_AIRFLOW_URL", "SENTINEL_EXPLAINER_URL"),
)
"""Unset by default; the file shows what a value looks like."""


def _shown() -> dict[str, str]:
    lines = (project_root() / ".env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.removeprefix("# ").split("=", 1) for line in lines if line.removeprefix("# ").split("=")[0].isupper())
    return dict(pairs)


def test_every_setting_is_shown_with_its_default() -> None:
    shown = _shown()
    for field, information in Settings.model_fields.items():
        name = variable(field)
        assert name in shown, f"{name} is missing in .env.example"
        if name in NAMED_BY_EXAMPLE:
            continue
        default = information.get_default()
        assert shown[name] == ("" if default is None else str(default)), name


def test_nothing_is_set_by_copying_it() -> None:
    lines = (project_root() / ".env.example").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line and not line.startswith("#")]
