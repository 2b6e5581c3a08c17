"""Reasons on request: what raised the score, now and later, and an answer whatever becomes of the explain process."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from sentinel_core.features.catalog import FEATURE_NAMES, POSITION
from sentinel_core.local.environment import QUIET, settings_environment
from sentinel_core.local.health import explainer_is_well
from sentinel_core.schema import Transaction
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.postgres import make_engine
from serving.ledger import Ledger
from serving.metrics import Metrics
from serving.reasons import NOTES, Reasons
from tests.conftest import Servers
from tests.registry.bundles import tiny_bundle, vectors
from tests.serving.conftest import VERSION, Service, payload, service_settings, serving, until
from tests.serving.test_http import FIELDS, error

NOWHERE: dict[str, Any] = {"database_url_given": "postgresql://nobody:x@127.0.0.1:1/none"}
WEIGHTS = {"amount_log": 0.8, "user_txn_count_1h": 0.05, "merchant_category=grocery": -0.5}


@contextmanager
def explaining(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run an explain process until the end of the block."""
    environment = {**os.environ, **QUIET, **settings_environment(settings), "OMP_NUM_THREADS": "1"}
    with (settings.home / "explainer.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "serving.explainer"], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def held(settings: Settings) -> list[str]:
    """The versions that the explain process has in memory."""
    found: list[str] = httpx.get(f"{settings.explainer_address}/health").json()["versions"]
    return found


@pytest.fixture(scope="module")
def explained(servers: Servers, _template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with an explain process that has loaded its model; the deadline is one for busy machines."""
    home = tmp_path_factory.mktemp("explained")
    bundle = home / "bundle"
    tiny_bundle(bundle, model_version=VERSION, weights=WEIGHTS, explained=True)
    given = service_settings(servers, _template, home, bundle=bundle, explain_timeout_ms=5000)
    with given as settings, serving(settings, workers=1) as running, explaining(settings):
        until("the explain process answers", lambda: explainer_is_well(settings), seconds=60)
        until("it has loaded the model", lambda: held(settings) == [VERSION], seconds=60)
        yield running


def predict(service: Service, body: dict[str, Any], explain: str = "true") -> httpx.Response:
    return service.http.post("/api/v1/predict", params={"explain": explain}, json=body)


def test_reasons_are_the_contributions_largest_first_and_no_other_field_is_new(explained: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8), amount=150.0)
    found = predict(explained, body).json()
    assert sorted(found) == sorted([*FIELDS, "reasons"])
    reasons = {one["feature"]: one for one in found["reasons"]}
    assert list(reasons) == sorted(reasons, key=lambda name: -abs(reasons[name]["contribution"]))
    assert set(reasons) == {"amount_log", "user_txn_count_1h", "merchant_category"}
    assert reasons["user_txn_count_1h"]["value"] == 1
    assert reasons["merchant_category"]["value"] == "grocery"
    # By hand: weight times the distance from the mean of the bundle's rows, of which a third are groceries.
    mean = float(vectors()[:, POSITION["amount_log"]].mean(dtype=np.float64))
    expected = WEIGHTS["amount_log"] * (float(np.log1p(150.0)) - mean)
    assert reasons["amount_log"]["contribution"] == pytest.approx(expected, abs=1e-5)
    assert reasons["merchant_category"]["contribution"] == pytest.approx(-0.5 * 2 / 3, abs=1e-5)


def test_without_the_flag_nothing_is_different(explained: Service) -> None:
    for explain in ("false", "0"):
        assert sorted(predict(explained, payload(), explain).json()) == sorted(FIELDS)
    assert sorted(explained.http.post("/api/v1/predict?other=1", json=payload()).json()) == sorted(FIELDS)


def test_a_flag_that_is_neither_yes_nor_no_is_refused_and_nothing_is_recorded(explained: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    (one,) = error(predict(explained, body, "perhaps"), 422, "validation_error")
    assert (one["field"], one["message"][:29]) == ("explain", "Input should be a valid boole")
    assert predict(explained, body).json()["cached"] is False


def test_the_same_reasons_come_later_and_with_a_repeated_request(explained: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8), merchant_category="travel")
    first = predict(explained, body).json()
    assert len(first["reasons"]) == 3
    stored = explained.stored(body["transaction_id"])
    assert stored["reasons"] == first["reasons"]
    assert "reasons_note" not in stored
    again = predict(explained, body).json()
    assert again == first | {"cached": True}


def test_reasons_of_a_prediction_that_was_made_without_them_come_later(explained: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    assert "reasons" not in explained.predict(body).json()
    assert len(explained.stored(body["transaction_id"])["reasons"]) == 3


def test_a_transaction_is_answered_with_the_explain_process_away(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    answer = predict(service, body)
    assert answer.status_code == 200
    assert sorted(answer.json()) == sorted([*FIELDS, "reasons", "reasons_note"])
    assert (answer.json()["reasons"], answer.json()["reasons_note"]) == (None, NOTES["away"])
    stored = service.stored(body["transaction_id"])
    assert (stored["reasons"], stored["reasons_note"]) == (None, NOTES["away"])
    assert 'sentinel_reasons_total{outcome="away"}' in service.http.get("/metrics").text


def ask(settings: Settings, *, version: str = VERSION, scored_before: bool = False) -> dict[str, Any]:
    """Ask for the reasons of a transaction that was scored just now, or before."""

    async def backlog() -> int:
        return 0

    async def asked() -> dict[str, Any]:
        engine = make_engine(settings)
        reasons = Reasons(settings, Ledger(engine, backlog, lambda: datetime.now(UTC), lambda _: None), Metrics())
        try:
            kept = {} if scored_before else {"t": np.ones(len(FEATURE_NAMES), np.float32)}
            scored = {"transaction_id": "t", "model_version": version}
            return await reasons.of_answer(scored, Transaction.model_validate(payload()), kept)
        finally:
            await reasons.close()
            engine.dispose()

    return asyncio.run(asked())


def test_a_version_that_nobody_has_any_more_is_named_as_the_reason(explained: Service) -> None:
    assert len(ask(explained.settings)["reasons"]) == 3
    found = ask(explained.settings, version="v19990101_000000")
    assert found == {"reasons": None, "reasons_note": NOTES["version_unavailable"]}


def test_an_explain_process_that_hangs_delays_an_answer_by_the_deadline_at_most(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = load_settings(None, home=tmp_path, explainer_port=port, explain_timeout_ms=100, **NOWHERE)
        begun = time.monotonic()
        assert ask(settings) == {"reasons": None, "reasons_note": NOTES["late"]}
        assert 0.1 <= time.monotonic() - begun < 2


def test_somebody_else_on_the_port_counts_as_away(tmp_path: Path) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        thread = threading.Thread(target=stranger.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{stranger.server_port}"
        settings = load_settings(None, home=tmp_path, explainer_url=url, explain_timeout_ms=5000, **NOWHERE)
        assert ask(settings) == {"reasons": None, "reasons_note": NOTES["away"]}
        thread.join()


def test_a_log_that_is_away_is_the_reason_and_no_error(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path, explain_timeout_ms=5000, **NOWHERE)
    assert ask(settings, scored_before=True) == {"reasons": None, "reasons_note": NOTES["not_logged"]}
