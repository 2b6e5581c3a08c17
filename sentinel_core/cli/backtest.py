"""The command backtest: how models would have done in windows of a history."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel_core.cli.output import print_json, print_table, reporting, split_names
from sentinel_core.cli.spans import duration, span
from sentinel_core.errors import DataError
from sentinel_core.settings import load_settings

_SHOWN = ("roc_auc", "pr_auc", "card_precision_100", "precision", "recall", "f1", "value_detected", "cost_saved")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(backtest)


def backtest(  # noqa: PLR0913 (an option each)
    file: Annotated[Path, typer.Argument(help="A labelled history, CSV or Parquet.")],
    *,
    train: Annotated[str, typer.Option(help="A:B, such as 2018-07-25:2018-07-31, both days included; UTC.")],
    test: Annotated[str, typer.Option(help="C:D, after the training window.")],
    columns: Annotated[Path | None, typer.Option(help="The file's column map, TOML.")] = None,
    label_delay: Annotated[str | None, typer.Option(help="How long a label takes, such as 7d.")] = None,
    calibrate: Annotated[str | None, typer.Option(help="E:F, between the two; else out of fold in training.")] = None,
    exclude_known_cards: Annotated[
        bool, typer.Option("--exclude-known-cards", help="Leave out users whose fraud was known the day before.")
    ] = False,
    model: Annotated[list[str] | None, typer.Option("--models", help="Candidates, all by default.")] = None,
    blend: Annotated[str | None, typer.Option(help="Judge the mean logit of these models too: A,B.")] = None,
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="TOML: a table of hyperparameters for each model.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, help="So many periods, each --step later (prequential).")] = 1,
    step: Annotated[str | None, typer.Option(help="From one period to the next, such as 7d.")] = None,
    seed: Annotated[int, typer.Option(help="Of the models.")] = 0,
    report: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Parquet file to write: the score of every test row.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Train on one window of a history and judge on a later one, with what was known at the time."""
    for out in (report, scores):
        if out and not out.parent.is_dir():
            raise DataError(f"expected a folder at {out.parent}, found none.", remedy="Make it first.")
    middle = span(calibrate, "--calibrate") if calibrate else None
    delay = duration(label_delay, "--label-delay") if label_delay else None
    given = read_settings(settings_file) if settings_file else {}
    from sentinel_core.flows.backtest import Plan, run, write_scores
    from sentinel_core.flows.ingest import Request
    from sentinel_core.flows.pipeline import MODELS
    from sentinel_core.flows.whole_file import write_json

    plan = Plan(
        span(train, "--train"),
        span(test, "--test"),
        calibrate=middle,
        models={name: given.get(name, {}) for name in split_names(model) or MODELS},
        label_delay=delay,
        folds=folds,
        step=duration(step, "--step") if step else timedelta(),
        blend=split_names([blend]) or () if blend else (),
        exclude_known_cards=exclude_known_cards,
        seed=seed,
    )
    request = Request("file", file=str(file), column_map=str(columns) if columns else None)
    with reporting() as reporter, reporter.step(f"Backtest on {file.name}") as tell:
        found = run(load_settings(), request, plan, now=datetime.now(UTC), progress=tell)
    if report:
        write_json(found.document, report)
    if scores:
        write_scores(found, scores)
    if json:
        print_json(found.document)
    else:
        _show(found.document)


def read_settings(path: Path) -> dict[str, Any]:
    """Read hyperparameters by model from a TOML file; raises `DataError` where it is none."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(
            f"expected a TOML file of hyperparameters at {path}, got: {error}.",
            remedy="Write a table for each model, such as [random_forest] with n_estimators = 200.",
        ) from None
    for name, table in given.items():
        if not isinstance(table, dict):
            raise DataError(
                f"expected a table [{name}] in {path}, got the value {table!r}.", remedy="Put it under a model's name."
            )
    return given


def _show(found: dict[str, Any]) -> None:
    for period in found["periods"]:
        (start, end), (begin, stop) = period["train"], period["test"]
        typer.echo(
            f"train {start:.16} to {end:.16}, {period['train_rows']:,} rows | test {begin:.16} to {stop:.16},"
            f" {period['test_rows']:,} rows, {period['test_frauds']:,} frauds"
            + (f", {period['left_out']:,} rows of known cards left out" if found["exclude_known_cards"] else "")
        )
    typer.echo("")
    rows = [
        (name, *(_interval(model["metrics"][metric]) for metric in _SHOWN), f"{model['seconds']:.1f}")
        for name, model in found["models"].items()
    ]
    print_table(("model", *_SHOWN, "seconds"), rows)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in found["seconds"].items())
    mean = f"means of {len(found['periods'])} periods, " if len(found["periods"]) > 1 else ""
    typer.echo(f"\n{mean}95% intervals over users; {seconds} (snapshot {found['snapshot']}).")


def _interval(figure: dict[str, float]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
