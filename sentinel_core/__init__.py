"""SentinelML: the core of a real-time card-fraud detection platform.

>>> from sentinel_core import ABTestSimulation, TrainingPipeline

Both are loaded when they are asked for: importing the package itself loads nothing and has no effect.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentinel_core.flows.ab_test import ABTestSimulation
    from sentinel_core.flows.pipeline import TrainingPipeline

__version__ = "0.1.0"
__all__ = ["ABTestSimulation", "TrainingPipeline", "__version__"]

_HOMES = {"ABTestSimulation": "sentinel_core.flows.ab_test", "TrainingPipeline": "sentinel_core.flows.pipeline"}


def __getattr__(name: str) -> Any:
    """Load a public class at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
