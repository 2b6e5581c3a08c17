"""Moves of model versions between stages: stage and alias together, each move told to a recorder.

MLflow keeps no history of transitions; the recorder (flows wire it to the table `promotions`) does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sentinel_core.errors import RegistryError
from sentinel_core.registry.rest import VERSION_TAG, MlflowRegistry, tags_of, version_name
from sentinel_core.registry.tracking import client
from sentinel_core.settings import Settings

Stage = Literal["None", "Staging", "Production", "Archived"]
Action = Literal["register", "promote", "archive", "rollback", "observed"]
STAGES: Final[tuple[Stage, ...]] = ("None", "Staging", "Production", "Archived")
ALIAS: Final[Mapping[Stage, str]] = {"Production": "champion", "Staging": "challenger"}
BUNDLE_HASH_TAG: Final = "bundle_hash"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version: MLflow's `number`, our `name` (v<YYYYMMDD>_<HHMMSS>), its stage, run and bundle."""

    number: str
    name: str
    stage: Stage
    run_id: str
    bundle_hash: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a version: from where to where, who moved it and why; `verdict` is the gate's table of checks."""

    version: Version
    action: Action
    from_stage: Stage
    to_stage: Stage
    actor: str
    reason: str
    verdict: Mapping[str, Any] = field(default_factory=dict)


Recorder = Callable[[Move], object]


def list_versions(settings: Settings) -> list[Version]:
    """Return every registered version, the newest first; none where nothing was registered yet."""
    with MlflowRegistry.of(settings) as registry:
        return versions_of(registry)


def find_version(settings: Settings, name: str) -> Version:
    """Return a version by our name or by MLflow's number; raises `RegistryError` that lists those that exist."""
    with MlflowRegistry.of(settings) as registry:
        return _find(registry, settings.model_name, name)


def _find(registry: MlflowRegistry, model_name: str, name: str) -> Version:
    versions = versions_of(registry)
    for version in versions:
        if name in (version.name, version.number):
            return version
    known = ", ".join(version.name for version in versions[:10]) or "none"
    raise RegistryError(
        f"expected a version of {model_name}, got {name!r}; registered are: {known}.",
        remedy="See `sentinel models`.",
    )


def register(
    settings: Settings, *, model_uri: str, run_id: str, name: str, bundle_hash: str, actor: str, record: Recorder
) -> Version:
    """Register a logged model under `name`, in no stage yet; raises `RegistryError` where the name is taken."""
    mlflow = client(settings)
    if any(version.name == name for version in list_versions(settings)):
        raise RegistryError(
            f"expected a new version name, but {name} is registered already.",
            remedy="Names are the second of registration, in UTC: try again.",
        )
    _ensure_model(settings)
    tags = {VERSION_TAG: name, BUNDLE_HASH_TAG: bundle_hash}
    made = mlflow.create_model_version(
        settings.model_name, source=model_uri, run_id=run_id, tags=tags, model_id=model_uri.removeprefix("models:/")
    )
    version = find_version(settings, str(made.version))
    record(Move(version, "register", "None", "None", actor, f"registered from run {run_id}"))
    return version


def move(
    settings: Settings,
    version: Version,
    stage: Stage,
    *,
    actor: str,
    reason: str,
    record: Recorder,
    action: Action = "promote",
    verdict: Mapping[str, Any] | None = None,
) -> Version:
    """Move a version to a stage, its alias with it; what was in Staging or Production there goes to Archived.

    Each move, the displaced ones included, is told to `record` after MLflow has made it.
    """
    with MlflowRegistry.of(settings) as registry:
        displaced = [
            other for other in versions_of(registry) if other.stage == stage and other.number != version.number
        ]
        registry.transition(version.number, stage)
        for other in displaced if stage in ALIAS else ():
            registry.transition(other.number, "Archived")
        _set_aliases(registry, version, stage)
        moved = _find(registry, settings.model_name, version.number)
    for other in displaced if stage in ALIAS else ():
        replaced = f"replaced in {stage} by {version.name}"
        record(Move(other, "archive", other.stage, "Archived", actor, replaced))
    record(Move(moved, action, version.stage, stage, actor, reason, verdict or {}))
    return moved


def rollback(
    settings: Settings, previous: str | None, *, actor: str, record: Recorder, reason: str = "rolled back"
) -> Version:
    """Put the version `previous`, the last one in Production before the present one, back into Production.

    Raises `RegistryError` where there is none, or it is no longer registered.
    """
    if previous is None:
        raise RegistryError(
            f"expected an earlier version of {settings.model_name} that was in Production, found none.",
            remedy="Only a model that replaced another can be rolled back: see `sentinel models`.",
        )
    version = find_version(settings, previous)
    return move(settings, version, "Production", actor=actor, reason=reason, record=record, action="rollback")


def unused_name(now: datetime, taken: Sequence[str]) -> str:
    """Return v<YYYYMMDD>_<HHMMSS> for `now` (UTC), or for the next second that no version is named after."""
    milliseconds = int(now.timestamp()) * 1000
    while version_name(milliseconds) in taken:
        milliseconds += 1000
    return version_name(milliseconds)


def _ensure_model(settings: Settings) -> None:
    from mlflow.exceptions import RestException

    mlflow = client(settings)
    if any(model.name == settings.model_name for model in mlflow.search_registered_models()):
        return
    try:
        mlflow.create_registered_model(settings.model_name, description="Card-fraud scores; see docs/decisions/0007.")
    except RestException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _set_aliases(registry: MlflowRegistry, version: Version, stage: Stage) -> None:
    """Let the stage's alias point at the version, and no other alias of ours."""
    present = registry.aliases()
    for of_stage, alias in ALIAS.items():
        if of_stage == stage:
            registry.set_alias(alias, version.number)
        elif present.get(alias) == version.number:
            registry.delete_alias(alias)


def versions_of(registry: MlflowRegistry) -> list[Version]:
    """Return every version of a registry, the newest first."""
    return sorted(map(_version, registry.versions()), key=lambda version: int(version.number), reverse=True)


def _version(described: Mapping[str, Any]) -> Version:
    tags = tags_of(described)
    created_ms = int(described["creation_timestamp"])
    return Version(
        number=str(described["version"]),
        name=tags.get(VERSION_TAG) or version_name(created_ms),
        stage=described.get("current_stage") or "None",
        run_id=described.get("run_id") or "",
        bundle_hash=tags.get(BUNDLE_HASH_TAG, ""),
        created_ms=created_ms,
    )
