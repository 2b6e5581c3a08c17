"""Labels: what was reported, when, and how it differs from the truth."""

from __future__ import annotations

import pandas as pd

DAY = pd.Timedelta(days=1)


def test_two_per_cent_of_frauds_are_missed_and_one_per_cent_is_disputed_by_friends(frame: pd.DataFrame) -> None:
    truth, observed = frame["is_fraud_true"], frame["is_fraud"]
    assert int((truth & ~observed).sum()) == 40
    assert int((~truth & observed).sum()) == 20


def test_labels_come_after_the_event_and_within_seven_days(frame: pd.DataFrame) -> None:
    delay = frame["labelled_at"] - frame["timestamp"]
    assert delay.min() >= pd.Timedelta(minutes=10)
    assert delay.max() <= 7 * DAY


def test_legitimate_rows_are_labelled_when_the_reporting_window_closes(frame: pd.DataFrame) -> None:
    delay = (frame["labelled_at"] - frame["timestamp"])[~frame["is_fraud"]]
    assert (delay == 7 * DAY).all()


def test_reports_take_hours_to_days_and_takeovers_are_noticed_first(frame: pd.DataFrame) -> None:
    reported = frame[frame["is_fraud"]]
    delay = (reported["labelled_at"] - reported["timestamp"]) / DAY
    median = delay.groupby(reported["fraud_scenario"], observed=True).median()
    assert 0.5 < median["account_takeover"] < 1.2
    assert median["account_takeover"] < median["stolen_card"] < median["card_testing"] < 4


def test_only_true_frauds_have_a_scenario(frame: pd.DataFrame) -> None:
    assert (frame["fraud_scenario"].notna() == frame["is_fraud_true"]).all()
