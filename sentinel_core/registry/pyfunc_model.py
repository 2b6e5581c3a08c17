"""The MLflow model of a bundle, as code: `mlflow.pyfunc.load_model` runs this file; nothing is unpickled.

`predict` takes a frame with the bundle's features by name and the raw categories (an absent one is null)
and returns the calibrated scores that the service gives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

# MLflow evaluates the type hints of `predict` and warns where it cannot.
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from numpy.typing import NDArray

from sentinel_core.registry.bundle import LoadedBundle, load_bundle

BUNDLE = "bundle"


class BundleModel(PythonModel):  # type: ignore[misc]  # mlflow ships no types
    """Scores feature frames with the bundle that was logged beside it."""

    bundle: LoadedBundle

    def load_context(self, context: Any) -> None:
        """Load and check the bundle; raises `BundleError` where this code cannot serve it."""
        self.bundle = load_bundle(Path(context.artifacts[BUNDLE]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> NDArray[np.float64]:
        """Return calibrated fraud probabilities, float64 [n]; raises `KeyError` for a missing feature column."""
        names = list(self.bundle.manifest.names)
        values = model_input[names].to_numpy(dtype=np.float32)
        return self.bundle.score(
            values, {c.column: _texts(model_input, c.column) for c in self.bundle.encoder.categories}
        )


def _texts(frame: pd.DataFrame, column: str) -> list[str | None]:
    if column not in frame:
        return [None] * len(frame)
    return [text if isinstance(text, str) else None for text in frame[column].tolist()]


set_model(BundleModel())
