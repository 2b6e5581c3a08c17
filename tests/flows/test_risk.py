"""Risk tables of a system in operation: what was served at a midnight is what a training computes for it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import redis
from sqlalchemy import Engine

from sentinel_core.datasets.events import to_events
from sentinel_core.features.risk import RiskHistory, RiskTable
from sentinel_core.flows.database import known_labels, read_transactions
from sentinel_core.flows.risk import refresh_risk
from sentinel_core.schema import hash_text, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.history_load import load_labels, load_transactions
from sentinel_core.stores.risk import load_risk

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COLUMNS = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at", "outcome")
ROWS, MERCHANTS, RATE = 8_000, 8, 0.03


def load(engine: Engine) -> None:
    """A hundred days of traffic: frauds are reported, some late, declines are not, and nobody confirms the rest."""
    draw, rows, labels = random.Random(0), [], []
    for row in range(ROWS):
        at, fraud = NOW - timedelta(days=100) * (1 - row / ROWS), draw.random() < RATE
        outcome = "declined" if fraud and draw.random() < 0.3 else draw.choice(["approved", "approved", "explored"])
        rows.append((f"t{row}", f"u{row % 90}", "1.00", f"m{row % MERCHANTS}", at, at, outcome))
        if fraud and outcome != "declined":
            labels.append((f"t{row}", True, at + draw.choice([2, 3, 20]) * DAY, "chargeback"))
    with engine.begin() as conn:
        load_transactions(conn, COLUMNS, rows, now=NOW)
        load_labels(conn, labels, now=NOW)


def test_silence_counts_from_the_label_delay_on_and_what_was_served_is_computed_again(
    settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    load(engine)
    frame = read_transactions(settings, NOW)
    delay_us = settings.label_delay // timedelta(microseconds=1)
    later = RiskHistory(to_events(frame), known_labels(frame, settings.label_delay), delay_us)
    merchants = np.array([hash_text(f"m{number}") for number in range(MERCHANTS)], np.uint64)
    nowhere = np.zeros(MERCHANTS, np.uint64)
    for days in (25, 8, 0):
        midnight = NOW - days * DAY
        assert refresh_risk(settings, now=midnight)["published"]
        served = load_risk(redis_client, settings)
        assert served is not None
        found = RiskTable.from_bytes(served[1]).lookup(merchants, nowhere)
        again = later.at(to_micros(midnight)).lookup(merchants, nowhere)
        for name, column in found.items():
            np.testing.assert_array_equal(column, again[name], err_msg=f"{name}, {days} days ago")
        risk, count = found["merchant_risk_score"], found["merchant_count_30d"]
        # Thirty days of a merchant, without the declined ones: of those nobody knows.
        assert (np.abs(count - 30 * ROWS / 100 / MERCHANTS * (1 - 0.3 * RATE)) < 12).all()
        assert 0.005 < risk.mean() < RATE


def test_a_fraud_that_is_reported_late_was_legitimate_until_then(settings: Settings, engine: Engine) -> None:
    at = [NOW - days * DAY for days in (30, 30, 30, 100)]
    outcomes = ("approved", "declined", None, "approved")
    with engine.begin() as conn:
        rows = [(f"t{n}", "u", "1.00", "m", at[n], at[n], outcomes[n]) for n in range(4)]
        load_transactions(conn, COLUMNS, rows, now=NOW)
        load_labels(conn, [("t0", True, NOW - 10 * DAY, "chargeback"), ("t1", True, at[1], "review")], now=NOW)
    frame = read_transactions(settings, NOW)
    labels = known_labels(frame, settings.label_delay)
    said = {
        (int(row), bool(fraud), int(known))
        for row, fraud, known in zip(labels.row, labels.is_fraud, labels.known_at, strict=True)
    }
    place = {name: row for row, name in enumerate(frame["transaction_id"])}
    assert said == {
        (place["t0"], False, to_micros(at[0] + settings.label_delay)),
        (place["t0"], True, to_micros(NOW - 10 * DAY)),
        (place["t1"], True, to_micros(at[1])),
        (place["t3"], False, to_micros(at[3] + settings.label_delay)),
        (place["t3"], False, to_micros(at[3] + settings.label_window)),
    }
