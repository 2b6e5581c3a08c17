"""The forms of what the reading routes answer, for the API's description.

What a route returns is not validated again at run time: tests/serving/test_contract.py holds the two together.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sentinel_core.schema import Confidence, Outcome


class Answer(BaseModel):
    """An answer whose fields may begin with model_."""

    model_config = ConfigDict(protected_namespaces=())


class DependencyState(Answer):
    """What a dependency last said, and since when."""

    status: Literal["up", "down", "unknown"]
    since: datetime | None


class SpoolState(Answer):
    """Answers that wait on this machine's disk for Redis, and whether more go there."""

    files: int
    bytes: int
    writing: bool


class Health(Answer):
    """This worker: which model it serves, and how each dependency is.

    It is degraded where a dependency is away or the event streams are full.
    """

    status: Literal["healthy", "degraded", "no_model"]
    model_loaded: bool
    model_version: str | None
    dependencies: dict[str, DependencyState]
    spool: SpoolState


class RefusedBundle(Answer):
    """A version that was not taken into service, and why."""

    version: str
    reason: str
    at: datetime


class ModelInfo(Answer):
    """The model in service, from its bundle; without one only `model_version`, `stage` and `refused` are there.

    `vocabularies` has the values of each category that the model knows; it takes any other for one and the same.
    `warning` names each floor that the model is below, with the figure; null where it is below none.
    """

    model_version: str | None
    stage: Literal["Production", "None"] | None
    refused: RefusedBundle | None
    warning: str | None = None
    model_name: str = ""
    algorithm: str = ""
    registry_version: int | str | None = None
    run_id: str | None = None
    in_service_since: datetime | None = None
    bundle_hash: str = ""
    threshold: float = 0.0
    threshold_policy: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    metrics_by_part: dict[str, Any] = {}
    features: list[str] = []
    categories: list[str] = []
    vocabularies: dict[str, list[str]] = {}
    data: dict[str, Any] = {}
    git_commit: str = ""


class StoredAnswer(Answer):
    """What was said to a transaction."""

    event_id: str | None
    fraud_score: float
    prediction: bool
    confidence: Confidence | None
    model_version: str
    variant: str | None
    degraded: bool | None
    warning: str | None
    explored: bool
    inference_time_ms: float | None
    answered_at: datetime | None
    risk_as_of: datetime | None
    feature_set_id: str | None


class StoredLabel(Answer):
    """The label of a transaction that counts."""

    is_fraud: bool
    labelled_at: datetime
    source: str


class Reason(Answer):
    """What a feature, or a raw category, had as its value and added to the model's raw output."""

    feature: str
    value: float | str | None
    contribution: float


class Explained(Answer):
    """The largest contributions first, at most five; without any, why."""

    reasons: list[Reason] | None
    reasons_note: str = ""


class StoredPrediction(Explained):
    """A transaction, the answer to it, its features by name, its label and the reasons; null what there is not.

    `outcome` is what became of the payment: what was reported, else the decision given; `propensity` is there where it
    was explored.
    """

    transaction_id: str
    transaction: dict[str, Any]
    prediction: StoredAnswer | None
    features: dict[str, float] | None
    label: StoredLabel | None
    outcome: Outcome | None
    propensity: float | None


class Window(Answer):
    """From when to when."""

    start: datetime
    end: datetime


class Latency(Answer):
    """Percentiles in milliseconds over the newest `sampled` predictions; null where there are none."""

    p50: float | None
    p95: float | None
    p99: float | None
    sampled: int


class Quality(Answer):
    """The confusion matrix over labelled predictions and what follows from it; null where it would be 0 / 0."""

    sample_size: int
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    precision: float | None
    recall: float | None
    f1_score: float | None


class BoundedFigure(Answer):
    """A figure with the ends of its 95% interval, null where there is too little for one."""

    value: float
    low: float | None
    high: float | None


class LiveQuality(Answer):
    """What a model's answers to whole days of events were worth, `age_days` after the last of them (`cohort_day`).

    Provisional figures may still change, and `errs` says in which direction: "low" or "high". On approved traffic, what
    was declined is left out. A figure is null where it would be 0 / 0.
    """

    model_version: str
    first_day: date
    cohort_day: date
    age_days: int
    provisional: bool
    errs: dict[str, str]
    on_approved_traffic: bool
    sample_size: int
    alerts: int
    frauds: int
    precision: BoundedFigure | None
    recall: BoundedFigure | None
    f1_score: BoundedFigure | None
    pr_auc: BoundedFigure | None


class Figures(Answer):
    """The traffic of a window and how right the answers were."""

    model_version: str | None
    total_predictions: int
    window: Window
    predictions: int
    fraud_rate: float | None
    mean_fraud_score: float | None
    degraded_rate: float | None
    latency_ms: Latency
    newest_prediction: datetime | None
    labelled: Quality
    live: list[LiveQuality]


class AlertState(Answer):
    """An alert from its beginning on: which figure, who took note of it, and when it ended.

    `value` and `threshold` are those of its beginning; `details` has the unit, the window, since when, and what to do.
    """

    id: int
    rule: str
    severity: Literal["critical", "high", "medium", "low"]
    metric: str
    value: float | None
    threshold: float | None
    actor: str
    reason: str
    details: dict[str, Any]
    state: Literal["firing", "acknowledged", "resolved"]
    open: bool
    fired_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_because: str | None
    resolved_at: datetime | None
    resolved_because: str | None


class Alerts(Answer):
    """The alerts that have not ended, and the newest of all."""

    open: list[AlertState]
    newest: list[AlertState]


class AcknowledgedAlert(Answer):
    """An alert after somebody took note of it; `result` is resolved where it had ended by then."""

    result: Literal["acknowledged", "resolved"]
    alert: AlertState
