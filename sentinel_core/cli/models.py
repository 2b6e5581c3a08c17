"""The commands on models: train, models, promote, rollback."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting, split_names
from sentinel_core.cli.training_lines import training_lines
from sentinel_core.errors import DataError, RegistryError
from sentinel_core.settings import load_settings

if TYPE_CHECKING:
    from sentinel_core.flows.ingest import Request

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
SHOWN_MOVES = 20
_METRICS = ("pr_auc", "roc_auc", "precision", "recall", "f1")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (train, models, promote, rollback):
        app.command()(command)


def train(  # noqa: PLR0913 (an option each)
    *,
    data: Annotated[Path | None, typer.Option(help="Train on a CSV or Parquet file.")] = None,
    columns: Annotated[Path | None, typer.Option(help="The file's column map, TOML.")] = None,
    rows: Annotated[int | None, typer.Option(help="Train on so many generated transactions.")] = None,
    from_database: Annotated[bool, typer.Option("--from-database", help="Train on PostgreSQL's transactions.")] = False,
    as_of: Annotated[
        str | None, typer.Option(help="With --from-database: as it would have been then, ISO 8601, UTC.")
    ] = None,
    recorded_by: Annotated[
        str | None, typer.Option(help="With --as-of: from what had been recorded by then; the same moment by default.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option("--models", help="Candidates, all by default.")] = None,
    fraud_rate: Annotated[float, typer.Option(help="Share of fraud among generated transactions.")] = 0.02,
    output_dir: Annotated[
        Path | None, typer.Option(help="Also write model, metrics, importances and report into this folder.")
    ] = None,
    mlflow: Annotated[
        bool,
        typer.Option(
            "--mlflow/--no-mlflow",
            help="Register and promote the best model; or train without any server, into --output-dir.",
        ),
    ] = True,
    seed: Annotated[int, typer.Option(help="Of the generator and of the models.")] = 0,
    search: Annotated[bool, typer.Option(help="Search the models' settings, or train with the defaults.")] = True,
    repeat_attempt: Annotated[
        bool, typer.Option("--repeat-attempt", help="Judge on labels that were judged on before, by a stricter bound.")
    ] = False,
    json: Json = False,
) -> None:
    """Train the candidates, compare them, register the best and promote it if it passes its floors.

    With --no-mlflow no server is needed: the best model goes into --output-dir (artifacts), and nothing is registered.
    """
    chosen = [name for name, given in (("--data", data), ("--rows", rows), ("--from-database", from_database)) if given]
    if len(chosen) > 1 or (columns and not data):
        raise DataError(
            "expected one of --data FILE [--columns MAP], --rows N and --from-database, "
            f"got {' and '.join(chosen) or '--columns alone'}.",
            remedy="Name one source.",
        )
    if from_database and not mlflow:
        raise DataError(
            "expected --data FILE or --rows N with --no-mlflow, got --from-database: it needs PostgreSQL.",
            remedy="Train on a file, or leave --no-mlflow out.",
        )
    from sentinel_core.flows.ingest import Request
    from sentinel_core.flows.pipeline import TrainingPipeline
    from sentinel_core.local.retraining import active_trainings

    request = Request(
        source="file" if data else "database" if from_database else "synthetic",
        rows=rows or 100_000,
        fraud_rate=fraud_rate,
        seed=seed,
        file=str(data) if data else None,
        column_map=str(columns) if columns else None,
        as_of=as_of,
        recorded_by=recorded_by,
    )
    settings = load_settings()
    with reporting() as reporter, reporter.step(f"Training on {_named(request)}") as tell:
        pipeline = TrainingPipeline(
            settings,
            output_dir=output_dir,
            use_mlflow=mlflow,
            active=lambda: active_trainings(settings),
            progress=tell,
        )
        outcome = pipeline.run_on(request, models=split_names(model), searched=search, repeated=repeat_attempt)
    if json:
        print_json(outcome)
    else:
        _show_training(outcome)


def models(
    *,
    moves: Annotated[int, typer.Option(min=0, help="Show so many of the newest moves; 0 shows all.")] = SHOWN_MOVES,
    json: Json = False,
) -> None:
    """List the versions with stage, gate and hold-out metrics, what needs a look, and the moves, newest first."""
    from sentinel_core.flows.moves import list_models

    found = list_models(load_settings(), now=datetime.now(UTC))
    if json:
        print_json(found)
        return
    names = ("version", "stage", "gate", "algorithm", "pr_auc", "roc_auc", "precision", "recall", "f1_score", "number")
    print_table(names, [[_short(version[name]) for name in names] for version in found["versions"]])
    for warning in found["warnings"]:
        typer.secho(f"! {warning}", fg="yellow", bold=True)
    shown = found["moves"][: moves or None]
    if shown:
        typer.echo("")
        facts = ("created_at", "model_version", "action", "from_stage", "to_stage", "actor", "reason")
        print_table(facts, [[_short(move[name]) for name in facts] for move in shown])
    if len(shown) < len(found["moves"]):
        typer.echo(f"… and {len(found['moves']) - len(shown)} earlier moves: sentinel models --moves 0")


def promote(
    version: Annotated[str, typer.Argument(help="A version, as `sentinel models` names it.")],
    stage: Annotated[str, typer.Option(help="None, Staging, Production or Archived.")] = "Production",
    reason: Annotated[str, typer.Option(help="Why, for the log of moves.")] = "moved by hand",
    json: Json = False,
) -> None:
    """Move a version to a stage; what was there goes to Archived."""
    from sentinel_core.flows.moves import move_version
    from sentinel_core.registry.promotion import STAGES

    wanted = next((known for known in STAGES if known.casefold() == stage.casefold()), None)
    if wanted is None:
        raise RegistryError(f"expected one of the stages {', '.join(STAGES)}, got {stage!r}.", remedy="Name one.")
    actor, now = getpass.getuser(), datetime.now(UTC)
    _show_move(move_version(load_settings(), version, wanted, actor=actor, reason=reason, now=now), json)


def rollback(
    version: Annotated[str | None, typer.Argument(help="A version; without it, the one before the present.")] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the log of moves.")] = "rolled back",
    json: Json = False,
) -> None:
    """Put the previous Production version, or one that you name, back; again, and it goes further back."""
    from sentinel_core.flows.moves import rollback as roll_back

    actor, now = getpass.getuser(), datetime.now(UTC)
    _show_move(roll_back(load_settings(), actor=actor, to=version, reason=reason, now=now), json)


def _show_move(moved: dict[str, Any], json: bool) -> None:
    if json:
        print_json(moved)
    else:
        typer.echo(f"{moved['version']} is in {moved['stage']} (before: {moved['before']}).")


def _show_training(outcome: dict[str, Any]) -> None:
    rows = []
    for row in outcome["table"]:
        best = "→" if row["model"] == outcome["model"] else ""
        rows.append((best, row["model"], *(f"{row[metric]:.4f}" for metric in _METRICS), f"{row['seconds']:.0f}"))
    print_table(("", "model", *_METRICS, "seconds"), rows)
    typer.echo("")
    if outcome["verdict"] is not None:
        from sentinel_core.training.verdict import Verdict

        typer.echo(Verdict.from_dict(outcome["verdict"]).table())
        typer.echo("")
    for line in training_lines(outcome):
        typer.echo(line)


def _named(request: Request) -> str:
    if request.source == "file":
        return Path(str(request.file)).name
    return "PostgreSQL" if request.source == "database" else f"{request.rows:,} generated transactions"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)
