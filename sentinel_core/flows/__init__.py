"""One function for each step of a pipeline: read a store, call the core, write a store.

Airflow's tasks and the command line call the same ones. A step takes the settings, small JSON-able references to
what earlier steps made, and `now`; it returns a reference of its own. Data stays in SENTINEL_HOME and the stores.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with a few words about what a step is doing; shells show it."""


def silent(_: str) -> None:
    """Show nothing: the progress of a step that nobody watches."""
