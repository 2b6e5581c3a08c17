"""Schemathesis against the running service: whatever its description allows to send, the answer is a documented one.

Each operation gets the edges of every bound, then bodies, parameters, headers and methods at random, valid and invalid.
A failure prints the request that caused it and the seed of the run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.conftest import Service

EXAMPLES = 50
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def answers(service: Service) -> dict[tuple[str, str], float]:
    """How often each route answered with each status."""
    text = service.http.get("/metrics").text
    found = re.findall(
        r'^sentinel_requests_total\{method="\w+",route="(.+)",status="(\d+)"\} (\S+)$', text, re.MULTILINE
    )
    totals: dict[tuple[str, str], float] = {}
    for route, status, count in found:
        totals[route, status] = totals.get((route, status), 0) + float(count)
    return totals


@pytest.mark.slow
def test_every_answer_is_one_that_the_description_names(service: Service, tmp_path: Path) -> None:
    before = answers(service)
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "st", "run", f"{service.url}/openapi.json", "--no-color"),
            *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES)),
            *("--suppress-health-check", "all", "--continue-on-failure"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 11" in done.stdout
    # What is refused at the door proves little: transactions and labels were taken too.
    after = answers(service)
    for route, status in (
        ("/api/v1/predict", "200"),
        ("/api/v1/predict", "422"),
        ("/api/v1/predict/batch", "200"),
        ("/api/v1/predict/batch", "422"),
        ("/api/v1/labels", "422"),
        ("/api/v1/outcomes", "422"),
        ("/api/v1/alerts", "200"),
        ("/api/v1/alerts/{alert_id}/acknowledge", "404"),
    ):
        assert after.get((route, status), 0) > before.get((route, status), 0), (route, status)


def test_the_description_says_what_every_operation_may_refuse(service: Service) -> None:
    document = service.http.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["ApiKey"]["name"] == "X-API-Key"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            refusals = {status: one for status, one in operation["responses"].items() if status >= "400"}
            assert ({"401", "429", "503"} <= set(refusals)) is (path != "/health")
            assert ("security" in operation) is (path != "/health")
            for status, refusal in refusals.items():
                form = refusal["content"]["application/json"]["schema"]["$ref"]
                assert form.endswith("/ErrorBody"), f"{path} {status}"
