"""What the serving process says when MLflow is away or is not MLflow; the rest is in test_promotion."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sentinel_core.errors import RegistryError
from sentinel_core.local.ports import free_port
from sentinel_core.registry.rest import MlflowRegistry, VersionRef, production_version, version_name
from sentinel_core.settings import load_settings

VERSION = VersionRef(number="3", name="v20260101_000000", stage="Production", run_id="r", source="models:/m-1")


@contextmanager
def _answering(status: int, body: bytes) -> Iterator[str]:
    """Serve one answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_registry_that_is_away_is_an_error_with_its_address(tmp_path: Path) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    settings = load_settings(None, home=tmp_path, mlflow_tracking_uri_given=uri)
    with pytest.raises(RegistryError, match=rf"{uri}/api/2\.0/mlflow/.*ConnectError.*MLFLOW_TRACKING_URI"):
        production_version(settings)


def test_a_model_that_was_never_registered_has_no_production_version() -> None:
    with _answering(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}') as uri, MlflowRegistry(uri, "none") as registry:
        assert registry.production_version() is None


@pytest.mark.parametrize(("status", "body"), [(500, b"oops"), (200, b"<html>a login page</html>")])
def test_an_answer_that_is_not_mlflows_is_an_error_that_shows_it(status: int, body: bytes) -> None:
    with (
        _answering(status, body) as uri,
        MlflowRegistry(uri, "m") as registry,
        pytest.raises(RegistryError, match=rf"expected 200 and JSON .* got {status}: '{body.decode()}'"),
    ):
        registry.production_version()


def test_artifacts_that_mlflow_does_not_serve_are_an_error_with_the_remedy(tmp_path: Path) -> None:
    with (
        _answering(200, b'{"artifact_uri": "s3://bucket/1/models/m-1"}') as uri,
        MlflowRegistry(uri, "m") as registry,
        pytest.raises(RegistryError, match=r"got 's3://bucket/1/models/m-1'.*--serve-artifacts"),
    ):
        registry.download(VERSION, tmp_path / "b")


def test_a_version_registered_by_hand_is_named_by_its_time_of_creation() -> None:
    assert version_name(1_767_225_600_000) == "v20260101_000000"


def test_the_key_of_a_version_differs_between_registries_that_count_from_one_again() -> None:
    other = VersionRef(VERSION.number, VERSION.name, VERSION.stage, VERSION.run_id, "models:/m-2")
    assert VERSION.key != other.key
    assert VERSION.key.startswith("v20260101_000000.3.")
