"""How a long command tells what it is doing, without knowing who looks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task of a running pipeline, as it is shown."""

    name: str
    state: str
    started: datetime | None = None
    ended: datetime | None = None


class Reporter(Protocol):
    """Shows progress; the command line draws it, tests collect it."""

    def step(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show a step until its block ends; what it yields replaces the few words beside it."""
        ...

    def tasks(self, title: str, rows: Sequence[TaskView]) -> None:
        """Show the present picture of a pipeline, all tasks at once."""
        ...
