"""What must hold before a start, and what to do where it does not."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import psutil

from sentinel_core.errors import LocalError, SentinelError
from sentinel_core.local.binaries import find_postgres, find_redis
from sentinel_core.local.health import postgres_is_well
from sentinel_core.local.paths import project_root
from sentinel_core.local.ports import describe_owner, is_free
from sentinel_core.local.processes import PROCESSES
from sentinel_core.local.redis import impatient_client
from sentinel_core.settings import Settings

DISK_GB: Final = 1.0
MEMORY_GB: Final = 1.5
COMFORTABLE_MEMORY_GB: Final = 3.0
_PORT_SETTINGS: Final = {
    "postgres": "SENTINEL_EMBEDDED_POSTGRES_PORT",
    "redis": "SENTINEL_EMBEDDED_REDIS_PORT",
    "mlflow": "SENTINEL_MLFLOW_PORT",
    "airflow-api-server": "SENTINEL_AIRFLOW_PORT",
    "serving": "SENTINEL_SERVING_PORT",
    "explainer": "SENTINEL_EXPLAINER_PORT",
}
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(?:\s*;\s*(.*?))?\s*\\?$")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: `fail` stops a start, `warn` does not."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""


def examine(settings: Settings, *, running: Collection[str] = (), airflow: bool = True) -> list[Check]:
    """Return every check of this machine for these settings; `running` names processes whose ports are taken by us."""
    return [
        check_python(),
        check_packages(),
        check_postgres(settings),
        check_redis(settings),
        check_alert_rules(settings),
        *check_ports(settings, running=running, airflow=airflow),
        check_disk(settings.home),
        check_memory(running=bool(running)),
    ]


def demand(checks: Collection[Check]) -> None:
    """Raise `LocalError` with the first check that failed, in one line."""
    for check in checks:
        if check.verdict == "fail":
            raise LocalError(f"{check.name}: {check.found}.", remedy=check.remedy)


def check_python() -> Check:
    """CPython 3.11 to 3.13."""
    found = f"Python {platform.python_version()} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check("python", "ok", found)
    return Check("python", "fail", f"expected Python 3.11, 3.12 or 3.13, found {found}", "make clean, then make up")


def check_alert_rules(settings: Settings) -> Check:
    """Alert rules that make sense, and how many channels get the messages."""
    from sentinel_core.flows.alerts import load_rules
    from sentinel_core.notify.channels import channels

    try:
        rules = load_rules(settings)
    except SentinelError as error:
        return Check("alert rules", "fail", error.message.rstrip("."), error.remedy)
    names = ", ".join(channel.name for channel in channels(settings.notify_urls))
    return Check("alert rules", "ok", f"{len(rules)} rules, {f'sent to {names}' if names else 'sent nowhere'}")


def check_packages() -> Check:
    """What is installed is what requirements.txt locks."""
    from packaging.markers import Marker

    different = []
    count = 0
    for line in (project_root() / "requirements.txt").read_text(encoding="utf-8").splitlines():
        pin = _PIN.match(line)
        if pin is None or (pin[3] and not Marker(pin[3]).evaluate()):
            continue
        count += 1
        try:
            installed = version(pin[1])
        except PackageNotFoundError:
            installed = "none"
        if installed != pin[2]:
            different.append(f"{pin[1]} {installed} instead of {pin[2]}")
    if not different:
        return Check("packages", "ok", f"{count} as locked in requirements.txt")
    shown = ", ".join(different[:3]) + (f" and {len(different) - 3} more" if len(different) > 3 else "")
    return Check(
        "packages", "warn", f"expected what requirements.txt locks, found {shown}", "rm -rf .venv, then make up"
    )


def check_postgres(settings: Settings) -> Check:
    """Programs for the embedded PostgreSQL, or an answer from the one that is named."""
    if settings.embedded_postgres:
        try:
            return Check("postgres", "ok", f"embedded, {find_postgres().folder}")
        except LocalError as error:
            return Check("postgres", "fail", error.message.rstrip("."), error.remedy)
    if postgres_is_well(settings):
        return Check("postgres", "ok", "the server that DATABASE_URL or DB_HOST names answers")
    return Check(
        "postgres",
        "fail",
        "expected an answer from the PostgreSQL that DATABASE_URL or DB_HOST names, got none",
        "Start it, correct the URL, or unset both for an embedded one.",
    )


def check_redis(settings: Settings) -> Check:
    """A program for the embedded Redis, or a named one that answers and never evicts."""
    if settings.embedded_redis:
        try:
            return Check("redis", "ok", f"embedded, {find_redis()}")
        except LocalError as error:
            return Check("redis", "fail", error.message.rstrip("."), error.remedy)
    import redis

    try:
        with impatient_client(settings.redis_url) as client:
            policy = str(client.info("memory").get("maxmemory_policy", "noeviction"))
    except (redis.RedisError, SentinelError) as error:
        return Check(
            "redis",
            "fail",
            f"expected an answer from the Redis that REDIS_URL or REDIS_HOST names, got: {error}",
            "Start it, correct the URL, or unset both for an embedded one.",
        )
    if policy != "noeviction":
        return Check(
            "redis",
            "fail",
            f"expected maxmemory-policy noeviction, found {policy}: histories and answers could vanish",
            "CONFIG SET maxmemory-policy noeviction, and in its configuration.",
        )
    return Check("redis", "ok", "the server that REDIS_URL or REDIS_HOST names answers and never evicts")


def check_ports(settings: Settings, *, running: Collection[str] = (), airflow: bool = True) -> list[Check]:
    """The ports of what is ours to run are free, or taken by what we run already; and no two are the same."""
    checks = []
    used: dict[int, str] = {}
    for process in PROCESSES:
        port = process.port(settings)
        if port is None or not process.wanted(settings, airflow=airflow):
            continue
        name, setting = f"port {port} ({process.name})", _PORT_SETTINGS[process.name]
        if port in used:
            checks.append(
                Check(name, "fail", f"expected a port of its own, {used[port]} has it too", f"Set {setting}.")
            )
        elif process.name in running:
            checks.append(Check(name, "ok", "ours"))
        elif is_free(port):
            checks.append(Check(name, "ok", "free"))
        else:
            remedy = f"Stop it, or set {setting} to a free port."
            checks.append(Check(name, "fail", f"expected it to be free, found {describe_owner(port)} on it", remedy))
        used[port] = process.name
    return checks


def check_disk(home: Path, *, least_gb: float = DISK_GB) -> Check:
    """Enough space where the home lies or will lie."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free / 1e9
    if free >= least_gb:
        return Check("disk", "ok", f"{free:.1f} GB free at {place}")
    return Check(
        "disk",
        "fail",
        f"expected {least_gb:.1f} GB free at {place}, found {free:.2f} GB",
        "Free some, or set SENTINEL_HOME to a folder on another disk.",
    )


def check_memory(*, running: bool = False, least_gb: float = MEMORY_GB) -> Check:
    """Enough memory for the whole stack; what already runs has its share."""
    available = psutil.virtual_memory().available / 1e9
    found = f"{available:.1f} GB available"
    if running or available >= COMFORTABLE_MEMORY_GB:
        return Check("memory", "ok", found)
    expected = f"expected {COMFORTABLE_MEMORY_GB:.1f} GB available, found {available:.1f} GB"
    remedy = "Close other programs, or start without Airflow: sentinel up --without airflow."
    return Check("memory", "warn" if available >= least_gb else "fail", expected, remedy)
