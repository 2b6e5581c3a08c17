"""Package: a Bento with the promoted bundle inside, which serves with no MLflow in reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sentinel_core.errors import RegistryError
from sentinel_core.flows import Progress, silent
from sentinel_core.registry.files import stamp
from sentinel_core.settings import Settings

CHECKOUT: Final = Path(__file__).parents[2]
SOURCES: Final = ("sentinel_core", "serving")
BENTOFILE: Final = Path("serving", "bentofile.yaml")
BUNDLE_INSIDE: Final = "bundle"
_NOT_PACKED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def build_bento(settings: Settings, promoted: Mapping[str, Any], *, progress: Progress = silent) -> dict[str, Any]:
    """Build the Bento of a version that was promoted, tagged with its name; return {"version", "tag"}.

    `promoted` is what `promote_if_good` returned; a version that stayed in Staging is not packaged and has no tag. The
    Bento lies in SENTINEL_HOME/bentoml. Raises `RegistryError` with BentoML's last words where it does not build.
    """
    version = str(promoted["version"])
    if not promoted["promoted"]:
        progress(f"{version} was not promoted: nothing to package")
        return {"version": version, "tag": None}
    home = settings.home / "bentoml"
    if (built := _built(home, version)) is not None:
        return {"version": version, "tag": built}
    progress(f"building the Bento of {version}")
    with tempfile.TemporaryDirectory(prefix="bento-") as folder:
        context = Path(folder)
        for name in SOURCES:
            shutil.copytree(CHECKOUT / name, context / name, ignore=_NOT_PACKED)
        shutil.copytree(promoted["bundle"], context / BUNDLE_INSIDE)
        stamp(context / BUNDLE_INSIDE, model_version=version, run_id=str(promoted["run_id"]))
        tag = _build(context, version, home)
    return {"version": version, "tag": tag}


def _built(home: Path, version: str) -> str | None:
    """Return the tag of a version that an earlier attempt packaged: BentoML refuses to build it again."""
    for description in (home / "bentos").glob(f"*/{version}/bento.yaml"):
        return f"{description.parents[1].name}:{version}"
    return None


def _build(context: Path, version: str, home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bentoml", "build", "--bentofile", str(BENTOFILE)]
    command += ["--version", version, "--output", "tag", "."]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        # A store of its own, outside of what is packed; and nobody is told about it.
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    done = subprocess.run(command, cwd=context, env=environment, capture_output=True, text=True, check=False)
    tags = [line for line in done.stdout.splitlines() if line.startswith("__tag__:")]
    if done.returncode or not tags:
        words = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise RegistryError(
            f"expected BentoML to build the Bento of {version}, it ended with {done.returncode}: {words}",
            remedy="Run the task again; the promoted version serves meanwhile.",
        )
    return tags[-1].removeprefix("__tag__:").strip()
