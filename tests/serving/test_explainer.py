"""The explain process: versions are found wherever they still are, and a broken one is not fetched again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentinel_core.errors import RegistryError
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.local.ports import free_port
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.promotion import move
from sentinel_core.schema import CATEGORY_COLUMNS
from sentinel_core.settings import Settings, load_settings
from serving.bundle_source import GivenBundle, bundle_source
from serving.explainer import HELD, Desk, Question, make_app
from tests.registry.bundles import tiny_bundle
from tests.registry.test_promotion import Log, registered, registry_settings

__all__ = ["registry_settings"]
VERSION = "v20260101_000000"


@pytest.fixture(scope="module", autouse=True)
def _skops() -> None:
    # Else a thread of the explainer is the first to import it, while another module is imported here: pytest rewrites
    # both, and Python 3.11 cannot parse in two threads at once.
    import skops.io  # noqa: F401


def question(version: str = VERSION, **fields: Any) -> dict[str, Any]:
    """A question about a vector of ones."""
    asked = {
        "version": version,
        "features": dict.fromkeys(FEATURE_NAMES, 1.0),
        "categories": dict.fromkeys(CATEGORY_COLUMNS),
        "within_seconds": 30.0,
    }
    return {**asked, **fields}


def post(source: Any, *bodies: Any) -> list[httpx.Response]:
    """Ask the application over a source, one question after the other."""

    async def asked() -> list[httpx.Response]:
        transport = httpx.ASGITransport(make_app(source))
        async with httpx.AsyncClient(transport=transport, base_url="http://explainer") as client:
            return [await client.post("/explain", json=body) for body in bodies]

    return asyncio.run(asked())


class Counting(GivenBundle):
    """The bundle of a directory under every name; remembers what was loaded."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.loaded: list[str] = []
        self._directory = directory

    def load(self, version: str) -> LoadedBundle:
        self.loaded.append(version)
        return load_bundle(self._directory)


@pytest.fixture
def explained(tmp_path: Path) -> Path:
    tiny_bundle(tmp_path / "bundle", model_version=VERSION, explained=True)
    return tmp_path / "bundle"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A bundle whose scores are good, and whose estimator cannot be read."""
    tiny_bundle(tmp_path / "broken", model_version=VERSION)
    return tmp_path / "broken"


def test_a_broken_bundle_is_loaded_once_however_often_it_is_asked_for(broken: Path) -> None:
    source = Counting(broken)
    answers = post(source, question(), question(), question())
    assert [one.status_code for one in answers] == [404] * 3
    assert answers[0].json()["error"] == "version_unavailable"
    assert source.loaded == [VERSION]


def test_questions_that_come_while_a_version_loads_share_the_loading(explained: Path) -> None:
    source = Counting(explained)

    async def asked() -> None:
        desk = Desk(source)
        await asyncio.gather(*(desk.reasons(Question(**question())) for _ in range(8)))
        desk.close()

    asyncio.run(asked())
    assert source.loaded == [VERSION]


def test_the_versions_that_were_asked_for_last_stay_in_memory(explained: Path) -> None:
    async def asked() -> list[str]:
        desk = Desk(Counting(explained))
        for version in ("v1", "v2", "v3", "v1", "v4"):
            await desk.reasons(Question(**question(version)))
        return desk.versions

    assert HELD == 3
    assert asyncio.run(asked()) == ["v3", "v1", "v4"]


def test_what_nobody_waits_for_any_more_is_not_computed(explained: Path) -> None:
    (answer,) = post(Counting(explained), question(within_seconds=0.0))
    assert (answer.status_code, answer.json()["error"]) == (503, "late")


def test_a_vector_without_a_feature_of_the_model_is_refused_by_name(explained: Path) -> None:
    features = dict.fromkeys(FEATURE_NAMES[1:], 1.0)
    (answer,) = post(Counting(explained), question(features=features))
    assert (answer.status_code, answer.json()["error"]) == (422, "vector_incomplete")
    assert repr(FEATURE_NAMES[0]) in answer.json()["detail"]


def test_a_given_bundle_explains_its_own_version_only(explained: Path) -> None:
    source = GivenBundle(explained)
    assert source.in_service() == VERSION
    assert source.load(VERSION).manifest.model_version == VERSION
    with pytest.raises(RegistryError, match=rf"expected the version {VERSION} of SENTINEL_BUNDLE, got .* about v2"):
        source.load("v2")


def test_any_version_of_the_registry_loads_and_with_mlflow_away_those_on_the_disk(
    registry_settings: Settings, tmp_path: Path
) -> None:
    log = Log()
    first = registered(registry_settings, tmp_path, "v20260101_000000", log)
    second = registered(registry_settings, tmp_path, "v20260102_000000", log, bias=-2.0)
    source = bundle_source(registry_settings)
    assert source.in_service() is None
    move(registry_settings, second, "Production", actor="test", reason="passed", record=log)
    assert source.in_service() == second.name
    for version in (first, second):
        assert source.load(version.name).manifest.model_version == version.name
    with pytest.raises(RegistryError, match="expected the version v19990101_000000 in the registry, found none"):
        source.load("v19990101_000000")
    source.close()

    uri = f"http://127.0.0.1:{free_port()}"
    cut_off = bundle_source(load_settings(None, home=registry_settings.home, mlflow_tracking_uri_given=uri))
    assert cut_off.load(first.name).manifest.model_version == first.name
    with pytest.raises(RegistryError, match="expected MLflow to answer"):
        cut_off.load("v19990101_000000")
    cut_off.close()
