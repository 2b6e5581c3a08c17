"""MLflow's registry over HTTP, without the mlflow package, whose import takes seconds.

The service asks which version is in Production and for its bundle; moves between stages are told here too, so that a
rollback takes as long as its requests. MLflow answers all of it by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from sentinel_core.errors import RegistryError
from sentinel_core.registry.files import FILES, MANIFEST, stamp
from sentinel_core.schema import from_micros
from sentinel_core.settings import Settings, is_loopback

BUNDLE_PATH: Final = "artifacts/bundle"
"""Where a logged model keeps its bundle."""
VERSION_TAG: Final = "model_version"
_API: Final = "/api/2.0/mlflow"
_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
_SECONDS: Final = 3.0
_DOWNLOAD_SECONDS: Final = 60.0
_PAGE: Final = "1000"


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version in the registry: `number` is MLflow's, `name` ours (v<YYYYMMDD>_<HHMMSS>)."""

    number: str
    name: str
    stage: str
    run_id: str
    source: str

    @property
    def key(self) -> str:
        """A name for files: differs for versions of another registry that count from 1 again."""
        return f"{self.name}.{self.number}.{hashlib.sha256(self.source.encode()).hexdigest()[:8]}"


class MlflowRegistry:
    """A small client of one MLflow server, for one registered model; safe to keep for the life of a process.

    Every call raises `RegistryError` where MLflow is away or answers something else than expected.
    """

    def __init__(self, uri: str, model_name: str, *, seconds: float = _SECONDS) -> None:
        self._model_name = model_name
        self._uri = uri.rstrip("/")
        # A proxy that the environment names is for the world, not for this machine.
        outside = not is_loopback(urlsplit(self._uri).hostname or "")
        self._client = httpx.Client(base_url=self._uri, timeout=seconds, trust_env=outside)

    @classmethod
    def of(cls, settings: Settings) -> MlflowRegistry:
        """Make the client that the settings name."""
        return cls(settings.mlflow_tracking_uri, settings.model_name)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> MlflowRegistry:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def production_version(self) -> VersionRef | None:
        """Return the version in Production, or None where there is none.

        Of several, the one with the highest number counts, as for `models:/<name>/Production` in MLflow itself.
        """
        return self.stage_version("Production")

    def stage_version(self, stage: str) -> VersionRef | None:
        """Return the version in a stage (Staging, Production, Archived), or None where there is none."""
        query = {"name": self._model_name, "stages": stage}
        answer = self._json(f"{_API}/registered-models/get-latest-versions", query, missing_is_empty=True)
        versions = answer.get("model_versions", [])
        return _reference(versions[0]) if versions else None

    def named_version(self, name: str) -> VersionRef | None:
        """Return the version of a name (v<YYYYMMDD>_<HHMMSS>), of several the newest, or None where there is none."""
        return next((found for found in map(_reference, self.versions()) if found.name == name), None)

    def versions(self) -> Iterator[Mapping[str, Any]]:
        """Yield every version as MLflow describes it, the newest first."""
        query = {"filter": f"name='{self._model_name}'", "order_by": "version_number DESC", "max_results": _PAGE}
        while True:
            answer = self._json(f"{_API}/model-versions/search", query)
            yield from answer.get("model_versions", [])
            if not answer.get("next_page_token"):
                return
            query["page_token"] = answer["next_page_token"]

    def transition(self, number: str, stage: str) -> None:
        """Move a version, by MLflow's number, to a stage; nothing else moves."""
        body = {"name": self._model_name, "version": number, "stage": stage, "archive_existing_versions": False}
        self._send("POST", f"{_API}/model-versions/transition-stage", body)

    def aliases(self) -> dict[str, str]:
        """Return the number of the version that each alias of the model names; none where nothing is registered."""
        found = self._json(f"{_API}/registered-models/get", {"name": self._model_name}, missing_is_empty=True)
        return {one["alias"]: str(one["version"]) for one in found.get("registered_model", {}).get("aliases", [])}

    def set_alias(self, alias: str, number: str) -> None:
        """Let an alias name a version."""
        body = {"name": self._model_name, "alias": alias, "version": number}
        self._send("POST", f"{_API}/registered-models/alias", body)

    def delete_alias(self, alias: str) -> None:
        """Take an alias away."""
        self._send("DELETE", f"{_API}/registered-models/alias", {"name": self._model_name, "alias": alias})

    def download(self, version: VersionRef, directory: Path) -> None:
        """Write the bundle of a version into an empty `directory`, its bundle.json stamped with the version's name."""
        answer = self._json(
            f"{_API}/model-versions/get-download-uri", {"name": self._model_name, "version": version.number}
        )
        location = urlsplit(str(answer.get("artifact_uri", "")))
        if location.scheme != "mlflow-artifacts":
            raise RegistryError(
                f"expected MLflow at {self._uri} to serve the artifacts of version {version.number}"
                f" (mlflow-artifacts:…), got {location.geturl()!r}.",
                remedy="Start the server with --serve-artifacts, and train again.",
            )
        root = f"{_ARTIFACTS}/{quote(location.path.strip('/'))}/{BUNDLE_PATH}"
        directory.mkdir(parents=True, exist_ok=True)
        for name in (*FILES, MANIFEST):
            self._fetch(f"{root}/{name}", directory / name)
        stamp(directory, model_version=version.name, run_id=version.run_id)

    def _fetch(self, path: str, target: Path) -> None:
        with self._errors(path), self._client.stream("GET", path, timeout=_DOWNLOAD_SECONDS) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                raise self._unexpected(path, answer)
            with target.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)

    def _json(self, path: str, query: Mapping[str, str], *, missing_is_empty: bool = False) -> dict[str, Any]:
        with self._errors(path):
            answer = self._client.get(path, params=dict(query))
        if missing_is_empty and answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        if answer.status_code != httpx.codes.OK:
            raise self._unexpected(path, answer)
        try:
            document: dict[str, Any] = answer.json()
        except json.JSONDecodeError:
            raise self._unexpected(path, answer) from None
        return document

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        with self._errors(path):
            answer = self._client.request(method, path, json=dict(body))
        if answer.status_code != httpx.codes.OK:
            raise self._unexpected(path, answer)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise RegistryError(
                f"expected MLflow to answer at {self._uri}{path}, got {type(error).__name__}: {error}.",
                remedy="Is it running? See `sentinel status`, or MLFLOW_TRACKING_URI.",
            ) from None

    def _unexpected(self, path: str, answer: httpx.Response) -> RegistryError:
        return RegistryError(
            f"expected 200 and JSON from {self._uri}{path}, got {answer.status_code}: {answer.text[:200]!r}.",
            remedy="Look at MLflow's log: sentinel logs mlflow.",
        )


def production_version(settings: Settings) -> VersionRef | None:
    """Return the version in Production of the settings' registry; raises `RegistryError` where it is away."""
    with MlflowRegistry.of(settings) as registry:
        return registry.production_version()


def version_name(created_ms: int) -> str:
    """Return v<YYYYMMDD>_<HHMMSS> (UTC) for a time in ms since 1970."""
    return f"v{from_micros(created_ms * 1000):%Y%m%d_%H%M%S}"


def tags_of(version: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a version as MLflow describes it."""
    return {tag["key"]: tag.get("value", "") for tag in version.get("tags", [])}


def _reference(version: Mapping[str, Any]) -> VersionRef:
    tags = tags_of(version)
    return VersionRef(
        number=str(version["version"]),
        # A version that somebody registered by hand has no name of ours: its time of creation gives one.
        name=tags.get(VERSION_TAG) or version_name(int(version["creation_timestamp"])),
        stage=str(version.get("current_stage", "None")),
        run_id=str(version.get("run_id", "")),
        source=str(version.get("source", "")),
    )
