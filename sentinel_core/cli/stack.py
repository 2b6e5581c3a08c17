"""The platform's own commands: up, down, status, logs, doctor, env."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel_core.cli import welcome
from sentinel_core.cli.output import print_json, print_table, reporting, split_names
from sentinel_core.errors import LocalError, SettingsError
from sentinel_core.settings import Settings, load_settings

if TYPE_CHECKING:
    from sentinel_core.local.up import Arrival

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (up, down, status, logs, doctor, env):
        app.command()(command)


def up(
    without: Annotated[list[str] | None, typer.Option(help="Leave a part out: airflow.")] = None,
    rows: Annotated[int, typer.Option(min=1_000, help="Generated transactions of the first training.")] = 100_000,
    model: Annotated[list[str] | None, typer.Option("--models", help="Its candidates, all by default.")] = None,
    json: Json = False,
) -> None:
    """Start everything, train, promote, serve, and show where it is."""
    from sentinel_core.local.up import up as bring_up
    from sentinel_core.training.candidates import candidate

    unknown = set(without or ()) - {"airflow"}
    if unknown:
        raise SettingsError(
            f"expected --without airflow, got {', '.join(sorted(unknown))}.", remedy="Only Airflow can be left out."
        )
    models = split_names(model)
    for name in models or ():
        candidate(name)  # raises: a training that fails after minutes says it too late
    settings = load_settings()
    begun = time.monotonic()
    if expected := welcome.plan(settings, rows, airflow=not without):
        typer.echo(expected, err=True)
    try:
        with reporting() as reporter:
            arrival = bring_up(
                settings,
                rows=rows,
                models=models,
                airflow=not without,
                clock=lambda: datetime.now(UTC),
                reporter=reporter,
            )
    except KeyboardInterrupt:
        typer.echo(welcome.interrupted(), err=True)
        raise typer.Exit(130) from None
    seconds = round(time.monotonic() - begun, 1)
    if json:
        print_json(_arrival_document(settings, arrival, seconds))
    else:
        _show_arrival(settings, arrival, seconds)


def down(json: Json = False) -> None:
    """Stop everything; data and models stay."""
    from sentinel_core.local.up import down as bring_down

    settings = load_settings()
    with reporting() as reporter:
        stopped = bring_down(settings, reporter)
    if json:
        print_json({"stopped": stopped})
    else:
        typer.echo(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


def status(json: Json = False) -> None:
    """List each process with pid, port, health and memory."""
    from sentinel_core.local.status import status as look

    found = look(load_settings())
    if json:
        print_json({"processes": [process.to_dict() for process in found]})
        return
    rows = [
        (
            process.name,
            process.state,
            process.pid,
            process.url or process.port,
            "yes" if process.healthy else "no",
            process.memory_mb,
        )
        for process in found
    ]
    print_table(("process", "state", "pid", "where", "healthy", "MB"), rows)
    typer.echo(f"{sum(process.memory_mb or 0.0 for process in found):,.0f} MB in all")


def logs(
    name: Annotated[str, typer.Argument(help="A process, as `sentinel status` names it.")],
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of the last lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written.")] = False,
) -> None:
    """Print the log of one process."""
    from sentinel_core.local.paths import Layout

    layout = Layout.of(load_settings())
    path = layout.log(name)
    if not path.is_file():
        known = ", ".join(sorted(log.stem for log in layout.logs.glob("*.log"))) or "none: nothing was started yet"
        raise LocalError(f"expected a log for {name!r} in {layout.logs}, found {known}.", remedy="Name one of them.")
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in deque(file, maxlen=lines):
            typer.echo(line, nl=False)
        position = file.tell()
    while follow:
        position = _print_from(path, position)
        time.sleep(0.3)


def _print_from(path: Path, position: int) -> int:
    """Print what a log holds from `position` on; after a rotation the new file comes from its start."""
    with path.open(encoding="utf-8", errors="replace") as file:
        file.seek(position if path.stat().st_size >= position else 0)
        for line in file:
            typer.echo(line, nl=False)
        return file.tell()


def doctor(json: Json = False) -> None:
    """Check ports, disk, memory and versions, and say what to do."""
    from sentinel_core.local.doctor import examine
    from sentinel_core.local.status import status as look

    settings = load_settings()
    running = [process.name for process in look(settings) if process.pid is not None]
    checks = examine(settings, running=running)
    if json:
        keys = ("name", "verdict", "found", "remedy")
        print_json({"checks": [{key: getattr(check, key) for key in keys} for check in checks]})
    else:
        print_table(("", "check", "found", "what to do"), [(c.verdict, c.name, c.found, c.remedy) for c in checks])
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(1)


def env(path: Annotated[Path, typer.Option("--file", help="Where to write.")] = Path(".env")) -> None:
    """Write .env with generated secrets, for docker compose; what it holds already stays."""
    from sentinel_core.local.dotenv import write_env

    typer.echo(write_env(path))


def _arrival_document(settings: Settings, arrival: Arrival, seconds: float) -> dict[str, object]:
    return {
        "seconds": seconds,
        "started": list(arrival.started),
        "trained": arrival.trained,
        "model_version": arrival.model_version,
        "warning": arrival.warning,
        "answers": [
            {"title": answer.title, "request": answer.request, "response": answer.response}
            for answer in arrival.answers
        ],
        "urls": {name: url for name, url, _ in _places(settings)},
    }


def _show_arrival(settings: Settings, arrival: Arrival, seconds: float) -> None:
    for answer in arrival.answers:
        response = answer.response
        verdict = "fraud" if response["prediction"] else "legitimate"
        typer.echo(
            f"\n{answer.title}\n  score {response['fraud_score']:.4f} → {verdict} "
            f"({response['confidence']} confidence, {response['inference_time_ms']:.1f} ms)"
        )
    typer.echo("")
    print_table(("what", "where", "login"), _places(settings))
    if arrival.warning:
        typer.secho(f"\n! {arrival.warning}", fg="yellow", bold=True)
    what = "Trained and promoted" if arrival.trained else "In Production"
    typer.echo(f"\n{what}: {arrival.model_version}. ", nl=False)
    if arrival.started:
        typer.echo(f"Started {len(arrival.started)} processes in {seconds:.0f} s.")
    else:
        typer.echo(f"Everything was in place already ({seconds:.1f} s).")
    typer.echo(f"\n{welcome.next_steps(settings)}")


def _places(settings: Settings) -> list[tuple[str, str, str]]:
    from sentinel_core.local.airflow import ADMIN
    from sentinel_core.local.paths import Layout
    from sentinel_core.local.processes import PROCESS
    from sentinel_core.local.status import address
    from sentinel_core.local.supervisor import Supervisor

    known = Supervisor(Layout.of(settings)).states()
    rows = [
        ("Scoring service", f"http://127.0.0.1:{settings.serving_port}/docs", ""),
        ("MLflow", settings.mlflow_tracking_uri, ""),
    ]
    if "airflow-api-server" in known:
        login = f"{ADMIN} / {settings.secret('airflow_password')}"
        rows.append(("Airflow", f"http://127.0.0.1:{settings.airflow_port}", login))
    secrets = settings.home / "secrets.json"
    for name, user in (("postgres", "sentinel / "), ("redis", "")):
        process = PROCESS[name]
        login = f"{user}{name}_password in {secrets}" if process.ours(settings) else "as you named it"
        rows.append((process.title, address(settings, process) or "", login))
    return rows
