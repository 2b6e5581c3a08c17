"""What the serving process must not carry: seconds of start-up and hundreds of megabytes."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    *("airflow", "mlflow", "pandas", "sklearn", "evidently", "great_expectations", "pyarrow", "skl2onnx", "onnx"),
    *("skops", "shap", "numba", "apprise"),
)
PROBE = """
import sys
import serving.recorder
import serving.service
from sentinel_core.registry.bundle import load_bundle
print(" ".join(name for name in {heavy!r} if name in sys.modules))
"""


def test_neither_the_service_nor_the_recorder_imports_anything_heavy() -> None:
    probe = PROBE.format(heavy=HEAVY)
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
