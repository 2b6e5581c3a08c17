"""A running service that others can reach: keys on every way in, and nothing secret in any log line."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from sentinel_core.flows import silent
from sentinel_core.flows.traffic import Sent, send
from sentinel_core.local.api_keys import create_key, revoke_key
from sentinel_core.local.demo import score_demo
from sentinel_core.stores.api_keys import kept_keys
from sentinel_core.stores.key_hash import hash_of
from tests.conftest import Servers
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import VERSION, Service, payload, service_settings, serving, until
from tests.serving.test_alerts import add_alert
from tests.serving.test_http import error

GIVEN = f"sml_{secrets.token_urlsafe(32)}"


@pytest.fixture(scope="module")
def exposed(servers: Servers, _template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose settings say that it listens on every address, at DEBUG."""
    home = tmp_path_factory.mktemp("exposed")
    tiny_bundle(home / "bundle", model_version=VERSION, weights={"amount_log": 0.8})
    options = {
        "host": "0.0.0.0",  # noqa: S104
        "api_keys": f"given:{hash_of(GIVEN)}",
        "log_level": "DEBUG",
        "max_body_bytes": 50_000,
    }
    with (
        service_settings(servers, _template, home, bundle=home / "bundle", **options) as settings,
        serving(settings, workers=2) as running,
    ):
        yield running


def ask(service: Service, path: str, body: object, key: str | None = GIVEN, **headers: str) -> httpx.Response:
    sent = headers if key is None else {"X-API-Key": key, **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.http.post(path, content=content, headers={"Content-Type": "application/json", **sent})


@pytest.mark.parametrize("path", ["/api/v1/predict", "/api/v1/predict/batch", "/api/v1/labels", "/predict"])
def test_every_way_in_needs_a_key_and_has_a_bound(exposed: Service, path: str) -> None:
    error(ask(exposed, path, payload(), key=None), 401, "unauthorized")
    error(ask(exposed, path, payload(), key="sml_guessed"), 401, "unauthorized")
    error(ask(exposed, path, b" " * 50_001), 413, "body_too_large")
    assert ask(exposed, path, payload(amount=-1)).status_code in (400, 422)


def test_both_forms_of_predict_answer_with_a_key(exposed: Service) -> None:
    for path in ("/api/v1/predict", "/predict"):
        answer = ask(exposed, path, payload())
        assert answer.status_code == 200, answer.text
        assert 0 <= answer.json()["fraud_score"] <= 1


def test_all_workers_learn_of_a_new_key_and_of_a_revoked_one(exposed: Service) -> None:
    def statuses(key: str) -> set[int]:
        found = set()
        for _ in range(20):
            with httpx.Client(base_url=exposed.url, headers={"X-API-Key": key}) as fresh:  # may reach either worker
                found.add(fresh.get("/api/v1/model/info").status_code)
        return found

    key = create_key(exposed.settings, "shop", datetime.now(UTC))
    assert statuses(key) == {200}
    revoke_key(exposed.settings, "shop")
    until("every worker refuses the key", lambda: statuses(key) == {401}, seconds=5)


def test_replay_and_the_demonstration_send_a_key(exposed: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(key: str | None) -> Sent:
        requests = [payload(transaction_id=secrets.token_hex(8)) for _ in range(5)]
        return asyncio.run(send(exposed.url, requests, concurrency=2, batch=1, progress=silent, api_key=key))

    assert (sent(GIVEN).answered, sent(None).errors) == (5, {"HTTP 401": 5})

    made = [("an ordinary payment", payload()), ("a fraudulent payment", payload())]
    monkeypatch.setattr("sentinel_core.flows.demo.demo_transactions", lambda *_: made)
    for settings in (exposed.settings, exposed.settings.model_copy(update={"api_key": GIVEN})):
        answers = score_demo(settings, datetime.now(UTC))
        assert [0 <= answer.response["fraud_score"] <= 1 for answer in answers] == [True, True]
    assert kept_keys(exposed.settings) == [], "the demonstration's own key is gone"


@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.bentoml+pickle", "multipart/form-data; boundary=x", "text/plain", "APPLICATION/PICKLE"],
)
@pytest.mark.parametrize("path", ["/predict", "/api/v1/predict"])
def test_nothing_is_unpickled_whatever_the_media_type(exposed: Service, path: str, media_type: str) -> None:
    trap = exposed.settings.home / f"trap-{secrets.token_hex(4)}"
    answer = ask(exposed, path, pickle.dumps(Trap(str(trap))), **{"Content-Type": media_type, "Payload-Container": "x"})
    assert answer.status_code in (415, 422), answer.text
    assert not trap.exists()


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, (self.path,)


def test_no_line_at_debug_holds_card_address_or_key(exposed: Service) -> None:
    card, address, wrong = "7391", "203.0.113.77", f"sml_{secrets.token_urlsafe(32)}"
    body = payload(transaction_id=secrets.token_hex(8), card_last_four=card, ip_address=address)
    invalid = [
        body | {"card_last_four": f"{card}x"},
        body | {"ip_address": f"{address}.9"},
        body | {"amount": 99},
        body | {f"ip_address {address}": card},
        [card, address],
    ]
    for path in ("/api/v1/predict", "/predict"):
        for one in (body, *invalid):
            ask(exposed, path, one)
            ask(exposed, path, one, key=wrong)
            ask(exposed, f"{path}?api_key={wrong}&card_last_four={card}", one)
        ask(exposed, path, json.dumps(body).encode()[:-5])
    ask(exposed, "/api/v1/predict/batch", {"transactions": [body, invalid[0]]})
    ask(exposed, "/api/v1/labels", {"transaction_id": body["transaction_id"], "is_fraud": True, "ip_address": address})
    exposed.http.get(f"/api/v1/predictions/{body['transaction_id']}", headers={"X-API-Key": GIVEN})
    text = exposed.log.read_text() + (exposed.settings.home / "recorder.log").read_text()
    assert '"event": "request"' in text, "expected lines at DEBUG"
    for secret in (address, GIVEN, wrong, hash_of(GIVEN), "Traceback"):
        assert secret not in text, f"{secret} stands in the log"
    # Four digits also come by chance, inside of times and ids.
    assert not re.search(rf"(?<![0-9a-f.]){card}(?![0-9a-f])", text)


def test_no_answer_holds_a_trace_or_a_path_of_this_machine(exposed: Service) -> None:
    answers = [
        ask(exposed, "/predict", b"{"),
        ask(exposed, "/predict", payload(amount="x")),
        ask(exposed, "/api/v1/predict", b"\xff"),
        ask(exposed, "/api/v1/nothing", b""),
        exposed.http.get("/nothing"),
        exposed.http.get("/api/v1/predictions/%00", headers={"X-API-Key": GIVEN}),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500
        for inside in ("Traceback", "site-packages", 'File "', str(exposed.settings.home)):
            assert inside not in answer.text


def test_an_alert_is_acknowledged_by_the_key_that_came(exposed: Service) -> None:
    number = add_alert(exposed)
    path = f"/api/v1/alerts/{number}/acknowledge"
    error(ask(exposed, path, {"reason": "mine"}, key=None), 401, "unauthorized")
    error(exposed.http.get("/api/v1/alerts"), 401, "unauthorized")
    answer = ask(exposed, path, {"reason": "mine"})
    assert answer.json()["alert"]["acknowledged_by"] == "given"
    assert GIVEN not in answer.text
