"""An A/B test of two models on rows that come one by one or many at once, in this process alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentinel_core.errors import ExperimentError
from sentinel_core.experiments.arms import UNKNOWN, Answers
from sentinel_core.experiments.assignment import ARMS, Arm, assign, require_split
from sentinel_core.experiments.comparison import ALPHA, DECIDED_BY, DRAWS, Comparison, compare, require_figure
from sentinel_core.flows.scorers import Rows, as_scorer

if TYPE_CHECKING:
    from sentinel_core.settings import Settings


@dataclass(slots=True)
class _Answer:
    arm: Arm
    unit: str
    score: float
    prediction: bool
    actual: int


class ABTestSimulation:
    """Sends each user to one of two models, and says which one is better.

    A model is a bundle or its folder, a version or stage of the registry, or a fitted classifier (`flows.scorers`).
    `traffic_split` is the share of users that model_a scores. A hash of the user's id and of `name` decides: the same
    user sees the same model in every process, and a test of another name divides the users independently.

    The winner is decided by one figure, `decide_by`, at the level `alpha`. `settings` say where the registry is.

    >>> test = ABTestSimulation("artifacts/old", "artifacts/new", traffic_split=0.5)  # doctest: +SKIP
    >>> test.predict({"user_id": "u1", "amount": 12.5, ...}, actual=False)["arm"]  # doctest: +SKIP
    'model_b'
    >>> test.get_comparison()["winner"]  # doctest: +SKIP
    'undecided'
    """

    def __init__(
        self,
        model_a: Any,
        model_b: Any,
        traffic_split: float = 0.5,
        *,
        name: str = "ab_test",
        decide_by: str = DECIDED_BY,
        alpha: float = ALPHA,
        seed: int = 0,
        settings: Settings | None = None,
    ) -> None:
        require_split(traffic_split)
        require_figure(decide_by)
        self._models = {arm: as_scorer(model, settings) for arm, model in zip(ARMS, (model_a, model_b), strict=True)}
        self._share = traffic_split
        self._name = name
        self._terms: dict[str, Any] = {"decided_by": decide_by, "alpha": alpha, "seed": seed}
        self._answers: dict[str, _Answer] = {}
        self._rows = 0

    def predict(self, features: Any, actual: Any = None, *, user: Any = None) -> Any:
        """Score one row or several; return for each {"id", "arm", "model", "score", "prediction"}.

        `features` are one row (a mapping, a Series, an array of one dimension: one dict is returned), or several (a
        DataFrame, a list of mappings, an array of two dimensions: a list is). `user` or the column user_id says whose a
        row is. A row without a user is assigned by itself, by its transaction_id or else its number: then two rows of
        one person may see both models. `actual`, true for fraud, may be None for any row: see `label`. A transaction_id
        that comes again is scored again and counts once.

        Raises `ColumnError` that names missing features, and `ExperimentError` where `user` or `actual` do not fit.
        """
        rows, single = _rows(features)
        n = len(rows)
        ids, users = self._ids(rows, n), _users(rows, user, n)
        truth = _truth(actual, n)
        units = [f"row {ids[i]}" if users[i] is None else f"user {users[i]}" for i in range(n)]
        arms = [assign(unit, experiment=self._name, share_a=self._share) for unit in units]
        results: list[dict[str, Any]] = [{} for _ in range(n)]
        scored = {}
        for arm, scorer in self._models.items():
            taken = [i for i in range(n) if arms[i] == arm]
            if taken:
                part = rows[taken] if isinstance(rows, np.ndarray) else rows.iloc[taken]
                scored[arm] = (taken, *scorer.score(part))
        # Nothing is counted before every row is scored.
        for arm, (taken, scores, predictions) in scored.items():
            for i, score, prediction in zip(taken, scores.tolist(), predictions.tolist(), strict=True):
                self._answers[ids[i]] = _Answer(arm, units[i], score, prediction, truth[i])
                results[i] = {
                    "id": ids[i],
                    "arm": arm,
                    "model": self._models[arm].name,
                    "score": score,
                    "prediction": prediction,
                }
        self._rows += n
        return results[0] if single else results

    def label(self, ids: Any, actual: Any) -> None:
        """Say later what became of rows: one id that `predict` returned, or several, with the truth of each.

        Raises `ExperimentError` for an id that was not predicted.
        """
        known = [ids] if isinstance(ids, str) else list(ids)
        if unknown := [one for one in known if one not in self._answers]:
            raise ExperimentError(
                f"expected ids that this test predicted, got {unknown[0]!r}.", remedy="Give the `id` of its answers."
            )
        for one, truth in zip(known, _truth(actual, len(known)), strict=True):
            self._answers[one].actual = truth

    def compare(self) -> Comparison:
        """Return the comparison of what was counted so far."""
        return compare({arm: self._of(arm) for arm in ARMS}, count=DRAWS, **self._terms)

    def get_comparison(self) -> dict[str, Any]:
        """Return winner ("model_a", "model_b" or "undecided"), reason, metrics, significance and the sample needed.

        The winner is one only where the difference is significant. An arm without labels has no metrics, and the
        winner is undecided.
        """
        names = {arm: scorer.name for arm, scorer in self._models.items()}
        return {**self.compare().to_dict(), "models": names, "traffic_split": self._share, "name": self._name}

    def summary(self) -> str:
        """Return the comparison as a table of text."""
        return self.compare().table()

    def _ids(self, rows: Rows, n: int) -> list[str]:
        given = _column(rows, "transaction_id", n)
        return [f"#{self._rows + i + 1}" if given[i] is None else str(given[i]) for i in range(n)]

    def _of(self, arm: Arm) -> Answers:
        answers = [answer for answer in self._answers.values() if answer.arm == arm]
        return Answers(
            np.array([answer.unit for answer in answers], dtype=object),
            np.array([answer.score for answer in answers], dtype=np.float64),
            np.array([answer.prediction for answer in answers], dtype=np.bool_),
            np.array([answer.actual for answer in answers], dtype=np.int8),
        )


def _rows(features: Any) -> tuple[Rows, bool]:
    """Return rows as a DataFrame or as an array of two dimensions, and whether it was a single one."""
    import pandas as pd

    if isinstance(features, pd.DataFrame):
        return features, False
    if isinstance(features, Mapping | pd.Series):
        return pd.DataFrame([dict(features)]), True
    if isinstance(features, Sequence) and features and all(isinstance(row, Mapping) for row in features):
        return pd.DataFrame(list(features)), False
    try:
        array = np.asarray(features, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(())
    if array.ndim not in (1, 2):
        raise ExperimentError(
            f"expected features as a mapping, a Series, a DataFrame or numbers, got a {type(features).__name__}.",
            remedy="Give one row, or several of one length.",
        )
    return np.atleast_2d(array), array.ndim == 1


def _column(rows: Rows, name: str, n: int) -> list[Any]:
    """Return a column's values, None for what is null; all None where the rows do not have it."""
    if isinstance(rows, np.ndarray) or name not in rows:
        return [None] * n
    values = rows[name]
    return [value if known else None for value, known in zip(values.tolist(), values.notna().tolist(), strict=True)]


def _users(rows: Rows, user: Any, n: int) -> list[Any]:
    if user is None:
        return _column(rows, "user_id", n)
    return _each("user", user, n)


def _truth(actual: Any, n: int) -> list[int]:
    return [_label(one) for one in _each("actual", actual, n)]


def _each(name: str, given: Any, n: int) -> list[Any]:
    """Return one value for each row; a single `user` is that of every row, a single `actual` that of the only one."""
    if given is None or isinstance(given, str | bytes) or np.ndim(given) == 0:
        values = [given] * (n if given is None or name == "user" else 1)
    else:
        values = list(given)
    if len(values) != n:
        raise ExperimentError(
            f"expected `{name}` for each of {n} rows, got {len(values)}.", remedy="Give one value a row, or None."
        )
    return values


def _label(one: Any) -> int:
    import pandas as pd

    if pd.isna(one):
        return UNKNOWN
    if one in (0, 1):
        return int(one)
    raise ExperimentError(f"expected `actual` to be true, false or None, got {one!r}.", remedy="True is fraud.")
