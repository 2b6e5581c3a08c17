"""bundle.json: everything about a model that is not a table of numbers."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sentinel_core.training.floor_warning import floor_warning

PROVENANCE: Final = frozenset({"model_version", "created_at", "run_id", "bundle_hash"})
"""What is said about a bundle from outside: no part of its hash, so that equal inputs give an equal one."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class FeatureRef(_Strict):
    """A feature that the model reads: its name and the hash of the definition that it was trained on."""

    name: str
    hash: str


class Calibration(_Strict):
    """The parameters of `sentinel_core.training.calibrate.Platt`."""

    method: Literal["platt"] = "platt"
    slope: float = Field(gt=0)
    intercept: float
    smoothing: float = Field(gt=0)


class Figure(_Strict):
    """A metric with the ends of its 95% interval; None where no interval was computed."""

    value: float
    low: float | None = None
    high: float | None = None


class Part(_Strict):
    """One part of the split: its rows and frauds, and its first and last event (ISO 8601, UTC)."""

    rows: int
    frauds: int
    first: str
    last: str


class CostTerms(_Strict):
    """The parameters of `sentinel_core.evaluation.costs.Costs`."""

    loss: float = Field(ge=0)
    fee: float = Field(ge=0)
    false_alarm: float = Field(gt=0)


class Policy(_Strict):
    """How the threshold was chosen, and on what; with `costs` it moves with the amount of a transaction."""

    name: str
    figures: dict[str, float] = Field(default_factory=dict)
    costs: CostTerms | None = None


class Data(_Strict):
    """What the model learned from: the snapshot, its content hash, the clock and the maturity of the labels.

    `floors` are those that it was judged by; bundles of generated data that earlier releases made name none.
    """

    snapshot: str
    content_hash: str
    profile: str
    as_of: str
    label_delay_days: float
    floors: dict[str, float] = Field(default_factory=dict)


class Manifest(_Strict):
    """A model bundle's bundle.json.

    `features` are in the order of the model's input vector; `encoder` is `Encoder.to_dict()`; `metrics`
    is part → metric → figure; `files` is name → SHA-256 of every other file. `model_version`, `created_at`,
    `run_id` and `bundle_hash` take no part in `bundle_hash`.
    """

    format: Literal[1] = 1
    model_name: str
    algorithm: str
    features: tuple[FeatureRef, ...] = Field(min_length=1)
    encoder: dict[str, Any]
    calibration: Calibration
    threshold: float = Field(ge=0, le=1)
    policy: Policy
    metrics: dict[str, dict[str, Figure]]
    parts: dict[str, Part]
    data: Data
    hyperparameters: dict[str, Any]
    seed: int
    git_commit: str
    libraries: dict[str, str]
    files: dict[str, str] = Field(default_factory=dict)
    bundle_hash: str = ""
    model_version: str = ""
    created_at: str = ""
    run_id: str = ""

    @property
    def warning(self) -> str | None:
        """What stands beside every answer of a model that is below its floor on the test part, else None."""
        figures = {name: figure.value for name, figure in self.metrics.get("test", {}).items()}
        return floor_warning(self.data.floors, figures)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of the input vector."""
        return tuple(feature.name for feature in self.features)

    def content_hash(self) -> str:
        """SHA-256 of the manifest without provenance; the files take part by their own hashes."""
        content = json.dumps(self.model_dump(mode="json", exclude=set(PROVENANCE)), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
