"""The model in service, and its replacement while requests run.

A watcher asks the registry which version is in Production. A new one is fetched once for all workers of the machine,
loaded, and checked against the rows that its own bundle carries; then one reference is replaced. A bundle
that is refused changes nothing but what /api/v1/model/info says. What was last in service is remembered on
disk, so that a start without MLflow serves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError, RegistryError
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.files import Categories
from sentinel_core.registry.rest import VersionRef
from serving.bundle_cache import BundleCache
from serving.errors import NoModelError
from serving.logs import get_logger

PRODUCTION: Final = "Production"
HOLD_OUT: Final = "test"
"""The part of a bundle's metrics that the model never saw."""
log = get_logger(__name__)


class Registry(Protocol):
    """What the slot asks of the model registry; both calls raise `RegistryError` where it is away."""

    def production_version(self) -> VersionRef | None:
        """Return the version in Production, or None."""

    def download(self, version: VersionRef, directory: Path) -> None:
        """Write the bundle of a version into an empty directory."""


@dataclass(frozen=True, slots=True)
class InService:
    """A model that answers requests; `ref` is its place in the registry, None for a bundle given as a directory."""

    bundle: LoadedBundle
    version: str
    ref: VersionRef | None
    since: datetime

    def score(self, vectors: NDArray[np.float32], categories: Categories) -> NDArray[np.float64]:
        """Return calibrated fraud probabilities, float64 [n], of catalogue vectors float32 [n, features]."""
        return self.bundle.score(self.bundle.select(vectors), categories)

    def predict(
        self, transaction_id: str, cents: int, score: float, milliseconds: float, *, degraded: bool = False
    ) -> dict[str, Any]:
        """Turn the score of an amount into an answer, the fields of a `Prediction` but `cached`.

        `degraded` says that the score was made without a history.
        """
        decision = score >= self.bundle.threshold_at(cents)
        answer = {
            "transaction_id": transaction_id,
            "fraud_score": score,
            "prediction": decision,
            "confidence": self.bundle.confidence(score, decision),
            "model_version": self.version,
            "inference_time_ms": round(milliseconds, 3),
            "degraded": degraded,
        }
        if self.bundle.warning is not None:
            answer["warning"] = self.bundle.warning
        return answer


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version that was not taken into service, and why; one that is not `final` is tried again."""

    key: str
    version: str
    reason: str
    at: datetime
    final: bool


class ModelSlot:
    """Hold the model in service; `poll` looks for another one, and may run in a thread of its own.

    `registry` is None where the bundle of a directory is served and nothing is watched; `on_refusal` is told of each
    version that is not taken.
    """

    def __init__(
        self,
        registry: Registry | None,
        cache: BundleCache,
        clock: Callable[[], datetime],
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._clock = clock
        self._on_refusal = on_refusal
        self._current: InService | None = None
        self._refusal: Refusal | None = None
        # The key of the version in Production; "" for none, None while the registry was never reached.
        self._production: str | None = None

    @property
    def current(self) -> InService | None:
        """The model in service, or None before the first."""
        return self._current

    @property
    def version(self) -> str | None:
        """The name of the model in service."""
        return None if self._current is None else self._current.version

    def warning_of(self, version: str) -> str | None:
        """Return the warning beside the answers of a version, if that one is in service and has one."""
        model = self._current
        return model.bundle.warning if model is not None and model.version == version else None

    def require(self) -> InService:
        """Return the model in service; raises `NoModelError` where there is none yet."""
        if self._current is not None:
            return self._current
        if self._refusal is not None:
            raise NoModelError(
                f"No model is in service: version {self._refusal.version} was refused.",
                remedy="GET /api/v1/model/info says why.",
            )
        raise NoModelError(
            "No model is in Production yet.", remedy="Train and promote one; it is taken into service by itself."
        )

    def serve_directory(self, directory: Path) -> None:
        """Take the bundle of a directory into service; one that is not accepted is refused like any other."""
        try:
            bundle = load_bundle(directory)
        except BundleError as error:
            self._refuse(str(directory), directory.name, error)
        else:
            self._take(bundle, None)

    def resume(self) -> None:
        """Take what was last in service on this machine, if anything was: a start needs no registry."""
        last = self._cache.last()
        if last is None:
            return
        try:
            self._take(load_bundle(self._cache.directory(last)), last)
        except BundleError as error:
            log.warning("last model on disk not usable", version=last.name, reason=str(error))

    def poll(self) -> None:
        """Look at the registry once, and swap where it has another version in Production.

        An empty Production stage changes nothing: a model in service is better than none. Raises `RegistryError` where
        the registry, or the bundle in it, cannot be had; the next call tries again.
        """
        if self._registry is None:
            return
        found = self._registry.production_version()
        self._production = "" if found is None else found.key
        if found is None or self._settled(found):
            return
        try:
            bundle = self._cache.load(found, self._registry.download)
        except BundleError as error:
            self._refuse(found.key, found.name, error)
        except RegistryError as error:
            self._note(found, error)
            raise
        else:
            self._take(bundle, found)
            self._cache.remember(found)

    def info(self) -> dict[str, Any]:
        """Describe the model in service and the refusal, for /api/v1/model/info."""
        refused = None
        if self._refusal is not None:
            refused = {name: getattr(self._refusal, name) for name in ("version", "reason", "at")}
        if self._current is None:
            return {"model_version": None, "stage": None, "refused": refused}
        ref = self._current.ref
        in_production = ref is not None and self._production in (None, ref.key)
        return {**describe(self._current), "stage": PRODUCTION if in_production else "None", "refused": refused}

    def _settled(self, found: VersionRef) -> bool:
        if self._current is not None and self._current.ref is not None and self._current.ref.key == found.key:
            self._refusal = None
            return True
        return self._refusal is not None and self._refusal.final and self._refusal.key == found.key

    def _take(self, bundle: LoadedBundle, ref: VersionRef | None) -> None:
        version = (ref.name if ref is not None else bundle.manifest.model_version) or "unversioned"
        before = self.version
        self._current = InService(bundle, version, ref, self._clock())
        self._refusal = None
        log.info("model in service", version=version, before=before, bundle_hash=bundle.manifest.bundle_hash[:16])
        if bundle.warning is not None:
            log.warning("model below its floor", version=version, reason=bundle.warning)

    def _refuse(self, key: str, version: str, error: BundleError) -> None:
        self._refusal = Refusal(key, version, str(error), self._clock(), final=True)
        self._on_refusal()
        log.error("bundle refused", version=version, reason=str(error), still_serving=self.version)

    def _note(self, found: VersionRef, error: RegistryError) -> None:
        if self._refusal is None or self._refusal.key != found.key:
            self._on_refusal()
        self._refusal = Refusal(found.key, found.name, str(error), self._clock(), final=False)


def describe(model: InService) -> dict[str, Any]:
    """Describe a model from its bundle: what it is, where it comes from, how good it was, what it reads."""
    manifest = model.bundle.manifest
    categories = manifest.encoder.get("categories", [])
    return {
        "model_version": model.version,
        "warning": model.bundle.warning,
        "model_name": manifest.model_name,
        "algorithm": manifest.algorithm,
        "registry_version": None if model.ref is None else model.ref.number,
        "run_id": manifest.run_id or None,
        "in_service_since": model.since,
        "bundle_hash": manifest.bundle_hash,
        "threshold": manifest.threshold,
        "threshold_policy": manifest.policy.model_dump(),
        "calibration": manifest.calibration.model_dump(),
        "metrics": {name: figure.value for name, figure in manifest.metrics.get(HOLD_OUT, {}).items()},
        "metrics_by_part": manifest.model_dump(include={"metrics"})["metrics"],
        "features": list(manifest.names),
        "categories": [category["column"] for category in categories],
        "vocabularies": {category["column"]: category["vocabulary"] for category in categories},
        "data": manifest.data.model_dump(),
        "git_commit": manifest.git_commit,
    }
