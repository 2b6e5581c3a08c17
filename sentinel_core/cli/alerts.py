"""The commands on alerts: alerts, alerts acknowledge, alerts check, alerts test."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table
from sentinel_core.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(help="Alerts: list those that are open, acknowledge, check the rules now, test the channels.")
    group.callback(invoke_without_command=True)(alerts)
    group.command()(acknowledge)
    group.command()(check)
    group.command("test")(try_channels)
    app.add_typer(group, name="alerts")


def alerts(
    context: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that ended too, the newest 100.")] = False,
    json: Json = False,
) -> None:
    """List the alerts that have not ended."""
    if context.invoked_subcommand is not None:
        return
    from sentinel_core.flows.alerts import recent_alerts

    found = recent_alerts(load_settings(), only_open=not everything)
    if json:
        print_json({"alerts": found})
    elif found:
        print_table(
            ("id", "since", "severity", "rule", "state", "value", "fires", "by"), [_cells(one) for one in found]
        )
    else:
        typer.echo("No alerts yet." if everything else "No open alerts.")


def acknowledge(
    number: Annotated[int, typer.Argument(metavar="ID", help="The number of an alert, as `sentinel alerts` shows it.")],
    reason: Annotated[str, typer.Option(help="Why nobody else needs to look.")],
    json: Json = False,
) -> None:
    """Write down that you take care of an alert; it still ends by itself, with a message."""
    from sentinel_core.flows.alerts import acknowledge_alert

    found = acknowledge_alert(load_settings(), number, actor=getpass.getuser(), reason=reason, now=datetime.now(UTC))
    if json:
        print_json({"result": found["state"], "alert": found})
    elif found["state"] == "resolved":
        typer.echo(f"Alert {found['id']} ({found['rule']}) was resolved at {_moment(found['resolved_at'])}.")
    else:
        by, at = found["acknowledged_by"], _moment(found["acknowledged_at"])
        typer.echo(f"Alert {found['id']} ({found['rule']}) was acknowledged by {by} at {at}.")


def check(
    send: Annotated[bool, typer.Option(help="Send what begins and what ends, or only write it down.")] = True,
    json: Json = False,
) -> None:
    """Judge every rule now, as the DAG alert_check does every five minutes; each check counts as a reading."""
    from sentinel_core.flows.alerts import check_alerts

    found = check_alerts(load_settings(), now=datetime.now(UTC), send=send)
    if json:
        print_json({"rules": found})
        return
    rows = [(one["rule"], one["severity"], one["change"] or one["state"], one["reason"]) for one in found]
    print_table(("rule", "severity", "state", "reason"), rows)


def try_channels(json: Json = False) -> None:
    """Send a message to every channel of SENTINEL_NOTIFY_URLS and say how that went."""
    from sentinel_core.flows.notifications import send_test

    found = send_test(load_settings())
    if json:
        print_json({"channels": found})
        return
    rows = [(one["channel"], "sent" if one["sent"] else "failed", one["attempts"], one["reason"]) for one in found]
    print_table(("channel", "state", "attempts", "reason"), rows)


def _cells(incident: Mapping[str, Any]) -> list[object]:
    from sentinel_core.monitoring.alert_text import shown

    facts = incident["details"]
    unit = facts.get("unit", "")
    fires = f"{facts['comparison']} {shown(incident['threshold'], unit)}" if "comparison" in facts else ""
    value = shown(incident["value"], unit) if incident["value"] is not None else ""
    told = (incident["severity"], incident["rule"], incident["state"])
    return [incident["id"], _moment(incident["fired_at"]), *told, value, fires, incident["acknowledged_by"]]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
