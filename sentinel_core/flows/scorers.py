"""A bundle, a version of the registry or a scikit-learn estimator as one thing: rows in, scores and decisions out."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import ColumnError, DataError, ExperimentError, RegistryError
from sentinel_core.flows.artifacts import MODEL
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.files import MANIFEST
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

Rows = Any
"""A DataFrame with named columns, or a NumPy array [n, features]."""
Scores = tuple[NDArray[np.float64], NDArray[np.bool_]]
ESTIMATOR_THRESHOLD: Final = 0.5
NOT_FEATURES: Final = ("user_id", "transaction_id", "timestamp", "is_fraud")
"""Columns that say what a row is about: an estimator without feature names is not given them."""
_VERSION: Final = re.compile(r"v\d{8}_\d{6}")
_STAGES: Final = ("Production", "Staging", "Archived")


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model under a name; `score` returns of rows the probability of fraud, float64 [n], and the decision, bool [n].

    It raises `ColumnError` that names the features which the rows lack, `DataError` for values that are no numbers.
    """

    name: str
    score: Callable[[Rows], Scores]


def as_scorer(model: Any, settings: Settings | None = None) -> Scorer:
    """Take a model: a `LoadedBundle`, its folder (or a training's output folder), a version or stage, an estimator.

    Versions are loaded from MLflow, as `settings` (by default the environment's) name it. A bundle decides by its own
    threshold; an estimator, anything with predict_proba, from .5 on. Raises `ExperimentError` for anything else,
    `BundleError` for a broken bundle, `RegistryError` where the version is not there.
    """
    if isinstance(model, LoadedBundle):
        return _of_bundle(model)
    if callable(getattr(model, "predict_proba", None)):
        return _of_estimator(model)
    if isinstance(model, str | Path):
        folder = next((one for one in (Path(model), Path(model) / MODEL) if (one / MANIFEST).is_file()), None)
        if folder is not None:
            return _of_bundle(load_bundle(folder))
        if _VERSION.fullmatch(str(model)) or str(model) in _STAGES:
            return _of_bundle(_from_registry(str(model), settings or load_settings()))
    raise ExperimentError(
        "expected a model: a bundle or its folder, a version (v<YYYYMMDD>_<HHMMSS>) or stage of the registry, or an "
        f"estimator with predict_proba; got {_shown(model)}.",
        remedy="Give TrainingPipeline's output_dir, a version that `sentinel models` lists, or a fitted classifier.",
    )


def _shown(model: Any) -> str:
    return repr(str(model)) if isinstance(model, str | Path) else f"a {type(model).__name__}"


def _from_registry(name: str, settings: Settings) -> LoadedBundle:
    with MlflowRegistry.of(settings) as registry, tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        found = registry.stage_version(name) if name in _STAGES else registry.named_version(name)
        if found is None:
            raise RegistryError(
                f"expected {name} among the versions of {settings.model_name} at {settings.mlflow_tracking_uri},"
                " found none.",
                remedy="See `sentinel models`.",
            )
        registry.download(found, Path(folder))
        return load_bundle(Path(folder))


def _of_bundle(bundle: LoadedBundle) -> Scorer:
    names, raw = bundle.manifest.names, [category.column for category in bundle.encoder.categories]
    name = bundle.manifest.model_version or f"{bundle.manifest.algorithm} {bundle.manifest.bundle_hash[:8]}"

    def score(rows: Rows) -> Scores:
        if isinstance(rows, np.ndarray):
            raise ColumnError(
                f"expected rows with named columns for the model {name}, got an array: it reads {len(names)} features "
                f"and the raw categories {', '.join(raw) or '(none)'}.",
                remedy="Give a mapping, a Series or a DataFrame, such as `sentinel features` writes.",
            )
        _require(name, [*names, *raw], rows.columns)
        values = _numbers(rows[list(names)]).astype(np.float32)
        categories = {column: [text if isinstance(text, str) else None for text in rows[column]] for column in raw}
        scores = bundle.score(values, categories)
        cents = np.zeros(len(values), dtype=np.int64)
        if bundle.costs:
            cents = np.rint(_numbers(rows[["amount"]])[:, 0] * 100).astype(np.int64)
        return scores, scores >= bundle.thresholds(cents)

    return Scorer(name, score)


def _of_estimator(estimator: Any) -> Scorer:
    name = type(estimator).__name__
    classes = list(getattr(estimator, "classes_", ()))
    if len(classes) != 2 or set(classes) != {0, 1}:
        raise ExperimentError(
            f"expected a fitted classifier of two classes, of which 1 (or True) is fraud, got a {name} with "
            f"{f'the classes {classes}' if classes else 'none: it is not fitted'}.",
            remedy="Fit it on labels 0 and 1.",
        )
    names = getattr(estimator, "feature_names_in_", None)

    def score(rows: Rows) -> Scores:
        matrix = _matrix(name, rows, None if names is None else list(names), getattr(estimator, "n_features_in_", None))
        scores = np.asarray(estimator.predict_proba(matrix), dtype=np.float64)[:, classes.index(1)]
        return scores, scores >= ESTIMATOR_THRESHOLD

    return Scorer(name, score)


def _matrix(model: str, rows: Rows, names: Sequence[str] | None, width: int | None) -> Any:
    """Return what an estimator was fitted on: a DataFrame where it knows the features by name, else an array."""
    if not isinstance(rows, np.ndarray):
        if names is not None:
            _require(model, names, rows.columns)
            return rows[list(names)].infer_objects()
        rows = _numbers(rows.drop(columns=[column for column in NOT_FEATURES if column in rows]))
    if width is not None and rows.shape[1] != width:
        raise ColumnError(
            f"expected {width} features for the model {model}, got {rows.shape[1]}.",
            remedy="Give the columns that it was fitted on, in that order.",
        )
    if names is None:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=list(names))


def _require(model: str, names: Sequence[str], columns: Any) -> None:
    absent = [name for name in names if name not in columns]
    if absent:
        shown = ", ".join(absent[:10]) + (f" and {len(absent) - 10} more" if len(absent) > 10 else "")
        raise ColumnError(
            f"expected all {len(names)} features of the model {model}, {len(absent)} are missing: {shown}.",
            remedy="Add them to the rows; a raw category that is not known is None.",
        )


def _numbers(frame: pd.DataFrame) -> NDArray[np.float64]:
    try:
        return frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"expected numbers in the features, got: {error}.", remedy="Encode or leave out text."
        ) from None
