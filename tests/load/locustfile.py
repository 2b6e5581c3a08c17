"""The classes of users for Locust. `make load` starts `locust` with this file; nothing else imports it.

All requests of a user are due at times that were fixed before: a slow answer does not lower the rate of those after it.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import orjson
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopTest

from sentinel_core.settings import is_loopback
from tests.load.profiles import DEFAULT_MIX, SECONDS_MAX
from tests.load.traffic import Payload, batch, card_testing, some_cardholder

PREDICT: Final = "/api/v1/predict"
BURST: Final = (10, 30)
"""The fewest and the most attempts of one burst."""
LABEL_AFTER_SECONDS: Final = 5.0
"""How old a transaction is before its label comes: the recorder has written it by then."""
RNG: Final = random.Random()
SENT: Final[deque[tuple[float, Payload, float]]] = deque(maxlen=20_000)
"""When it was sent, what, and its score: what retries and labels choose from. Degraded answers are not among them."""
COUNTED: Final[Counter[str]] = Counter()
"""Predictions, and those of them that were degraded: scored from the request alone, because Redis was too slow."""


@events.init_command_line_parser.add_listener
def _arguments(parser: LocustArgumentParser) -> None:
    parser.add_argument("--rate-per-user", type=float, default=1.0, help="Requests a second of each user")
    hidden: dict[str, Any] = {"include_in_web_ui": False}
    parser.add_argument("--mix", default=json.dumps(DEFAULT_MIX), help="Shares by class, as JSON", **hidden)
    parser.add_argument("--measured-seconds", type=float, default=0.0, help="End so long after all began", **hidden)
    parser.add_argument("--figures", default="", help="Where the figures are written as JSON", **hidden)
    parser.add_argument("--api-key", is_secret=True, default="", env_var="SENTINEL_API_KEY", help="X-API-Key", **hidden)
    parser.add_argument("--allow-remote", action="store_true", help="Let it load another machine", **hidden)


@events.init.add_listener
def _mix(environment: Environment, **_: Any) -> None:
    """Give each class of users its share."""
    mix = json.loads(environment.parsed_options.mix)
    environment.user_classes = [one for one in environment.user_classes if mix.get(one.share, 0) > 0]
    for one in environment.user_classes:
        one.weight = mix[one.share]


@events.init.add_listener
def _measure(environment: Environment, **_: Any) -> None:
    """End a headless run when it was measured for the time of its profile: how long its start takes does not matter."""
    seconds = environment.parsed_options.measured_seconds

    def begin(user_count: int, **_: Any) -> None:
        COUNTED.clear()
        gevent.spawn_later(seconds, environment.runner.quit)

    if seconds:
        environment.events.spawning_complete.add_listener(begin)


@events.test_start.add_listener
def _bounded(environment: Environment, **_: Any) -> None:
    gevent.spawn_later(SECONDS_MAX, environment.runner.stop)


@events.quitting.add_listener
def _write_figures(environment: Environment, **_: Any) -> None:
    """Write what was measured, for the budget and the results page."""
    target = environment.parsed_options.figures
    if not target:
        return
    stats = environment.stats
    seconds = max((stats.last_request_timestamp or 0.0) - stats.start_time, 1e-9)
    document = {
        "seconds": round(seconds, 2),
        "all": _figures(stats.total, seconds),
        "by_name": {entry.name: _figures(entry, seconds) for entry in stats.entries.values()},
        "predictions": COUNTED["predictions"],
        "degraded": COUNTED["degraded"],
        "errors": [f"{error.occurrences} × {error.name}: {error.error}" for error in stats.errors.values()],
    }
    Path(target).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _figures(entry: Any, seconds: float) -> dict[str, float]:
    percentiles = {f"p{name}_ms": entry.get_response_time_percentile(q) for name, q in ((50, 0.5), (99, 0.99))}
    return {
        "requests": entry.num_requests,
        "failures": entry.num_failures,
        "requests_per_s": round(entry.num_requests / seconds, 1),
        **percentiles,
        "max_ms": round(entry.max_response_time or 0.0, 1),
    }


def on_schedule(user: Client) -> float:
    """Wait until the next request is due; think times vary by half around their mean, and lost time is made up."""
    user.due += user.taken * RNG.uniform(0.5, 1.5) / user.environment.parsed_options.rate_per_user
    user.taken = 0
    return max(0.0, user.due - time.monotonic())


class Client(FastHttpUser):
    """What all classes share: the schedule, the key, one connection, and a machine that may be loaded."""

    abstract = True
    share = ""
    wait_time = on_schedule
    network_timeout = 10.0
    connection_timeout = 5.0
    max_redirects = 0
    concurrency = 1

    def on_start(self) -> None:
        """Begin at a random moment of the first period; refuse other machines."""
        options = self.environment.parsed_options
        host = urlsplit(str(self.host)).hostname or ""
        if not (is_loopback(host) or options.allow_remote):
            raise StopTest(f"expected a service on this machine, got {host}; --allow-remote loads another one.")
        self.headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if options.api_key:
            self.headers["X-API-Key"] = options.api_key
        self.taken = 0
        self.due = time.monotonic() + RNG.random() / options.rate_per_user
        gevent.sleep(self.due - time.monotonic())

    def post(self, name: str, path: str, body: Any, check: Callable[[Any], str] = lambda answer: "") -> Any:
        """Send a body, count it, and return the answer; `check` says what is wrong with one, "" where nothing is."""
        self.taken += 1
        data = orjson.dumps(body)
        with self.client.post(path, name=name, data=data, headers=self.headers, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code} {(response.text or '')[:200]}")
                return None
            answer = orjson.loads(response.content)
            wrong = check(answer)
            if wrong:
                response.failure(wrong)
            return answer

    def predict(self, name: str, payload: Payload) -> None:
        """Score a transaction and remember it."""
        answer = self.post(name, PREDICT, payload)
        if answer is not None and not _degraded(answer):
            SENT.append((time.monotonic(), payload, answer["fraud_score"]))

    def purchase(self) -> None:
        """Score the purchase of a cardholder who was here before."""
        self.predict("predict", some_cardholder(RNG).purchase(datetime.now(UTC), RNG))


def _degraded(prediction: Payload) -> bool:
    """Count a prediction; return whether it is one without history, which is neither stored nor wrong."""
    COUNTED["predictions"] += 1
    COUNTED["degraded"] += prediction["degraded"]
    return bool(prediction["degraded"])


class ReturningUser(Client):
    """Cardholders who come again and again, each with a device, an address and merchants of their own."""

    share = "returning"

    @task
    def buy(self) -> None:
        self.purchase()


class CardTestingUser(Client):
    """Many cards tried within a second or two at one merchant from one device; then a pause that makes up for it."""

    share = "card_testing"

    @task
    def burst(self) -> None:
        fields = card_testing(RNG)
        for _ in range(RNG.randint(*BURST)):
            card = some_cardholder(RNG).purchase(datetime.now(UTC), RNG)
            self.predict("predict in a burst", {**card, **next(fields)})


class BatchUser(Client):
    """Batches of 2 to 100 transactions."""

    share = "batches"

    @task
    def send(self) -> None:
        payloads = batch(datetime.now(UTC), RNG)
        names = [one["transaction_id"] for one in payloads]

        def check(answer: Any) -> str:
            found = [one["transaction_id"] for one in answer["predictions"]]
            for one in answer["predictions"]:
                _degraded(one)
            return "" if found == names else "expected a prediction for each transaction, in order"

        self.post("batch", f"{PREDICT}/batch", {"transactions": payloads}, check)


class RetryUser(Client):
    """Transactions that were answered are sent again, unchanged: the stored answer must come, with the same score."""

    share = "retries"

    @task
    def retry(self) -> None:
        if not SENT:
            self.purchase()
            return
        _, payload, score = RNG.choice(SENT)

        def check(answer: Any) -> str:
            if _degraded(answer) or (answer["cached"] and answer["fraud_score"] == score):
                return ""
            return "expected the stored answer with the same score" + ("" if answer["cached"] else ", got a new one")

        self.post("retry", PREDICT, payload, check)


class LabelUser(Client):
    """Labels for earlier transactions."""

    share = "labels"

    @task
    def label(self) -> None:
        if not SENT or time.monotonic() - SENT[0][0] < LABEL_AFTER_SECONDS:
            self.purchase()
            return
        _, payload, _ = SENT.popleft()
        is_fraud = "tester-" in payload["device_id"]
        body = [{"transaction_id": payload["transaction_id"], "is_fraud": is_fraud, "source": "load_test"}]

        def check(answer: Any) -> str:
            status = answer["results"][0]["status"]
            return "" if status in (200, 201) else f"expected the label to be recorded, got {status}"

        self.post("label", "/api/v1/labels", body, check)
