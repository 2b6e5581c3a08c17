"""The command trace: a transaction and everything that it is linked to; or what a model or a snapshot led to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table
from sentinel_core.errors import DataError
from sentinel_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(trace)


def trace(
    transaction_id: Annotated[
        str | None, typer.Argument(help="The id that the client sent, or that the answer carried.")
    ] = None,
    *,
    model: Annotated[str | None, typer.Option(help="A version: where it came from and what it answered.")] = None,
    snapshot: Annotated[str | None, typer.Option(help="A data snapshot: which versions it fed.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="With --model: so many of its newest answers.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show a transaction's request, vector, model, run, snapshot, commit, label; or what a model or snapshot led to."""
    if sum(given is not None for given in (transaction_id, model, snapshot)) != 1:
        raise DataError("expected one of TRANSACTION_ID, --model and --snapshot.", remedy="Name one.")
    from sentinel_core.flows import trace as flow

    settings = load_settings()
    if model is not None:
        found, show = flow.trace_model(settings, model, limit=limit), _show_model
    elif snapshot is not None:
        found, show = flow.trace_snapshot(settings, snapshot), _show_snapshot
    else:
        found, show = flow.trace(settings, str(transaction_id)), _show
    if json:
        print_json(found)
    else:
        show(found)


def _show(found: dict[str, Any]) -> None:
    typer.echo(f"{found['transaction_id']} ({found['source']}, arrived {found['arrived_at']})")
    for title in ("request", "answer", "model", "gate", "features"):
        _section(title, found[title])
    if found["features"]:
        typer.echo(f"  risk as of {found['risk_as_of']}")
    labels = found["labels"]
    typer.echo("\nlabel" if labels else "\nlabel: none yet")
    for label in labels:
        verdict = "fraud" if label["is_fraud"] else "legitimate"
        typer.echo(f"  {verdict}, known {label['labelled_at']} by {label['source']}")
    for outcome in found["outcomes"]:
        chance = f" (propensity {outcome['propensity']:g})" if outcome["propensity"] is not None else ""
        typer.echo(f"outcome: {outcome['outcome']}{chance}, {outcome['decided_at']} by {outcome['source']}")


def _show_model(found: dict[str, Any]) -> None:
    typer.echo(f"{found['version']} (stage, as last written down: {found['stage'] or 'none'})")
    newest = found["predictions"].pop("newest")
    for title in ("model", "gate", "predictions"):
        _section(title, found[title])
    for title, rows, names in (
        ("moves", found["moves"], ("created_at", "action", "from_stage", "to_stage", "actor", "reason")),
        ("newest answers", newest, ("created_at", "transaction_id", "fraud_score", "prediction", "degraded")),
    ):
        if rows:
            typer.echo(f"\n{title}")
            print_table(names, [[row[name] for name in names] for row in rows])


def _show_snapshot(found: dict[str, Any]) -> None:
    typer.echo(found["snapshot"] if found["data"] else f"{found['snapshot']} (no longer on disk)")
    if found["data"]:
        _section("data", found["data"])
    typer.echo("\nmodels" if found["models"] else "\nmodels: none registered")
    if found["models"]:
        names = ("version", "stage", "gate", "algorithm", "pr_auc", "run_id", "git_commit", "created_at")
        print_table(names, [[row[name] for name in names] for row in found["models"]])


def _section(title: str, content: dict[str, Any] | None) -> None:
    typer.echo(f"\n{title}" if content else f"\n{title}: none")
    if content:
        print_table(("", ""), [(f"  {name}", value) for name, value in content.items()])
