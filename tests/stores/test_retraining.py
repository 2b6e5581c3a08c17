"""What is new since a training, against a slow oracle; and decisions that come back as they were."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from sentinel_core.stores.retraining import (
    RetrainingDecision,
    count_labels,
    count_transactions,
    list_decisions,
    newest_drift,
    nth_maturing,
    record_decision,
)
from sentinel_core.stores.trainings import Training
from tests.stores.labelled import Payment, Said, write

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MATURITY = 7 * DAY


def training(as_of: datetime, recorded_by: datetime | None) -> Training:
    return Training(1, "r", "airflow", as_of, "database", "s", as_of, recorded_by, as_of - MATURITY)


def a_world(seed: int) -> tuple[list[Payment], list[Said]]:
    """Payments of a month, some recorded late; labels that come, change their mind, and are recorded late."""
    draw = random.Random(seed)
    payments, labels = [], []
    for n in range(200):
        at = NOW - draw.uniform(0, 30) * DAY
        payments.append(Payment(f"t{n}", at, at + draw.choice([0, 0, 0, 12]) * DAY))
        for _ in range(draw.choice([0, 1, 1, 2, 3])):
            known = at + draw.uniform(0, draw.choice([3, 20])) * DAY
            recorded = known + draw.choice([0, 0, 5]) * DAY
            labels.append(Said(f"t{n}", draw.random() < 0.6, known, recorded))
    return payments, sorted(labels, key=lambda one: one.created_at or one.labelled_at)


def known(
    payments: list[Payment], labels: list[Said], *, as_of: datetime, recorded_by: datetime, matured: datetime
) -> dict[str, bool]:
    """The labels of a training: the latest known of each payment that is old enough, from what had been recorded."""
    found: dict[str, bool] = {}
    for payment in payments:
        said = [
            (label.labelled_at, place, label.is_fraud)
            for place, label in enumerate(labels)
            if label.transaction_id == payment.transaction_id
            and label.labelled_at <= as_of
            and (label.created_at or label.labelled_at) <= recorded_by
        ]
        if said and payment.timestamp <= matured and (payment.created_at or payment.timestamp) <= recorded_by:
            found[payment.transaction_id] = max(said)[2]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_new_labels_are_those_that_the_last_training_had_not(engine: Engine, seed: int) -> None:
    payments, labels = a_world(seed)
    with engine.begin() as conn:
        write(conn, payments, labels)
        for back, now in [(3.0, NOW), (10.0, NOW), (10.0, NOW + 9 * DAY), (0.0, NOW), (40.0, NOW)]:
            as_of = now - back * DAY
            for recorded_by in (as_of, None, as_of - 2 * DAY):
                last = training(as_of, recorded_by)
                found = count_labels(conn, last, now=now, maturity=MATURITY)
                then = known(payments, labels, as_of=as_of, recorded_by=recorded_by or now, matured=as_of - MATURITY)
                have = known(payments, labels, as_of=now, recorded_by=now, matured=now - MATURITY)
                assert found.frauds == sum(fraud and not then.get(name) for name, fraud in have.items())
                assert found.labels == sum(then.get(name) is not fraud for name, fraud in have.items())
        have = known(payments, labels, as_of=NOW, recorded_by=NOW, matured=NOW - MATURITY)
        whole = count_labels(conn, None, now=NOW, maturity=MATURITY)
        assert (whole.frauds, whole.labels) == (sum(have.values()), len(have))


@pytest.mark.parametrize("seed", range(3))
def test_the_moment_at_which_enough_frauds_will_have_matured(engine: Engine, seed: int) -> None:
    payments, labels = a_world(seed)
    with engine.begin() as conn:
        write(conn, payments, labels)
        every = known(payments, labels, as_of=NOW, recorded_by=NOW, matured=NOW)
        waiting = sorted(
            one.timestamp for one in payments if every.get(one.transaction_id) and one.timestamp > NOW - MATURITY
        )
        assert waiting
        for n, at in enumerate(waiting, start=1):
            assert nth_maturing(conn, n, now=NOW, maturity=MATURITY) == at + MATURITY
        assert nth_maturing(conn, len(waiting) + 1, now=NOW, maturity=MATURITY) is None


def test_what_waits_for_nothing_but_time_adds_no_label(engine: Engine) -> None:
    """A decline is never anything without a label, and an approved payment only legitimate: nothing to learn."""
    payments = [Payment(f"t{n}", NOW - 40 * DAY) for n in range(100)]
    with engine.begin() as conn:
        write(conn, payments, [Said("t0", True, NOW - 39 * DAY)])
        conn.execute(text("UPDATE transactions SET outcome = 'declined' WHERE transaction_id > 't5'"))
        found = count_labels(conn, None, now=NOW, maturity=MATURITY)
        assert (found.frauds, found.labels) == (1, 1)
        assert count_labels(conn, training(NOW - 10 * DAY, NOW - 10 * DAY), now=NOW, maturity=MATURITY).labels == 0


def test_a_reversed_fraud_is_a_changed_label_and_no_fraud(engine: Engine) -> None:
    said = [Said("t", True, NOW - 35 * DAY), Said("t", False, NOW - DAY)]
    with engine.begin() as conn:
        write(conn, [Payment("t", NOW - 40 * DAY)], said)
        found = count_labels(conn, training(NOW - 5 * DAY, NOW - 5 * DAY), now=NOW, maturity=MATURITY)
    assert (found.frauds, found.labels) == (0, 1)


def test_new_transactions_are_those_recorded_since_a_snapshot_of_the_database_and_later_than_another(
    engine: Engine,
) -> None:
    cut = NOW - 5 * DAY
    payments = [
        Payment("before", cut - DAY),
        Payment("late", cut - DAY, cut + DAY),
        Payment("after", cut + DAY),
        Payment("not yet", NOW - DAY, NOW + DAY),
        Payment("ahead", NOW + DAY, NOW),
    ]
    with engine.begin() as conn:
        write(conn, payments, [])
        assert count_transactions(conn, training(cut, cut), now=NOW) == 2
        assert count_transactions(conn, training(cut, None), now=NOW) == 1
        assert count_transactions(conn, None, now=NOW) == 3


def test_decisions_come_back_as_they_were_the_newest_first_and_none_from_the_future(engine: Engine) -> None:
    figures = {"triggers": [{"name": "hours", "value": 0.1 + 0.2}], "not_before": None}
    rows = [
        RetrainingDecision("not_needed", "quiet", figures, NOW),
        RetrainingDecision("train", "due", {}, NOW + DAY, "retrain__1"),
        RetrainingDecision("deferred", "early", {}, NOW + 2 * DAY),
    ]
    with engine.begin() as conn:
        for row in rows:
            record_decision(conn, row)
        found = list_decisions(conn, now=NOW + 3 * DAY)
        assert [one["decision"] for one in found] == ["deferred", "train", "not_needed"]
        assert (found[2]["figures"], found[2]["created_at"], found[1]["run_id"]) == (figures, NOW, "retrain__1")
        assert [one["reason"] for one in list_decisions(conn, now=NOW + DAY)] == ["due", "quiet"]
        assert [one["reason"] for one in list_decisions(conn, now=NOW + 3 * DAY, decision="train")] == ["due"]


def test_the_newest_verdict_on_drift_is_that_of_the_model_and_of_no_later_window(engine: Engine) -> None:
    insert = text(
        "INSERT INTO drift_reports (model_version, window_start, window_end, sample_size, verdict, reason) "
        "VALUES (:version, CAST(:end AS timestamptz) - interval '1 hour', :end, 500, :verdict, 'r')"
    )
    with engine.begin() as conn:
        for version, days, verdict in [("v1", 0, "no_drift"), ("v1", 1, "drift"), ("v2", 1, "suspected")]:
            conn.execute(insert, {"version": version, "end": NOW + days * DAY, "verdict": verdict})
        assert newest_drift(conn, "v1", now=NOW) == ("no_drift", NOW)
        assert newest_drift(conn, "v1", now=NOW + DAY) == ("drift", NOW + DAY)
        assert newest_drift(conn, "v3", now=NOW + DAY) is None
