"""What `sentinel up` says before its first start, and what to try when it is done."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Final
from urllib.request import getproxies

from sentinel_core.settings import Settings

MINUTES: Final = "2 to 6 minutes"
MEMORY_GB: Final = 2.3
"""Of the whole stack at rest; measured, as the minutes on two cores are (docs/installation.md)."""
_EXAMPLE: Final = {
    "user_id": "user_000042",
    "amount": 1250.0,
    "merchant_id": "merchant_00789",
    "merchant_category": "online_shopping",
    "transaction_type": "purchase",
}


def plan(settings: Settings, rows: int, *, airflow: bool) -> str:
    """Return what a start will take; empty where the platform has a model already."""
    from sentinel_core.local.doctor import DISK_GB
    from sentinel_core.local.first_model import history_loaded
    from sentinel_core.local.paths import Layout
    from sentinel_core.local.start import selected

    if history_loaded(settings):
        return ""
    if Layout.of(settings).run.exists():
        return "Going on with a first start that did not end."
    processes = [(process.title, process.port(settings)) for process in selected(settings, airflow=airflow)]
    ports = ", ".join(f"{port} ({title})" for title, port in processes if port is not None)
    return (
        f"First start: it trains on {rows:,} generated transactions.\n"
        f"  time    {MINUTES} on two cores; the next start takes seconds\n"
        f"  memory  {MEMORY_GB} GB{'' if airflow else ' at most'}\n"
        f"  disk    {DISK_GB:.0f} GB in {settings.home}\n"
        f"  ports   {ports}, all on {settings.host}\n"
        "Ctrl-C is safe at any time: the same command goes on."
    )


def next_steps(settings: Settings) -> str:
    """Return three commands to try, how to stop, and how to remove everything; each works as printed."""
    sentinel = _sentinel()
    stop, clean, purge = (_make(target) for target in ("down", "clean", "purge"))
    if settings.home != _checkout() / ".sentinel":
        purge = f"{clean} && rm -rf {shlex.quote(str(settings.home))}"
    return (
        "Try:\n"
        f"  {curl(settings)}\n"
        f"  {sentinel} status\n"
        f"  {sentinel} models\n"
        f"Stop:               {stop}    (data and models stay)\n"
        f"Remove everything:  {purge}"
    )


def curl(settings: Settings) -> str:
    """Return a request for a score as a shell command."""
    parts = ["curl", "-s", f"http://127.0.0.1:{settings.serving_port}/api/v1/predict"]
    parts += ["-H", "Content-Type: application/json", "-d", json.dumps(_EXAMPLE)]
    if getproxies().get("http"):
        parts += ["--noproxy", "127.0.0.1"]
    command = shlex.join(parts)
    if settings.needs_api_key:
        # The shell's variable, since a key on the screen is a key in somebody's log.
        command += ' -H "X-API-Key: $SENTINEL_API_KEY"'
    return command


def interrupted() -> str:
    """Return what holds after Ctrl-C."""
    return f"Interrupted. What was started runs on: the same command goes on, `{_sentinel()} down` stops it."


def _checkout() -> Path:
    from sentinel_core.local.paths import project_root

    return project_root()


def _sentinel() -> str:
    program = Path(sys.executable).parent / "sentinel"
    return shlex.quote(_from_here(program)) if program.exists() else "sentinel"


def _make(target: str) -> str:
    folder = _from_here(_checkout())
    return f"make {target}" if folder == "." else f"make -C {shlex.quote(folder)} {target}"


def _from_here(path: Path) -> str:
    """Return a path as short as it works in this folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
