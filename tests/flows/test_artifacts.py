"""The output folder of a training: written whole, or with one clear line."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sentinel_core import TrainingPipeline
from sentinel_core.errors import DataError, TrainingError
from sentinel_core.flows import artifacts
from sentinel_core.flows.train import FACTS
from tests.registry.bundles import tiny_bundle

OUTCOME = {"model_version": "v20260101_000000", "stage": "Production", "run_id": "run"}


def candidate(folder: Path, threshold: float = 0.5) -> Path:
    """A trained candidate's folder, as `flows.train` leaves it."""
    tiny_bundle(folder / "bundle", threshold=threshold)
    (folder / "report").mkdir()
    for name in ("report.html", "importances.csv", "importances.png"):
        (folder / "report" / name).write_text(f"{threshold}")
    metrics = {"test": {"f1": {"value": float("nan"), "low": 0.0, "high": 1.0}}}
    facts = {"metrics": metrics, "cross_validation": {"f1": [0.8, 0.1]}, "search": None, "seconds": {"fit": 1.0}}
    (folder / FACTS).write_text(json.dumps(facts))
    return folder


def published(output: Path, made: Path, **given: Any) -> dict[str, str]:
    with artifacts.opened(output) as folder:
        return artifacts.publish(folder, made, {**OUTCOME, **given})


def threshold_of(output: Path) -> tuple[float, float, str]:
    facts = json.loads((output / "metrics.json").read_text())
    bundle = json.loads((output / "model" / "bundle.json").read_text())
    return facts["threshold"], bundle["threshold"], (output / "report.html").read_text()


def test_a_second_training_takes_the_place_of_the_first_and_leaves_other_files(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "artifacts"
    paths = published(output, candidate(tmp_path / "one"))
    assert all(Path(path).exists() for path in paths.values())
    assert json.loads((output / "model" / "bundle.json").read_text())["model_version"] == "v20260101_000000"
    (output / "notes.txt").write_text("mine")
    published(output, candidate(tmp_path / "two", 0.7))
    assert threshold_of(output) == (0.7, 0.7, "0.7")
    assert (output / "notes.txt").read_text() == "mine"
    assert not [path.name for path in output.iterdir() if path.name.startswith(".")]
    assert artifacts.metrics_of(tmp_path / "two") == {"test": {"f1": None}}


@pytest.mark.parametrize("broken", range(1, 6))
def test_what_is_broken_off_half_way_has_no_metrics_and_the_next_try_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    output = tmp_path / "artifacts"
    published(output, candidate(tmp_path / "one"))
    second, rename, calls = candidate(tmp_path / "two", 0.7), Path.rename, [0]

    def breaking(path: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == broken:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", breaking)
        with pytest.raises(KeyboardInterrupt):
            published(output, second, model_version=None)
    assert not (output / "metrics.json").exists()
    published(output, second)
    assert threshold_of(output) == (0.7, 0.7, "0.7")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_no_more_is_one_clear_line_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    output = tmp_path / "artifacts"
    published(output, candidate(tmp_path / "one"))

    def full(*_: object, **__: object) -> None:
        raise OSError(number, "no more")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(DataError, match=rf"write the training's files to {output}, got: no more\. Free space"):
        published(output, candidate(tmp_path / "two", 0.7))
    assert threshold_of(output) == (0.5, 0.5, "0.5")
    with pytest.raises(DataError):
        published(tmp_path / "new", tmp_path / "two")
    assert not (tmp_path / "new").exists()


def test_places_that_cannot_be_written_are_refused_before_the_work_begins(tmp_path: Path) -> None:
    file, other, forbidden = tmp_path / "file", tmp_path / "other", Path("/sys/artifacts")
    file.write_text("")
    (other / "model").mkdir(parents=True)
    for output, message in (
        (file, rf"expected a folder .* at {file}, but {file} is a file"),
        (file / "below", rf"expected a folder .* but {file} is a file"),
        (other, r"expected .*/other/model to be absent or a model of an earlier training, but it has no bundle\.json"),
        (forbidden, r"expected to write the training's files to /sys/artifacts"),
    ):
        with pytest.raises(DataError, match=message):
            TrainingPipeline(output_dir=output, use_mlflow=False).run(n_samples=5000)


def test_what_cannot_be_trained_is_refused_before_the_work_begins(tmp_path: Path) -> None:
    pipeline = TrainingPipeline(output_dir=tmp_path / "artifacts", use_mlflow=False)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"n_samples": 10}, r"at least 2,500 transactions .* fraud rate of 0\.02, got 10: .* 5 frauds each"),
        ({"n_samples": 10, "fraud_rate": 0.1}, r"at least 500 transactions"),
        ({"fraud_rate": 0}, r"fraud rate above 0 and up to 0\.2, got 0"),
        ({"fraud_rate": 1.5}, r"fraud rate above 0 and up to 0\.2, got 1\.5"),
        ({"fraud_rate": float("nan")}, r"fraud rate above 0 and up to 0\.2, got nan"),
        ({"model_type": "random_forrest"}, r"got 'random_forrest'\. Did you mean 'random_forest'\?"),
        (
            {"model_type": "random_forest", "hyperparams": {"trees": 3}},
            r"hyperparameters of random_forest, got 'trees'",
        ),
        ({"hyperparams": {"n_estimators": 3}}, r"by the models' names, got 'n_estimators'"),
    ]
    for given, message in refused:
        with pytest.raises((DataError, TrainingError), match=message):
            pipeline.run(**given)
    assert not (tmp_path / "artifacts").exists()
