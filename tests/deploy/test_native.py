"""`make env`, `docker compose up -d`, the documented request: the commands of the file, without Docker."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator

import orjson
import pytest

from sentinel_core.local.paths import project_root
from tests.deploy.composition import BALANCER
from tests.deploy.native import Native, balancer_is_installed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not balancer_is_installed(), reason="HAProxy is not installed: apt-get install haproxy"),
]
ROWS = "10000"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    """The whole file, up."""
    # The whole chain by few rows and one model: what three of them are worth is tested elsewhere.
    native = Native.make(tmp_path_factory.mktemp("compose"), {"SENTINEL_FIRST_ROWS": ROWS, "API_WORKERS": "1"})
    native.file.services["first-model"]["command"] += ["--models", "logistic_regression"]
    try:
        native.up()
        native.until_healthy(BALANCER)
        yield native
    finally:
        native.down()


def _documented_request() -> str:
    text = (project_root() / "docs" / "docker.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```bash\n(KEY=.*?)```", text, re.DOTALL)
    return str(block)


def test_the_documented_request_is_answered_with_the_key_of_env(stack: Native) -> None:
    command = _documented_request().replace("127.0.0.1:8000", f"127.0.0.1:{stack.ports[BALANCER]}")
    environment = {**os.environ, "no_proxy": "*"}
    done = subprocess.run(
        ["bash", "-euc", command], cwd=stack.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = orjson.loads(done.stdout)
    assert 0 <= answer["fraud_score"] <= 1
    assert answer["degraded"] is False
    assert re.fullmatch(r"v\d{8}_\d{6}", answer["model_version"])


def test_it_starts_in_the_order_of_the_file(stack: Native) -> None:
    place = {name: number for number, name in enumerate(stack.started)}
    assert place["postgres"] < place["migrations"] < place["mlflow"] < place["airflow-api-server"]
    assert place["airflow-dag-processor"] < place["first-model"] < place["api"] < place[BALANCER]
    assert "Trained and promoted: v" in stack.log("first-model")
    assert "The training history, into PostgreSQL and Redis" in stack.log("first-model")


def test_a_second_up_finds_the_model_and_ends_at_once(stack: Native) -> None:
    before = stack.log("first-model")
    begun = time.monotonic()
    stack.once("first-model")
    assert time.monotonic() - begun < 60
    assert re.search(r"^In Production already: v", stack.log("first-model").removeprefix(before), re.MULTILINE)
