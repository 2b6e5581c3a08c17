"""A plain BentoML service over scikit-learn's random forest on a data frame: what one writes first, beside ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import pandas as pd
import skops.io

COLUMNS = [f"f{number}" for number in range(37)]


@bentoml.service(name="PlainService", workers=int(os.environ.get("API_WORKERS", "1")))
class PlainService:
    """Loads the forest that PLAIN_MODEL names."""

    def __init__(self) -> None:
        path = Path(os.environ["PLAIN_MODEL"])
        self._model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))

    @bentoml.api
    def predict(self, values: list[list[float]]) -> dict[str, Any]:
        """Return the probabilities of rows."""
        return {"scores": self._model.predict_proba(pd.DataFrame(values, columns=COLUMNS))[:, 1].tolist()}
