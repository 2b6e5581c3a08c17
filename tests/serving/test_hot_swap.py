"""A stage moved in a real MLflow reaches every worker of a running service, and no request fails for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.manifest import FeatureRef
from sentinel_core.registry.promotion import Version, rollback
from sentinel_core.registry.tracking import client, log_bundle, mlflow_run
from sentinel_core.settings import Settings
from tests.conftest import Servers
from tests.registry.test_promotion import Log, registered
from tests.serving.conftest import Service, payload, service_settings, serving, until

SWAP_SECONDS = 10.0  # promised are 2; this machine may be busy with other tests


class Load:
    """Clients that never pause; every answer is kept with the time of its arrival."""

    def __init__(self, service: Service) -> None:
        self.answers: list[tuple[float, int, dict[str, Any]]] = []
        self._service = service
        self._stop = threading.Event()

    def run(self) -> None:
        while not self._stop.is_set():
            # A connection for each few requests, so that both workers get some.
            with httpx.Client(base_url=self._service.url, timeout=30) as http:
                for _ in range(5):
                    answer = http.post("/api/v1/predict", json=payload(amount=100.0))
                    self.answers.append((time.monotonic(), answer.status_code, answer.json()))

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.run) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def versions_in_service(service: Service) -> set[str | None]:
    """The versions that a few new connections meet."""
    return {httpx.get(f"{service.url}/health", timeout=30).json()["model_version"] for _ in range(12)}


def promote(settings: Settings, version: Version) -> None:
    """Move a version as a person does in MLflow: the stage alone, and the others of that stage to Archived."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client(settings).transition_model_version_stage(
            settings.model_name, version.number, "Production", archive_existing_versions=True
        )


@pytest.mark.slow
def test_models_come_swap_and_are_refused_while_requests_run(
    servers: Servers, _template: str, mlflow_uri: str, tmp_path: Path
) -> None:
    overrides = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": "hot_swap"}
    with (
        service_settings(servers, _template, tmp_path / "home", **overrides) as settings,
        serving(settings, workers=2) as service,
    ):
        refused_without_a_model(service)
        first = registered(settings, tmp_path, "v20260101_000000", Log(), bias=-3.0)
        second = registered(settings, tmp_path, "v20260102_000000", Log(), bias=-1.0)
        promote(settings, first)
        until("the first model serves", lambda: versions_in_service(service) == {first.name}, SWAP_SECONDS)
        swapped_under_load(service, settings, tmp_path, first, second)
        a_broken_one_is_refused(service, settings, tmp_path, second)
        back_by_one_call(service, settings, first)


def refused_without_a_model(service: Service) -> None:
    assert service.http.get("/health").json()["status"] == "no_model"
    answer = service.predict(payload())
    assert answer.status_code == 503
    assert answer.json() == {
        "error": "no_model",
        "detail": "No model is in Production yet. Train and promote one; it is taken into service by itself.",
    }
    assert answer.headers["retry-after"] == "1"
    assert service.http.get("/api/v1/model/info").json()["model_version"] is None


def swapped_under_load(service: Service, settings: Settings, tmp_path: Path, first: Version, second: Version) -> None:
    load = Load(service)
    with load.running():
        time.sleep(1)
        moved = time.monotonic()
        promote(settings, second)
        until("the second model serves", lambda: versions_in_service(service) == {second.name}, SWAP_SECONDS)
        settled = time.monotonic()
        time.sleep(1)
    assert {status for _, status, _ in load.answers} == {200}
    assert {answer["model_version"] for _, _, answer in load.answers} == {first.name, second.name}
    assert all(answer["model_version"] == first.name for at, _, answer in load.answers if at < moved)
    assert all(answer["model_version"] == second.name for at, _, answer in load.answers if at > settled + 0.5)
    # One bundle a batch: a version and its score always belong together.
    scores = {(answer["model_version"], answer["fraud_score"]) for _, _, answer in load.answers}
    assert len(scores) == 2
    expected = {name: load_bundle(tmp_path / name / "bundle").threshold for name in (first.name, second.name)}
    for _, _, answer in load.answers:
        assert answer["prediction"] is (answer["fraud_score"] >= expected[answer["model_version"]])


def a_broken_one_is_refused(service: Service, settings: Settings, tmp_path: Path, second: Version) -> None:
    from sentinel_core.features.catalog import CATALOGUE
    from tests.registry.bundles import tiny_bundle

    references = [FeatureRef(name=one.name, hash=one.definition_hash) for one in CATALOGUE]
    references[0] = FeatureRef(name="amount", hash="f" * 16)
    folder = tmp_path / "broken" / "bundle"
    folder.parent.mkdir()
    tiny_bundle(folder, features=tuple(references))
    with mlflow_run(settings, "broken") as run_id:
        uri = log_bundle(settings, run_id, folder)
    made = client(settings).create_model_version(
        settings.model_name,
        source=uri,
        run_id=run_id,
        tags={"model_version": "v20260103_000000"},
        model_id=uri.removeprefix("models:/"),
    )
    promote(settings, Version(str(made.version), "v20260103_000000", "None", run_id, "", 0))

    def refusal() -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{service.url}/api/v1/model/info", timeout=30).json()
        return found

    # Each call is a new connection, so that both workers are asked.
    until("the refusal shows", lambda: all(refusal()["refused"] is not None for _ in range(12)), SWAP_SECONDS)
    info = refusal()
    assert info["model_version"] == second.name
    assert info["refused"]["version"] == "v20260103_000000"
    assert "the feature 'amount' with the definition ffffffffffffffff" in info["refused"]["reason"]
    assert service.predict(payload()).status_code == 200


def back_by_one_call(service: Service, settings: Settings, first: Version) -> None:
    rollback(settings, first.name, actor="test", record=Log())
    until("the first model is back", lambda: versions_in_service(service) == {first.name}, SWAP_SECONDS)
    assert service.http.get("/api/v1/model/info").json()["refused"] is None
