"""The split into train, calibrate (and threshold) and test; each part keeps its natural fraud rate.

`time_split` is for a history that ends: train | gap | calibrate | gap | test. A gap is as long as a label takes, so
that at the start of each part the labels of the one before were known: the order of events is that of a system in
operation.

`recent_split` is for a system in operation that has to learn what is new: with gaps, the newest fraud would be weeks
old before a model sees it. There the parts of the newest days are users, not times (docs/decisions/0023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.schema import from_micros

SHARES: Final = (0.65, 0.15, 0.20)
"""Of the time that is left without the gaps: train, calibrate, test."""
MIN_FRAUDS: Final = 5
"""Fewer in a part say nothing: no fold for each, no threshold, no figure."""
RECENT_DAYS: Final = (14, 42)
"""Fewest and most of the newest mature days that are split by users; as many as `RECENT_FRAUDS` takes."""
RECENT_FRAUDS: Final = 250
"""Frauds wanted in the test part of the newest days: the gate tells nothing by fewer than 200."""
USER_SHARES: Final = (0.5, 0.2, 0.3)
"""Of the users of the newest days: train, calibrate, test."""
_DAY: Final = 86_400_000_000
_SALT: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of event time [start, end) and the clock at which its labels count, all in µs."""

    start: int
    end: int
    clock: int


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the three parts, each in order of time, and their windows."""

    train: NDArray[np.intp]
    calibrate: NDArray[np.intp]
    test: NDArray[np.intp]
    windows: dict[str, Window]

    def parts(self) -> dict[str, NDArray[np.intp]]:
        """Return the rows of each part by its name."""
        return {"train": self.train, "calibrate": self.calibrate, "test": self.test}


def time_split(
    time: NDArray[np.int64],
    is_fraud: NDArray[np.int8],
    known_at: NDArray[np.int64],
    *,
    as_of: int,
    label_delay: int,
    shares: tuple[float, float, float] = SHARES,
    stood_for: NDArray[np.bool_] | None = None,
) -> Split:
    """Split labelled rows in time; all times are int64 µs [n], `is_fraud` int8 [n] with -1 unknown.

    The last event is at most `label_delay` before the clock `as_of`: after that, only what was reported early is
    labelled. A training row counts if its label was known when the calibration part begins, a calibration row when
    the test part begins, a test row at `as_of`. Rows of `stood_for`, bool [n], are in the train part alone. Raises
    `TrainingError` where a part has no rows, one class, or fewer than `MIN_FRAUDS` frauds.
    """
    known = (is_fraud >= 0) & (known_at <= as_of)
    if not known.any():
        raise TrainingError(
            f"expected labelled rows, got {int((is_fraud >= 0).sum()):,} labels among {len(time):,} rows and none known"
            f" by {_day(as_of)}.",
            remedy="Give is_fraud (and labelled_at, where labels arrive at other times than the label delay says)."
            " From the database, payments that went through count as legitimate after SENTINEL_LABEL_WINDOW_DAYS.",
        )
    windows = _windows(time[known], as_of, label_delay, shares)
    return windowed_split(time, is_fraud, known_at, windows=windows, stood_for=stood_for)


def recent_split(
    time: NDArray[np.int64],
    is_fraud: NDArray[np.int8],
    known_at: NDArray[np.int64],
    user: NDArray[np.uint64],
    *,
    as_of: int,
    label_window: int,
    stood_for: NDArray[np.bool_] | None = None,
) -> Split:
    """Split labelled rows so that the newest mature days are in all three parts, each with users of its own.

    Times are int64 µs [n], `is_fraud` int8 [n] with -1 unknown, `user` uint64 [n] hashes. A row is mature
    `label_window` after it happened: before that, mostly frauds have labels. What is older than the newest days is in
    the train part, whoever's it is. A user stays in the same part in every training. `stood_for` and what is raised are
    as for `time_split`.
    """
    mature = (is_fraud >= 0) & (known_at <= as_of) & (time <= as_of - label_window)
    end = as_of - label_window + 1
    if not mature.any():
        raise TrainingError(
            f"expected transactions with mature labels, got none before {_day(end)}: labels mature"
            f" {label_window / _DAY:g} days after the event.",
            remedy="Wait, or set SENTINEL_LABEL_WINDOW_DAYS to how long your labels really take.",
        )
    part = _parts(user)
    judged = mature if stood_for is None else mature & ~stood_for
    begin = _recent_from(time[judged & (is_fraud == 1) & (part == 2)], int(time[mature].min()), end)
    windows = {
        "train": Window(int(time[mature].min()), end, as_of),
        "calibrate": Window(begin, end, as_of),
        "test": Window(begin, end, as_of),
    }
    inside = {
        "train": mature & ((time < begin) | (part == 0)),
        "calibrate": judged & (time >= begin) & (part == 1),
        "test": judged & (time >= begin) & (part == 2),
    }
    rows = {}
    for name, mask in inside.items():
        found = np.flatnonzero(mask)
        rows[name] = found[np.argsort(time[found], kind="stable")]
        _check(name, windows[name], time, is_fraud, rows[name])
    return Split(rows["train"], rows["calibrate"], rows["test"], windows)


def _parts(user: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the part of each user, 0 train, 1 calibrate, 2 test: by their hash alone."""
    share = (user * _SALT >> np.uint64(11)).astype(np.float64) / 2**53
    return np.searchsorted(np.cumsum(USER_SHARES)[:2], share, side="right")


