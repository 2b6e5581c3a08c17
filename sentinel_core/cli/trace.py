"""The command trace: one transaction, and everything that it is linked to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table
from sentinel_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(trace)


def trace(
    transaction_id: Annotated[str, typer.Argument(help="The id that the client sent, or that the answer carried.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show a transaction's request, exact vector, model version, run, snapshot, commit and label."""
    from sentinel_core.flows.trace import trace as follow

    found = follow(load_settings(), transaction_id)
    if json:
        print_json(found)
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    sections = {
        "request": found["request"],
        "answer": found["answer"],
        "model": found["model"],
        "features": found["features"],
    }
    typer.echo(f"{found['transaction_id']} ({found['source']}, arrived {found['arrived_at']})")
    for title, content in sections.items():
        typer.echo(f"\n{title}" if content else f"\n{title}: none")
        if content:
            print_table(("", ""), [(f"  {name}", value) for name, value in content.items()])
    if found["features"]:
        typer.echo(f"  risk as of {found['risk_as_of']}")
    labels = found["labels"]
    typer.echo("\nlabel" if labels else "\nlabel: none yet")
    for label in labels:
        verdict = "fraud" if label["is_fraud"] else "legitimate"
        typer.echo(f"  {verdict}, known {label['labelled_at']} by {label['source']}")
