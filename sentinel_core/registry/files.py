"""The files of a model bundle: written once, complete or not at all, and checked by their hashes.

model.onnx         the estimator on the encoded matrix
bundle.json        `Manifest`
selfcheck.json     a few input rows and the scores that they had: recomputed on every load
risk.npz           the merchant and country risk of the training's clock, the fallback of serving
reference.parquet  hold-out rows and scores, for drift
model_card.md      what a person should know about the model
estimator.skops    the estimator, for explanations; serving never opens it
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sentinel_core.errors import BundleError
from sentinel_core.registry.manifest import Manifest

MANIFEST: Final = "bundle.json"
MODEL: Final = "model.onnx"
SELFCHECK: Final = "selfcheck.json"
RISK: Final = "risk.npz"
REFERENCE: Final = "reference.parquet"
CARD: Final = "model_card.md"
ESTIMATOR: Final = "estimator.skops"
FILES: Final = (MODEL, SELFCHECK, RISK, REFERENCE, CARD, ESTIMATOR)

Categories = Mapping[str, Sequence[str | None]]


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Rows with known scores: values float32 [n, features], raw categories by column, scores float64 [n]."""

    values: NDArray[np.float32]
    categories: Categories
    scores: NDArray[np.float64]

    def to_json(self) -> str:
        """Serialise; every float comes back as it was."""
        document = {
            "values": [[float(value) for value in row] for row in self.values],
            "categories": {name: list(column) for name, column in self.categories.items()},
            "scores": [float(score) for score in self.scores],
        }
        return json.dumps(document, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SelfCheck:
        """Read what `to_json` wrote."""
        document = json.loads(text)
        return cls(
            np.asarray(document["values"], dtype=np.float32),
            document["categories"],
            np.asarray(document["scores"], dtype=np.float64),
        )


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Write a bundle as the new folder `directory` and return its manifest with file hashes and bundle hash.

    `files` holds the bytes of every name in `FILES`. The folder appears complete or not at all. Raises
    `BundleError` where a file is missing or unknown, or the folder exists.
    """
    if set(files) != set(FILES):
        raise BundleError(
            f"expected the files {', '.join(FILES)}, got {', '.join(sorted(files))}.", remedy="Give each of them once."
        )
    if directory.exists():
        raise BundleError(f"expected a new folder, but {directory} exists.", remedy="A bundle is never written again.")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    manifest = manifest.model_copy(update={"files": hashes})
    manifest = manifest.model_copy(update={"bundle_hash": manifest.content_hash()})
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=directory.parent))
    try:
        for name, content in files.items():
            (made / name).write_bytes(content)
        (made / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        made.chmod(0o755)
        made.rename(directory)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return manifest


def stamp(directory: Path, *, model_version: str, run_id: str = "") -> Manifest:
    """Write the name that the registry gave to a bundle (and its run) into its bundle.json; the hash stays."""
    manifest = read_manifest(directory)
    manifest = manifest.model_copy(update={"model_version": model_version, "run_id": run_id or manifest.run_id})
    made = directory / f".{MANIFEST}"
    made.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    made.rename(directory / MANIFEST)
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """Read and check bundle.json alone; raises `BundleError` where it is missing or malformed."""
    path = directory / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(
            f"expected a bundle in {directory}, but it has no {MANIFEST}.", remedy="Download the version again."
        ) from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()[:5])
        raise BundleError(
            f"expected a manifest of format 1 in {path}: {problems}.",
            remedy="The bundle is of another release or damaged: train again, or serve another version.",
        ) from None


def read_files(directory: Path, manifest: Manifest) -> dict[str, bytes]:
    """Read every file of a bundle; raises `BundleError` where one is missing or not what the manifest says."""
    files: dict[str, bytes] = {}
    for name in FILES:
        path = directory / name
        if name not in manifest.files or not path.is_file():
            raise BundleError(
                f"expected {name} in the bundle {directory}, found none.", remedy="Download the version again."
            )
        files[name] = path.read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != manifest.files[name]:
            raise BundleError(
                f"expected {path} with SHA-256 {manifest.files[name][:12]}…,"
                " but the file was changed or is incomplete.",
                remedy="Download the version again.",
            )
    if manifest.content_hash() != manifest.bundle_hash:
        raise BundleError(
            f"expected {MANIFEST} in {directory} to have the bundle hash {manifest.bundle_hash[:12]}…,"
            f" got {manifest.content_hash()[:12]}…: it was changed.",
            remedy="Download the version again.",
        )
    return files
