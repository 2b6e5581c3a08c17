"""A bundle's way through the registry of a real MLflow server, and the same numbers at every door."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sentinel_core.errors import RegistryError
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.promotion import (
    Move,
    Version,
    find_version,
    list_versions,
    move,
    register,
    rollback,
    unused_name,
)
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.registry.tracking import client, log_bundle, log_facts, log_files, mlflow_run
from sentinel_core.settings import Settings, load_settings
from tests.registry.bundles import tiny_bundle, vectors


@pytest.fixture
def registry_settings(mlflow_uri: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings whose registered model no other test sees."""
    name = re.sub(r"\W+", "_", request.node.name)
    return load_settings(None, home=tmp_path, mlflow_tracking_uri_given=mlflow_uri, model_name=name)


class Log:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.moves: list[Move] = []

    def __call__(self, moved: Move) -> None:
        self.moves.append(moved)

    @property
    def brief(self) -> list[tuple[str, str, str, str]]:
        return [(m.version.name, m.action, m.from_stage, m.to_stage) for m in self.moves]


def registered(settings: Settings, tmp_path: Path, name: str, record: Log, bias: float = -3.0) -> Version:
    """Log a tiny bundle in a run of its own and register it."""
    folder = tmp_path / name / "bundle"
    folder.parent.mkdir()
    manifest = tiny_bundle(folder, bias=bias)
    with mlflow_run(settings, name) as run_id:
        uri = log_bundle(settings, run_id, folder)
    return register(
        settings,
        model_uri=uri,
        run_id=run_id,
        name=name,
        bundle_hash=manifest.bundle_hash,
        actor="test",
        record=record,
    )


def test_stage_and_alias_move_together_and_every_move_is_told(registry_settings: Settings, tmp_path: Path) -> None:
    log = Log()
    first = registered(registry_settings, tmp_path, "v20260101_000000", log)
    second = registered(registry_settings, tmp_path, "v20260102_000000", log)
    for version in (first, second):
        move(registry_settings, version, "Staging", actor="test", reason="trained", record=log)
        staged = find_version(registry_settings, version.name)
        move(registry_settings, staged, "Production", actor="test", reason="passed", record=log, verdict={"passed": 1})

    stages = {version.name: version.stage for version in list_versions(registry_settings)}
    assert stages == {first.name: "Archived", second.name: "Production"}
    aliases = client(registry_settings).get_registered_model(registry_settings.model_name).aliases
    assert aliases == {"champion": second.number}
    assert log.brief == [
        (first.name, "register", "None", "None"),
        (second.name, "register", "None", "None"),
        (first.name, "promote", "None", "Staging"),
        (first.name, "promote", "Staging", "Production"),
        (second.name, "promote", "None", "Staging"),
        (first.name, "archive", "Production", "Archived"),
        (second.name, "promote", "Staging", "Production"),
    ]
    assert log.moves[-1].verdict == {"passed": 1}

    back = rollback(registry_settings, first.name, actor="test", record=log)
    assert (back.name, back.stage) == (first.name, "Production")
    assert log.moves[-1].action == "rollback"
    aliases = client(registry_settings).get_registered_model(registry_settings.model_name).aliases
    assert aliases == {"champion": first.number}


def test_the_service_and_mlflow_score_with_the_same_numbers(
    registry_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry_settings.mlflow_tracking_uri)

    version = registered(registry_settings, tmp_path, "v20260103_000000", Log())
    move(registry_settings, version, "Production", actor="test", reason="passed", record=Log())
    with MlflowRegistry.of(registry_settings) as registry:
        current = registry.production_version()
        assert current is not None
        assert current.name == version.name
        registry.download(current, tmp_path / "served")
    served = load_bundle(tmp_path / "served")
    assert served.manifest.model_version == version.name

    values = vectors(7)
    frame = pd.DataFrame(values, columns=list(FEATURE_NAMES)).assign(
        card_type=["debit", None, "credit", "x"] + ["debit"] * 3
    )
    columns = {c.column: [None] * 7 for c in served.encoder.categories} | {"card_type": list(frame["card_type"])}
    with warnings.catch_warnings():
        # MLflow wishes for type hints, and for aliases in place of stages.
        warnings.simplefilter("ignore")
        model = mlflow.pyfunc.load_model(f"models:/{registry_settings.model_name}/Production")
    np.testing.assert_array_equal(model.predict(frame), served.score(values, columns))


def test_a_run_that_fails_is_marked_failed_and_keeps_what_it_logged(
    registry_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "curve.txt").write_text("curve")
    with (
        pytest.raises(ZeroDivisionError),
        mlflow_run(registry_settings, "doomed", tags={"git_commit": "abc"}) as run_id,
    ):
        log_facts(registry_settings, run_id, params={"depth": 3}, metrics={"test_pr_auc": 0.5}, tags={"data_hash": "d"})
        log_files(registry_settings, run_id, tmp_path / "plots", under="plots")
        raise ZeroDivisionError
    run = client(registry_settings).get_run(run_id)
    assert run.info.status == "FAILED"
    assert run.info.end_time >= run.info.start_time
    assert run.data.params == {"depth": "3"}
    assert run.data.metrics == {"test_pr_auc": 0.5}
    assert {"git_commit": "abc", "data_hash": "d"}.items() <= run.data.tags.items()
    assert [f.path for f in client(registry_settings).list_artifacts(run_id, "plots")] == ["plots/curve.txt"]


def test_children_name_their_parent(registry_settings: Settings) -> None:
    with (
        mlflow_run(registry_settings, "parent") as parent,
        mlflow_run(registry_settings, "child", parent=parent) as child,
    ):
        pass
    assert client(registry_settings).get_run(child).data.tags["mlflow.parentRunId"] == parent


def test_a_name_is_given_once(registry_settings: Settings, tmp_path: Path) -> None:
    now = datetime(2026, 1, 4, tzinfo=UTC)
    version = registered(registry_settings, tmp_path, unused_name(now, []), Log())
    assert version.name == "v20260104_000000"
    assert unused_name(now, [version.name]) == "v20260104_000001"
    with pytest.raises(RegistryError, match=r"v20260104_000000 is registered already\. .*try again"):
        register(
            registry_settings,
            model_uri="x",
            run_id=version.run_id,
            name=version.name,
            bundle_hash="",
            actor="test",
            record=Log(),
        )


def test_unknown_versions_and_impossible_rollbacks_are_errors(registry_settings: Settings) -> None:
    with pytest.raises(RegistryError, match="got 'v1'; registered are: none"):
        find_version(registry_settings, "v1")
    with pytest.raises(RegistryError, match="was in Production, found none"):
        rollback(registry_settings, None, actor="test", record=Log())
