"""Backtests: what models would have scored in windows of the past, trained on what was known when they began.

All of the training window trains. Calibration and threshold come from a window of their own where one is given, else
from scores of the training window's rows by models that had not seen their users; nothing is fitted again afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import JUDGED, Interval, Scored, draws, judge, percentiles
from sentinel_core.schema import from_micros
from sentinel_core.training.calibrate import fit_platt, smoothed_logit
from sentinel_core.training.candidates import Candidate, candidate
from sentinel_core.training.crossval import out_of_fold
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.fitted import fit_on
from sentinel_core.training.sampling import natural_sample
from sentinel_core.training.split import MIN_FRAUDS, Window, rows_within
from sentinel_core.training.threshold import Choice, choose_threshold

DRAWS: Final = 300
CALIBRATION_FOLDS: Final = 2
CALIBRATION_ROWS: Final = 40_000
BLEND: Final = "blend"
"""The mean of the calibrated logits of some of the models: what a blend of them would bring."""
_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Period:
    """The windows of one training and its test; `calibrate` None where the training window's own rows calibrate."""

    train: Window
    test: Window
    calibrate: Window | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A model in a period: its calibrated scores of the test rows, their figures, and the seconds that it took."""

    choice: Choice
    scored: Scored
    figures: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """What came of a period: the rows of training and test, those left out, and every model by name."""

    period: Period
    train: Rows
    test: Rows
    left_out: int
    models: Mapping[str, Judged]


@dataclass(frozen=True, slots=True)
class Backtest:
    """The results of all periods, and each model's figures as means over them with 95% intervals over users."""

    periods: tuple[PeriodResult, ...]
    figures: Mapping[str, Mapping[str, Interval]]
    hyperparameters: Mapping[str, Mapping[str, Any]]


def periods(
    train: tuple[int, int],
    test: tuple[int, int],
    *,
    as_of: int,
    calibrate: tuple[int, int] | None = None,
    folds: int = 1,
    step: int = 0,
) -> tuple[Period, ...]:
    """Return the windows, and the same ones moved on by `step` up to `folds` times; all in µs, ends excluded.

    Training labels count as known when the calibration begins, else the test; calibration labels when the test
    begins; test labels at `as_of`. Raises `TrainingError` where a window is empty or the order is not
    train, calibrate, test.
    """
    named = {"train": train, **({"calibrate": calibrate} if calibrate else {}), "test": test}
    for name, (start, end) in named.items():
        if start >= end:
            raise TrainingError(
                f"expected the window {name!r} to end after it begins, got {_time(start)} to {_time(end)}.",
                remedy="Give A:B with A before B.",
            )
    order = list(named)
    for before, after in pairwise(order):
        if named[before][1] > named[after][0]:
            raise TrainingError(
                f"expected the window {after!r} to begin after {before!r} ends ({_time(named[before][1])}), got"
                f" {_time(named[after][0])}.",
                remedy="A backtest trains on the past of what it judges: move the windows apart.",
            )
    if folds < 1 or (folds > 1 and step <= 0):
        raise TrainingError(
            f"expected one fold, or several and the step between them, got {folds} and a step of {step / _DAY:g} days.",
            remedy="Give --folds and --step, such as --folds 4 --step 7d.",
        )
    moved = []
    for by in range(0, folds * max(step, 1), max(step, 1)):
        (a, b), (c, d) = (train[0] + by, train[1] + by), (test[0] + by, test[1] + by)
        middle = Window(calibrate[0] + by, calibrate[1] + by, c) if calibrate else None
        moved.append(Period(Window(a, b, middle.start if middle else c), Window(c, d, as_of), middle))
    return tuple(moved)


