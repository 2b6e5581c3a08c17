"""Training as a Python call: one random forest on 100,000 rows, without any server."""

from __future__ import annotations

import tempfile
import time
from typing import Any, Final

ROWS: Final = 100_000


def run() -> dict[str, Any]:
    """Return the seconds of the call, beyond imports."""
    from sentinel_core import TrainingPipeline

    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        TrainingPipeline(output_dir=folder, use_mlflow=False).run(n_samples=ROWS, model_type="random_forest")
        return {"rows": ROWS, "seconds": round(time.perf_counter() - begun, 1)}
