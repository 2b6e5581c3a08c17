"""The command line: `sentinel …`. Each module beside this one registers its commands; none imports anything heavy."""

from __future__ import annotations

import os
import sys

import typer

from sentinel_core.cli import (
    ablation,
    alerts,
    backtest,
    data,
    drift,
    features,
    keys,
    models,
    performance,
    replay,
    retrain,
    run,
    simulate,
    stack,
    trace,
)
from sentinel_core.errors import SentinelError
from sentinel_core.local.environment import without_proxy
from sentinel_core.local.paths import FULL_DISK


def make_app() -> typer.Typer:
    """Return the application with all commands."""
    app = typer.Typer(
        name="sentinel",
        help="Real-time card-fraud detection: its platform, its data, its models.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    watching = (drift, performance, alerts, retrain)
    for module in (stack, run, data, features, models, *watching, simulate, backtest, ablation, replay, trace, keys):
        module.register(app)
    return app


def main() -> None:
    """Run the command line; what a user can act on becomes one line on stderr and exit code 1."""
    os.environ.update(without_proxy(os.environ))
    try:
        make_app()()
    except SentinelError as error:
        sys.exit(f"sentinel: {error}")
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        place = error.filename or os.environ.get("SENTINEL_HOME", ".sentinel")
        sys.exit(f"sentinel: expected space on the disk of {place}, it is full. Free some, then run the command again.")
