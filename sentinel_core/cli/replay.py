"""The command replay: a file through the running service, and the proof that offline and online agree."""

from __future__ import annotations

import json as json_module
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting
from sentinel_core.errors import ParityError
from sentinel_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(replay)


def replay(  # noqa: PLR0913 (an option each)
    *,
    file: Annotated[Path, typer.Argument(help="CSV or Parquet.")],
    url: Annotated[str | None, typer.Option(help="The service; the one of this machine by default.")] = None,
    columns: Annotated[Path | None, typer.Option(help="Column map, TOML: our_name = 'their name'.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first rows.")] = None,
    concurrency: Annotated[int, typer.Option(help="Requests under way at a time.")] = 8,
    batch: Annotated[int, typer.Option(help="Transactions in a request, 1 to 100.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Under ids of its own, apart from what is known.")] = False,
    api_key: Annotated[str | None, typer.Option(help="Sent as X-API-Key; SENTINEL_API_KEY by default.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report to this file, JSON.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Score a file's rows, each user's in order, and compare every logged vector with the offline build."""
    from sentinel_core.flows.replay import ReplayOptions, replay_file

    settings = load_settings()
    options = ReplayOptions(limit=limit, concurrency=concurrency, batch=batch, fresh=fresh)
    with reporting() as reporter, reporter.step(f"Replaying {file.name}") as tell:
        found = replay_file(
            settings,
            file,
            url=url or f"http://{settings.host}:{settings.serving_port}",
            columns=columns,
            options=options,
            api_key=api_key or settings.api_key,
            now=datetime.now(UTC),
            progress=tell,
        )
    if report is not None:
        report.write_text(json_module.dumps(found, indent=2) + "\n", encoding="utf-8")
    if json:
        print_json(found)
    else:
        _show(found)
    if found["mismatches"]:
        raise ParityError(
            f"expected every logged vector to equal the offline one, and {found['mismatches']:,} of "
            f"{found['compared']:,} differ.",
            remedy="The report's mismatch_samples name transactions and features.",
        )


def _show(found: dict[str, Any]) -> None:
    plain = {name: value for name, value in found.items() if not isinstance(value, list | dict)}
    print_table(("", ""), list(plain.items()))
    for reason, count in found["not_compared"].items():
        typer.echo(f"not compared, {reason}: {count:,}")
    for sample in found["error_samples"]:
        typer.echo(f"error: {sample}")
