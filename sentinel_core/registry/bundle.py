"""A model bundle in memory: all that serving needs, with NumPy and ONNX Runtime alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError
from sentinel_core.evaluation.costs import Costs
from sentinel_core.features.catalog import POSITION, feature
from sentinel_core.features.encoding import Encoder
from sentinel_core.features.risk import RiskTable
from sentinel_core.registry.files import (
    MODEL,
    RISK,
    SELFCHECK,
    Categories,
    SelfCheck,
    read_files,
    read_manifest,
    stamp,
    write_bundle,
)
from sentinel_core.registry.manifest import Manifest
from sentinel_core.schema import HIGH_CONFIDENCE, MEDIUM_CONFIDENCE, Confidence
from sentinel_core.training.calibrate import Platt
from sentinel_core.training.onnx_model import open_session, raw_scores

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["LoadedBundle", "Manifest", "SelfCheck", "load_bundle", "read_manifest", "stamp", "write_bundle"]

SELFCHECK_TOLERANCE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    """A bundle that was accepted: it scores, decides and says how sure it is.

    `columns` are the positions of the bundle's features in the catalogue's vector, `risk` its fallback table, `warning`
    what stands beside each of its answers where it is below its floor.
    """

    manifest: Manifest
    path: Path
    encoder: Encoder
    calibration: Platt
    risk: RiskTable
    columns: NDArray[np.intp]
    session: onnxruntime.InferenceSession
    costs: Costs | None = None
    warning: str | None = None

    @property
    def threshold(self) -> float:
        """The calibrated score from which (inclusive) a transaction counts as fraud; see `threshold_at`."""
        return self.manifest.threshold

    def threshold_at(self, cents: int) -> float:
        """Return the threshold of an amount: the same for all, but where the policy weighs costs."""
        return float(self.costs.threshold(cents)) if self.costs else self.manifest.threshold

    def thresholds(self, cents: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the threshold of each amount, float64 of their shape."""
        return self.costs.threshold(cents) if self.costs else np.full(cents.shape, self.manifest.threshold)

    def select(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the bundle's features, in its order, from catalogue vectors float32 [n, len(FEATURE_NAMES)]."""
        return vectors[:, self.columns]

    def score(self, values: NDArray[np.float32], categories: Categories) -> NDArray[np.float64]:
        """Return calibrated fraud probabilities, float64 [n], of values float32 [n, len(manifest.features)].

        `categories` holds, for each column that the encoder names, n raw strings or None. One row scores
        exactly as it does inside a batch.
        """
        matrix = self.encoder.transform(values, categories)
        return self.calibration(raw_scores(self.session, matrix))

    @staticmethod
    def confidence(score: float, decision: bool) -> Confidence:
        """Say how probable it is that the decision on `score` is right: low < .65 ≤ medium < .85 ≤ high."""
        right = score if decision else 1.0 - score
        if right < MEDIUM_CONFIDENCE:
            return "low"
        return "medium" if right < HIGH_CONFIDENCE else "high"


def load_bundle(directory: Path) -> LoadedBundle:
    """Load a bundle and check it: files, features, then the self-check's scores.

    Raises `BundleError` that names what is wrong: a file missing or changed, a feature that this code does not
    hold or defines otherwise, a score that comes out different. Imports NumPy and ONNX Runtime only.
    """
    manifest = read_manifest(directory)
    files = read_files(directory, manifest)
    encoder = Encoder.from_dict(manifest.encoder)
    if encoder.features != manifest.names:
        raise BundleError(
            f"expected the encoder of {directory} to read the manifest's features, but the two lists differ.",
            remedy="The bundle is broken: train and register it again.",
        )
    loaded = LoadedBundle(
        manifest=manifest,
        path=directory,
        encoder=encoder,
        calibration=Platt(manifest.calibration.slope, manifest.calibration.intercept, manifest.calibration.smoothing),
        risk=RiskTable.from_bytes(files[RISK]),
        columns=_columns(manifest),
        session=open_session(files[MODEL]),
        costs=Costs(**manifest.policy.costs.model_dump()) if manifest.policy.costs else None,
        warning=manifest.warning,
    )
    _self_check(loaded, SelfCheck.from_json(files[SELFCHECK].decode("utf-8")))
    return loaded


def _columns(manifest: Manifest) -> NDArray[np.intp]:
    for used in manifest.features:
        known = feature(used.name).definition_hash
        if known != used.hash:
            raise BundleError(
                f"expected the feature {used.name!r} with the definition {used.hash},"
                f" but this code defines it as {known}.",
                remedy="Train a new version with this release, or serve with the release that trained the bundle.",
            )
    return np.asarray([POSITION[name] for name in manifest.names], dtype=np.intp)


def _self_check(bundle: LoadedBundle, check: SelfCheck) -> None:
    scores = bundle.score(check.values, check.categories)
    worst = float(np.abs(scores - check.scores).max(initial=0.0))
    if not worst <= SELFCHECK_TOLERANCE:
        row = int(np.abs(scores - check.scores).argmax())
        raise BundleError(
            f"expected the score {check.scores[row]:.6f} for row {row} of {SELFCHECK}, got {scores[row]:.6f}"
            f" (tolerance {SELFCHECK_TOLERANCE}).",
            remedy="The bundle computes something else here than in training: train again, or serve another version.",
        )
