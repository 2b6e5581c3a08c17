"""Bundles by the name of their version, for whoever explains what a version said."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from sentinel_core.errors import RegistryError
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.files import read_manifest
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.settings import Settings
from serving.bundle_cache import BundleCache
from serving.logs import get_logger

UNVERSIONED = "unversioned"
"""How answers name a bundle that was never registered."""
log = get_logger(__name__)


class BundleSource(Protocol):
    """Where bundles come from; calls raise `BundleError` for a broken one, `RegistryError` where there is none."""

    def in_service(self) -> str | None:
        """Return the version that is in service, or about to be, or None."""

    def load(self, version: str) -> LoadedBundle:
        """Load the bundle of a version."""

    def close(self) -> None:
        """Let go of every connection."""


def bundle_source(settings: Settings) -> BundleSource:
    """Return the source that the settings name: the bundle of SENTINEL_BUNDLE, or the registry."""
    # An empty SENTINEL_BUNDLE, as compose files leave it, is none.
    if settings.bundle is not None and settings.bundle != Path():
        return GivenBundle(settings.bundle)
    return RegisteredBundles(MlflowRegistry.of(settings), BundleCache(settings.home / "serving" / "models"))


class GivenBundle:
    """The one bundle of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def in_service(self) -> str | None:
        """Return the version that the bundle names."""
        return read_manifest(self._directory).model_version or UNVERSIONED

    def load(self, version: str) -> LoadedBundle:
        """Load the bundle if it is of this version."""
        given = self.in_service()
        if version != given:
            raise RegistryError(
                f"expected the version {given} of SENTINEL_BUNDLE, got a question about {version}.",
                remedy="Without SENTINEL_BUNDLE, every version of the registry can be explained.",
            )
        return load_bundle(self._directory)

    def close(self) -> None:
        """There is nothing to let go of."""


class RegisteredBundles:
    """The versions of the registry, by way of the disk that the service keeps its bundles on."""

    def __init__(self, registry: MlflowRegistry, cache: BundleCache) -> None:
        self._registry = registry
        self._cache = cache

    def in_service(self) -> str | None:
        """Return the version in Production."""
        found = self._registry.production_version()
        return None if found is None else found.name

    def load(self, version: str) -> LoadedBundle:
        """Load a version; with the registry away, or the version gone from it, the copy on this machine's disk."""
        try:
            return self._fetch(version)
        except RegistryError as error:
            kept = self._cache.kept(version)
            if kept is None:
                raise
            log.warning("version taken from disk", version=version, reason=str(error))
            return load_bundle(kept)

    def close(self) -> None:
        """Close the connections to the registry."""
        self._registry.close()

    def _fetch(self, version: str) -> LoadedBundle:
        found = self._registry.named_version(version)
        if found is None:
            raise RegistryError(
                f"expected the version {version} in the registry, found none of this name.",
                remedy="It was deleted there, or registered in another one: see MLFLOW_TRACKING_URI.",
            )
        return self._cache.load(found, self._registry.download)
