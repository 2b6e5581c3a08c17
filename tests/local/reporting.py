"""A reporter that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sentinel_core.local.reporter import TaskView


class Collected:
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.told: list[str] = []
        self.pictures: list[list[TaskView]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        self.steps.append(title)
        yield self.told.append

    def tasks(self, title: str, rows: Sequence[TaskView]) -> None:
        self.pictures.append(list(rows))