def run_backtest(
    data: TrainingData,
    windows: Sequence[Period],
    models: Mapping[str, Mapping[str, Any]],
    *,
    blend: Sequence[str] = (),
    exclude_known_cards: bool = False,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """Train and judge models, name → hyperparameters over the defaults, in each period.

    With `blend` the mean logit of these models is judged as one more. With `exclude_known_cards` test rows of users
    are left out once a fraud of theirs since the training window's start is known on the day before. Raises
    `TrainingError` for unknown names, and where a window has no labelled rows, one class or too few frauds.
    """
    settings = {name: candidate(name).hyperparameters(given) for name, given in models.items()}
    unknown = [name for name in blend if name not in settings]
    if unknown:
        raise TrainingError(
            f"expected the blend to be of {', '.join(settings)}, got {', '.join(unknown)}.",
            remedy="Blend models that are trained.",
        )
    results = []
    with threadpool_limits(1):
        for number, period in enumerate(windows, start=1):
            tell = _numbered(progress, number, len(windows))
            results.append(_period(data, period, settings, blend, exclude_known_cards, seed=seed, progress=tell))
        progress("drawing intervals")
        names = [*settings, *([BLEND] if blend else [])]
        figures = {name: _over_periods(data, [result.models[name] for result in results], seed) for name in names}
    return Backtest(tuple(results), figures, settings)


def _period(
    data: TrainingData,
    period: Period,
    settings: Mapping[str, Mapping[str, Any]],
    blend: Sequence[str],
    exclude_known_cards: bool,
    *,
    seed: int,
    progress: Callable[[str], None],
) -> PeriodResult:
    arrays = (data.time, data.is_fraud, data.known_at)
    train = rows_within("train", period.train, *arrays)
    calibrate = rows_within("calibrate", period.calibrate, *arrays) if period.calibrate else None
    test = every = rows_within("test", period.test, *arrays)
    if exclude_known_cards:
        test = every[~_known_card(data, period, every)]
        _require_frauds(data, period, test)
    models: dict[str, Judged] = {}
    on_calibrate: dict[str, NDArray[np.float64]] = {}
    if calibrate is None:
        calibrate, by_folds = natural_sample(train, data.fraud_at(train), CALIBRATION_ROWS, seed), True
    else:
        by_folds = False
    for name, used in settings.items():
        progress(name)
        begun = time.perf_counter()
        raw, raw_calibrate = _scores(candidate(name), data, used, (train, calibrate, test), by_folds, seed)
        calibration = fit_platt(raw_calibrate, data.fraud_at(calibrate), data.weight_at(calibrate))
        on_calibrate[name] = calibration(raw_calibrate)
        models[name] = _judge(data, (calibrate, on_calibrate[name]), (test, calibration(raw)), begun)
    if blend:
        begun = time.perf_counter()
        mixed = [_mean_logit([scores[name] for name in blend]) for scores in (on_calibrate, _test_scores(models))]
        calibration = fit_platt(mixed[0], data.fraud_at(calibrate), data.weight_at(calibrate))
        models[BLEND] = _judge(data, (calibrate, calibration(mixed[0])), (test, calibration(mixed[1])), begun)
    return PeriodResult(period, train, test, len(every) - len(test), models)


def _scores(
    chosen: Candidate,
    data: TrainingData,
    used: Mapping[str, Any],
    rows: tuple[Rows, Rows, Rows],
    by_folds: bool,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the uncalibrated scores of the test and of the calibration rows."""
    train, calibrate, test = rows
    fitted = fit_on(chosen, data, train, used, seed=seed)
    if not by_folds:
        return fitted.score(data, test), fitted.score(data, calibrate)
    score, _ = out_of_fold(chosen, data, calibrate, used, folds=CALIBRATION_FOLDS, seed=seed)
    return fitted.score(data, test), score


def _judge(
    data: TrainingData,
    calibrate: tuple[Rows, NDArray[np.float64]],
    test: tuple[Rows, NDArray[np.float64]],
    begun: float,
) -> Judged:
    choice = choose_threshold(data.scored(*calibrate), data.policy, data.floors)
    scored = data.scored(*test)
    figures = judge(scored, choice.at(scored.cents), data.policy.costs)
    return Judged(choice, scored, figures, round(time.perf_counter() - begun, 2))


def _over_periods(data: TrainingData, results: Sequence[Judged], seed: int) -> dict[str, Interval]:
    """Average figures and draws over the periods; a draw takes the same users in all of them."""
    among = np.concatenate([np.unique(result.scored.user) for result in results])
    drawn = [
        draws(r.scored, r.choice.at(r.scored.cents), data.policy.costs, count=DRAWS, seed=seed, among=among)
        for r in results
    ]
    value = {name: float(np.mean([result.figures[name] for result in results])) for name in JUDGED}
    return percentiles(value, {name: np.mean([one[name] for one in drawn], axis=0) for name in JUDGED})


def _known_card(data: TrainingData, period: Period, test: Rows) -> NDArray[np.bool_]:
    """Return whether a fraud of the row's user since the training began was known when the row's day began."""
    users, user = np.unique(data.user[test], return_inverse=True)
    frauds = np.flatnonzero((data.is_fraud == 1) & (data.time >= period.train.start) & (data.time < period.test.end))
    frauds = frauds[np.isin(data.user[frauds], users)]
    first_known = np.full(len(users), np.iinfo(np.int64).max)
    np.minimum.at(first_known, np.searchsorted(users, data.user[frauds]), data.known_at[frauds])
    known: NDArray[np.bool_] = first_known[user] <= data.time[test] // _DAY * _DAY
    return known


def _require_frauds(data: TrainingData, period: Period, test: Rows) -> None:
    frauds = int(data.fraud_at(test).sum())
    if frauds < MIN_FRAUDS:
        raise TrainingError(
            f"expected at least {MIN_FRAUDS} frauds on cards that were not known to be defrauded in the test window"
            f" ({_time(period.test.start)} to {_time(period.test.end)}), got {frauds} among {len(test):,} rows.",
            remedy="Judge a longer window, or keep known cards.",
        )


def _mean_logit(scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.mean([smoothed_logit(score) for score in scores], axis=0)
    return 1.0 / (1.0 + np.exp(-mean))


def _test_scores(models: Mapping[str, Judged]) -> dict[str, NDArray[np.float64]]:
    return {name: judged.scored.score for name, judged in models.items()}


def _numbered(progress: Callable[[str], None], number: int, count: int) -> Callable[[str], None]:
    return (lambda text: progress(f"period {number} of {count}: {text}")) if count > 1 else progress


def _time(micros: int) -> str:
    return f"{from_micros(micros):%Y-%m-%d %H:%M}"
