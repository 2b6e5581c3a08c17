"""The commands on API keys: keys create, keys list, keys revoke."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from sentinel_core.cli.output import print_json, print_table
from sentinel_core.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Name = Annotated[str, typer.Argument(help="Whose key it is: letters, digits, '.', '_' and '-'.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    keys = typer.Typer(help="API keys of the service: create, list, revoke.", no_args_is_help=True)
    keys.command()(create)
    keys.command("list")(list_keys)
    keys.command()(revoke)
    app.add_typer(keys, name="keys")


def create(name: Name, json: Json = False) -> None:
    """Make a key and show it, once: only its hash is kept. A running service takes it at once."""
    from sentinel_core.local.api_keys import create_key
    from sentinel_core.stores.key_hash import hash_of

    key = create_key(load_settings(), name, datetime.now(UTC))
    if json:
        print_json({"name": name, "key": key, "sha256": hash_of(key)})
        return
    typer.echo(key)
    typer.echo(f"The key of {name}, shown this once. Clients send it as X-API-Key.", err=True)


def list_keys(json: Json = False) -> None:
    """List the known keys by name; the keys themselves are known to nobody but their owners."""
    from sentinel_core.stores.api_keys import given_keys, kept_keys

    settings = load_settings()
    found = [(one, "SENTINEL_API_KEYS") for one in given_keys(settings)]
    found += [(one, "sentinel keys create") for one in kept_keys(settings)]
    if json:
        rows = [{"name": one.name, "created_at": one.created_at, "from": source} for one, source in found]
        print_json({"keys": rows})
        return
    print_table(("name", "created", "from"), [(one.name, one.created_at, source) for one, source in found])


def revoke(name: Name, json: Json = False) -> None:
    """Forget a key; a running service refuses it within a second."""
    from sentinel_core.local.api_keys import revoke_key

    revoke_key(load_settings(), name)
    if json:
        print_json({"revoked": name})
    else:
        typer.echo(f"The key of {name} is revoked.")
