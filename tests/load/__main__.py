"""`make load`: Locust against the running service.

make load                             # Locust's page, on this machine only
make load PROFILE=steady500           # a headless run with a budget; its report lies in .bench/load/
make load ARGS="--headless"           # the same
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from sentinel_core.settings import Settings, is_loopback, load_settings
from tests.benchmarks.machine import machine
from tests.load.profiles import DEFAULT, Profile, judge, read_profiles

FOLDER: Final = Path(".bench/load")
LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_STOP_SECONDS: Final = 10
_SLACK_SECONDS: Final = 60
"""How much longer than its profile a run may take before it is ended."""
_CANNOT_RUN: Final = 2


def main(arguments: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """Run Locust; return 0, 1 where the budget was missed, 2 where nothing could be run."""
    profiles = read_profiles()
    given = _parser(profiles).parse_args(arguments)
    settings = settings or load_settings()
    url = given.host or f"http://127.0.0.1:{settings.serving_port}"
    refusal = _refusal(url, given.allow_remote)
    if refusal:
        print(refusal, file=sys.stderr)
        return _CANNOT_RUN
    options = ["--host", url, *(["--allow-remote"] if given.allow_remote else [])]
    key = os.environ.get("SENTINEL_API_KEY") or settings.api_key or ""
    if given.profile is None and not given.headless:
        return _locust([*options, "--web-host", "127.0.0.1", "--web-port", str(given.web_port)], key).returncode
    profile = profiles[given.profile or DEFAULT]
    try:
        figures = run_profile(profile, url, key=key, options=options)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return _CANNOT_RUN
    return _verdict(profile, figures)


def run_profile(
    profile: Profile, url: str, *, key: str = "", options: Sequence[str] = (), folder: Path = FOLDER
) -> dict[str, Any]:
    """Run a profile headless, and return its figures, which also lie in `folder` beside Locust's report.

    `generator_cores` is how much of a core Locust itself took. Raises `RuntimeError` where Locust ended without any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / f"{profile.name}.figures.json"
    found.unlink(missing_ok=True)
    seconds = profile.warm_up + profile.seconds
    command = [
        *(options or ("--host", url)),
        *("--headless", "--only-summary", "--loglevel", "WARNING", "--reset-stats", "--exit-code-on-error", "0"),
        *("--users", str(profile.users), "--spawn-rate", str(profile.users / max(profile.warm_up, 1))),
        *("--measured-seconds", str(profile.seconds), "--stop-timeout", str(_STOP_SECONDS)),
        *("--run-time", f"{seconds + _SLACK_SECONDS // 2}s"),
        *("--rate-per-user", str(profile.rate_per_user), "--mix", json.dumps(dict(profile.mix))),
        *("--html", str(folder / f"{profile.name}.html"), "--figures", str(found)),
    ]
    before, own = machine(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = _locust(command, key, timeout=seconds + _SLACK_SECONDS)
    if not found.is_file():
        raise RuntimeError(f"Locust ended with code {done.returncode} and without figures; its messages are above.")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
    figures: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    found.unlink()
    figures |= {
        "users": profile.users,
        "rate": profile.rate,
        "generator_cores": round(cpu / seconds, 2),
        "missed": judge(profile, figures),
    }
    document = {"profile": profile.name, "url": url, "machine": before, "figures": figures}
    (folder / f"{profile.name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return figures


def _verdict(profile: Profile, figures: dict[str, Any]) -> int:
    whole = figures["all"]
    print(
        f"{profile.name}: {whole['requests']:,} requests, {whole['requests_per_s']:g} a second, "
        f"p50 {whole['p50_ms']:g} ms, p99 {whole['p99_ms']:g} ms, {whole['failures']} failed, "
        f"{figures['degraded']:,} of {figures['predictions']:,} predictions degraded; "
        f"Locust took {figures['generator_cores']:g} of a core. Report: {FOLDER / f'{profile.name}.html'}"
    )
    for error in figures["errors"][:10]:
        print(f"  {error}", file=sys.stderr)
    if figures["missed"]:
        print(f"{profile.name} missed its budget: {'; '.join(figures['missed'])}.", file=sys.stderr)
        return 1
    print(f"{profile.name} kept its budget.")
    return 0


def _refusal(url: str, allow_remote: bool) -> str:
    """Return why this target is not loaded, "" where it is."""
    host = urlsplit(url).hostname or ""
    if not (is_loopback(host) or allow_remote):
        return (
            f"expected a service on this machine, got {url}. A load test can take a machine down, and its transactions "
            "stay in the histories, the database and the figures of the service. --allow-remote does it all the same."
        )
    try:
        status = httpx.get(f"{url}/health", timeout=10).status_code
    except (httpx.TransportError, httpx.InvalidURL) as error:
        what = type(error).__name__
        return f"expected the service at {url}, got {what}. Start it with `make up`, or name it: --host URL."
    if status != httpx.codes.OK:
        return f"expected {url}/health to answer 200, got {status}: see `sentinel doctor`."
    return ""


def _locust(options: Sequence[str], key: str, timeout: float | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run Locust in a process of its own, since importing it replaces sockets and threads."""
    # Locust would also take options from LOCUST_…; the key is no argument, which others on the machine could read.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    environment |= {"SENTINEL_API_KEY": key, "PYTHONPATH": os.pathsep.join([str(LOCUSTFILE.parents[2]), *sys.path[1:]])}
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), *options]
    try:
        return subprocess.run(command, env=environment, stdout=sys.stderr, check=False, timeout=timeout)
    except KeyboardInterrupt:
        return subprocess.CompletedProcess(command, 0)


def _parser(profiles: dict[str, Profile]) -> argparse.ArgumentParser:
    shown = "\n".join(f"  {name:<10} {profile.about}" for name, profile in profiles.items())
    parser = argparse.ArgumentParser(
        prog="make load",
        description="Drive the running service with Locust: by its page, or headless by a profile with a budget.",
        epilog=f"profiles:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", choices=list(profiles), help="run this profile headless")
    parser.add_argument(
        "--headless", action="store_true", help=f"run without the page; {DEFAULT} unless --profile says"
    )
    parser.add_argument("--host", metavar="URL", help="the service (http://127.0.0.1:SENTINEL_SERVING_PORT)")
    parser.add_argument("--allow-remote", action="store_true", help="load another machine than this one")
    parser.add_argument("--web-port", type=int, default=8089, help="the port of Locust's page (8089)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
