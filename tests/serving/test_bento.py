"""A Bento with its model inside serves with no MLflow in reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePath

import pytest
import yaml

from sentinel_core.local.environment import QUIET
from tests.conftest import Servers
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import payload, service_settings, serving

ROOT = Path(__file__).parents[2]
VERSION = "v20260105_000000"
OWN_MODULES = """
import sys
import serving.service
print("\\n".join(m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in ("serving", "sentinel_core")))
"""


def build(context: Path, home: Path) -> str:
    """Build a Bento from a context as docs/serving.md says; return its tag."""
    for package in ("serving", "sentinel_core"):
        shutil.copytree(ROOT / package, context / package, ignore=shutil.ignore_patterns("__pycache__"))
    tiny_bundle(context / "bundle", model_version=VERSION)
    command = [sys.executable, "-m", "bentoml", "build", "--bentofile", "serving/bentofile.yaml"]
    done = subprocess.run(
        [*command, "--version", VERSION, "--output", "tag", "."],
        cwd=context,
        env={**os.environ, **QUIET, "BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().removeprefix("__tag__:")


@pytest.mark.server
def test_a_bento_packs_every_module_that_the_service_imports() -> None:
    found = subprocess.run([sys.executable, "-c", OWN_MODULES], capture_output=True, text=True, check=True, cwd=ROOT)
    files = [str(Path(line).relative_to(ROOT)) for line in found.stdout.split()]
    included = yaml.safe_load((ROOT / "serving" / "bentofile.yaml").read_text(encoding="utf-8"))["include"]
    packed = [pattern.replace("/**", "/*") for pattern in included]
    assert "serving/service.py" in files
    missing = [file for file in files if not any(PurePath(file).match(pattern) for pattern in packed)]
    assert missing == []


@pytest.mark.slow
def test_a_bento_serves_the_model_that_it_carries(servers: Servers, _template: str, tmp_path: Path) -> None:
    tag = build(tmp_path / "context", tmp_path / "home" / "bentoml")
    assert tag == f"fraud_detector:{VERSION}"
    dockerfile = tmp_path / "home" / "bentoml" / "bentos" / "fraud_detector" / VERSION / "env" / "docker" / "Dockerfile"
    assert "FROM python:3.11" in dockerfile.read_text(encoding="utf-8")
    overrides = {"mlflow_tracking_uri_given": "http://127.0.0.1:1"}
    with (
        service_settings(servers, _template, tmp_path / "home", **overrides) as settings,
        serving(settings, workers=1, target=tag) as service,
    ):
        assert service.predict(payload(transaction_id="in-a-bento")).json()["model_version"] == VERSION
        assert service.stored("in-a-bento")["prediction"]["model_version"] == VERSION
        assert "mlflow" not in service.http.get("/health").json()["dependencies"]
