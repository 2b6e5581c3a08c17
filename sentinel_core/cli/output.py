"""What commands print: JSON for machines, tables and progress for people."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from sentinel_core.local.reporter import TaskView

_GLYPHS = {"success": "✓", "failed": "✗", "upstream_failed": "✗", "running": "●", "skipped": "–"}


def print_json(value: Any) -> None:
    """Print one JSON document to stdout."""
    typer.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table to stdout; in a pipe as aligned text, never cut to the width of a terminal."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in ([*columns], *cells):
            typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in cells:
        table.add_row(*row)
    Console(soft_wrap=True).print(table)


class PlainReporter:
    """Progress as plain lines on stderr, for logs and pipes: one a step, one a task that changed."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Print the step with its seconds when it is done."""
        begun = time.monotonic()
        yield lambda _: None
        typer.echo(f"✓ {title} ({time.monotonic() - begun:.1f} s)", err=True)

    def tasks(self, title: str, rows: Sequence[TaskView]) -> None:
        """Print each task whose state changed."""
        for row in rows:
            if self._states.get(row.name) != row.state and row.state != "waiting":
                self._states[row.name] = row.state
                typer.echo(f"  {title}: {row.name} {row.state}{_took(row)}", err=True)


class LiveReporter:
    """Progress drawn in place, for a terminal: a spinner beside a step, a table for a pipeline."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._begun = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Spin beside the step, then leave a line with its seconds."""
        from rich.markup import escape

        self.close()
        begun = time.monotonic()
        shown = escape(title)
        with self._console.status(shown) as status:
            yield lambda text: status.update(f"{shown} [dim]{escape(text)}[/dim]")
        self._console.print(f"[green]✓[/green] {shown} [dim]{time.monotonic() - begun:.1f} s[/dim]")

    def tasks(self, title: str, rows: Sequence[TaskView]) -> None:
        """Draw the pipeline over its last picture."""
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(_picture(title, rows), refresh=True)

    def close(self) -> None:
        """Leave the last picture standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _picture(title: str, rows: Sequence[TaskView]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    colours = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "cyan"}
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    for row in rows:
        colour = colours.get(row.state, "dim")
        glyph = _GLYPHS.get(row.state, "·")
        table.add_row(
            f"  [{colour}]{glyph}[/{colour}]", escape(row.name), f"[{colour}]{row.state}[/{colour}]", _took(row)
        )
    return table


def _took(row: TaskView) -> str:
    if row.started is None:
        return ""
    seconds = ((row.ended or datetime.now(UTC)) - row.started).total_seconds()
    return f" {seconds:.1f} s"


@contextmanager
def reporting() -> Iterator[PlainReporter | LiveReporter]:
    """Yield the reporter that fits: drawn where stderr is a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield PlainReporter()
        return
    reporter = LiveReporter()
    try:
        yield reporter
    finally:
        reporter.close()


def split_names(given: Sequence[str] | None) -> list[str] | None:
    """Take names from an option that may be repeated, or hold several between commas; None where there is none."""
    return [part for text in given for part in text.split(",") if part] if given else None
