"""No part of a training is half judged: where silence does not count yet, reports do not either."""

from __future__ import annotations

import numpy as np

from sentinel_core.training.maturity import judged_whole

DAY = 86_400_000_000


def test_labels_end_where_payments_wait_for_theirs() -> None:
    time = np.arange(6) * DAY
    is_fraud = np.array([0, 1, -1, -1, 1, 0], np.int8)
    outcome = np.array(["approved", "approved", "declined", "approved", "approved", None], object)
    known_at = np.array([60, 9, 0, 0, 5, 6]) * DAY
    labels, known = judged_whole(is_fraud, known_at, time, outcome, label_window=60 * DAY, label_delay=7 * DAY)
    # The declined one waits for nothing; the approved one after it does.
    assert labels.tolist() == [0, 1, -1, -1, -1, -1]
    assert (known[:2] // DAY).tolist() == [7, 9]


def test_where_all_are_judged_every_label_counts() -> None:
    time = np.arange(3) * DAY
    is_fraud, outcome = np.array([0, 1, 0], np.int8), np.array([None, "approved", "approved"], object)
    known_at = np.array([3, 4, 62]) * DAY
    labels, known = judged_whole(is_fraud, known_at, time, outcome, label_window=60 * DAY, label_delay=90 * DAY)
    assert labels.tolist() == [0, 1, 0]
    assert (known // DAY).tolist() == [3, 4, 62]