def _recent_from(tested_frauds: NDArray[np.int64], first: int, end: int) -> int:
    """Return where the newest days begin: so that the test part has its frauds, within their bounds."""
    fewest, most = (end - days * _DAY for days in RECENT_DAYS)
    newest = np.sort(tested_frauds)[::-1]
    wanted = int(newest[RECENT_FRAUDS - 1]) if len(newest) >= RECENT_FRAUDS else first
    # Half of the history stays behind for the train part, whoever is in it.
    return max(min(wanted, fewest), most, first + (end - first) // 2)


def windowed_split(
    time: NDArray[np.int64],
    is_fraud: NDArray[np.int8],
    known_at: NDArray[np.int64],
    *,
    windows: dict[str, Window],
    stood_for: NDArray[np.bool_] | None = None,
) -> Split:
    """Split labelled rows into the given windows (train, calibrate, test); the same terms as in `time_split`."""
    judged = is_fraud if stood_for is None else np.where(stood_for, -1, is_fraud)
    rows = {
        name: rows_within(name, window, time, is_fraud if name == "train" else judged, known_at)
        for name, window in windows.items()
    }
    return Split(rows["train"], rows["calibrate"], rows["test"], dict(windows))


def _windows(time: NDArray[np.int64], as_of: int, delay: int, shares: tuple[float, float, float]) -> dict[str, Window]:
    first, end = int(time.min()), min(int(time.max()) + 1, as_of - delay + 1)
    usable = end - first - 2 * delay
    if usable <= 0:
        raise TrainingError(
            f"expected mature labels over more than two label delays ({2 * delay / _DAY:g} days), got events from"
            f" {_day(first)} to {_day(int(time.max()))}, mature up to {_day(end)} at the clock {_day(as_of)}.",
            remedy="Bring a longer history, or set SENTINEL_LABEL_DELAY_DAYS to how long your labels really take.",
        )
    train_end = first + int(usable * shares[0] / sum(shares))
    calibrate_start = train_end + delay
    calibrate_end = calibrate_start + int(usable * shares[1] / sum(shares))
    test_start = calibrate_end + delay
    return {
        "train": Window(first, train_end, calibrate_start),
        "calibrate": Window(calibrate_start, calibrate_end, test_start),
        "test": Window(test_start, end, as_of),
    }


def rows_within(
    name: str, window: Window, time: NDArray[np.int64], is_fraud: NDArray[np.int8], known_at: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the rows of a window whose labels its clock knows, in order of time.

    Raises `TrainingError`, by the name of the part, where there are none, one class, or too few frauds.
    """
    inside = (time >= window.start) & (time < window.end) & (is_fraud >= 0) & (known_at <= window.clock)
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(time[rows], kind="stable")]
    _check(name, window, time, is_fraud, rows)
    return rows


def _check(
    name: str, window: Window, time: NDArray[np.int64], is_fraud: NDArray[np.int8], rows: NDArray[np.intp]
) -> None:
    span = f"the part {name!r} ({_day(window.start)} to {_day(window.end)}, labels as known at {_day(window.clock)})"
    if not len(rows):
        events = int(((time >= window.start) & (time < window.end)).sum())
        raise TrainingError(
            f"expected labelled rows in {span}, got none of {events:,} events.",
            remedy="Bring data without such a hole, or labels that were known by then.",
        )
    frauds = int((is_fraud[rows] == 1).sum())
    if frauds < MIN_FRAUDS:
        raise TrainingError(
            f"expected at least {MIN_FRAUDS} frauds in {span}, got {frauds} among {len(rows):,} labelled rows.",
            remedy="Bring more labelled fraud: a longer history, or more rows.",
        )
    if frauds == len(rows):
        raise TrainingError(
            f"expected legitimate rows in {span}, got {frauds:,} frauds and nothing else.",
            remedy="Bring the legitimate transactions too, labelled false.",
        )


def _day(micros: int) -> str:
    return f"{from_micros(micros):%Y-%m-%d %H:%M}"
