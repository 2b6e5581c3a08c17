"""The output folder of a training: model, metrics, importances and report as plain files."""

from __future__ import annotations

import errno
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sentinel_core.errors import DataError
from sentinel_core.flows.train import BUNDLE, REPORT, read_facts
from sentinel_core.flows.whole_file import write_json
from sentinel_core.registry.files import MANIFEST, read_manifest, stamp

DEFAULT: Final = "artifacts"
MODEL: Final = "model"
METRICS: Final = "metrics.json"
FILES: Final = {
    "model": MODEL,
    "metrics": METRICS,
    "importances": "importances.csv",
    "importances_plot": "importances.png",
    "report": "report.html",
}
"""What a caller looks for in the folder, by the name that it has in a result's `paths`."""
_OLD: Final = ".model"
_NOT_WRITTEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def opened(output_dir: Path | str) -> Iterator[Path]:
    """Make the output folder, and yield its absolute path; a folder that was made and stays empty is removed again.

    Raises `DataError` where it is no folder, holds another `model`, or cannot be written.
    """
    output = Path(output_dir).expanduser().absolute()
    with _written(output):
        made = _make(output)
    try:
        yield output
    finally:
        if made and not any(output.iterdir()):
            output.rmdir()


def _make(output: Path) -> bool:
    """Make the folder where it is absent, try to write in it, and return whether it was made."""
    made = not output.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(part for part in (output, *output.parents) if part.exists())
        raise DataError(
            f"expected a folder for the training's files at {output}, but {file} is a file.",
            remedy="Name another output_dir, or move the file away.",
        ) from None
    with tempfile.TemporaryFile(dir=output):
        pass
    model = output / MODEL
    if model.exists() and not (model / MANIFEST).is_file():
        raise DataError(
            f"expected {model} to be absent or a model of an earlier training, but it has no {MANIFEST}.",
            remedy="Name another output_dir, or move it away.",
        )
    return made


@contextmanager
def _written(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
        place = f" ({error.filename})" if error.filename else ""
        raise DataError(
            f"expected to write the training's files to {output}, got: {error.strerror}{place}.",
            remedy="Free space on its disk, or name an output_dir that you may write to; then train again.",
        ) from None


@contextmanager
def scratch(output: Path) -> Iterator[Path]:
    """Yield a hidden folder inside the output folder, on the same disk; it is gone after the block.

    Raises `DataError` where the disk is full or may not be written.
    """
    with _written(output):
        folder = Path(tempfile.mkdtemp(prefix=".training-", dir=output))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(output: Path, candidate: Path, outcome: Mapping[str, Any]) -> dict[str, str]:
    """Put the bundle and report of a candidate's folder into the output folder; return the paths by name.

    `outcome` says which version it became. metrics.json is removed first and written last: a folder that has it holds
    the files of one training, complete. What is not ours stays.
    """
    with scratch(output) as made:
        shutil.copytree(candidate / BUNDLE, made / MODEL)
        if outcome["model_version"]:
            stamp(made / MODEL, model_version=outcome["model_version"], run_id=outcome["run_id"])
        shutil.copytree(candidate / REPORT, made, dirs_exist_ok=True)
        write_json(_describe(candidate, outcome), made / METRICS)
        (output / METRICS).unlink(missing_ok=True)
        if (output / MODEL).exists():
            (output / MODEL).rename(made / _OLD)
        for path in sorted(made.iterdir()):
            if path.name not in {METRICS, _OLD}:
                path.rename(output / path.name)
        (made / METRICS).rename(output / METRICS)
    return {"output_dir": str(output), **{name: str(output / file) for name, file in FILES.items()}}


def metrics_of(candidate: Path) -> dict[str, dict[str, float | None]]:
    """Return the metrics of a candidate by part and name, without intervals; None for what could not be measured."""
    metrics = read_facts(str(candidate))["metrics"]
    return {
        part: {name: figure["value"] if math.isfinite(figure["value"]) else None for name, figure in figures.items()}
        for part, figures in metrics.items()
    }


def _describe(candidate: Path, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics.json: the metrics with intervals, and what they are the metrics of."""
    manifest, facts = read_manifest(candidate / BUNDLE), read_facts(str(candidate))
    folds = facts["cross_validation"].items()
    return {
        "model": manifest.algorithm,
        "model_version": outcome["model_version"],
        "stage": outcome["stage"],
        "bundle_hash": manifest.bundle_hash,
        "threshold": manifest.threshold,
        "hyperparameters": manifest.hyperparameters,
        "search": facts["search"],
        "seed": manifest.seed,
        "data": manifest.data.model_dump(),
        "metrics": {
            part: {name: figure.model_dump() for name, figure in of_part.items()}
            for part, of_part in manifest.metrics.items()
        },
        "cross_validation": {name: {"mean": mean, "std": deviation} for name, (mean, deviation) in folds},
        "seconds": facts["seconds"],
    }
