"""What one training is asked for, refused before the work begins where a later step would refuse it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sentinel_core.errors import DataError, TrainingError
from sentinel_core.flows.ingest import Request
from sentinel_core.synthetic.generate import FRAUD_RATE_MAX
from sentinel_core.training.candidates import candidate
from sentinel_core.training.split import MIN_FRAUDS

LEAST_FRAUDS: Final = 50
"""Fewer generated frauds leave a part of the split without its `MIN_FRAUDS` for most seeds."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """The data and the models; `hyperparams` holds those of each model, by its name, none where they are searched."""

    request: Request
    hyperparams: Mapping[str, Mapping[str, Any]]
    searched: bool

    @classmethod
    def of(
        cls, request: Request, models: str | Sequence[str], hyperparams: Mapping[str, Any] | None, searched: bool
    ) -> TrainingJob:
        """Check what was asked for; raises `TrainingError` or `DataError` for what cannot be trained."""
        names = [models] if isinstance(models, str) else list(models)
        given = {names[0]: hyperparams or {}} if len(names) == 1 else dict(hyperparams or {})
        if unknown := [name for name in given if name not in names]:
            raise TrainingError(
                f"expected the hyperparameters of several models by the models' names, got {unknown[0]!r}.",
                remedy=f"Put those of a model under its name, one of {', '.join(names)}.",
            )
        for name in names:
            candidate(name).hyperparameters(given.get(name))
        if request.source == "synthetic":
            _check_rows(request.rows, request.fraud_rate)
        return cls(request, {name: given.get(name, {}) for name in names}, searched)


def _check_rows(rows: int, fraud_rate: float) -> None:
    if not 0 < fraud_rate <= FRAUD_RATE_MAX:
        raise DataError(
            f"expected a fraud rate above 0 and up to {FRAUD_RATE_MAX}, got {fraud_rate}.",
            remedy="Give a share, such as 0.02 for 2%.",
        )
    least = math.ceil(round(LEAST_FRAUDS / fraud_rate, 6))
    if rows < least:
        raise TrainingError(
            f"expected at least {least:,} transactions to train on at a fraud rate of {fraud_rate}, got {rows:,}: the "
            f"parts train, calibrate and test need {MIN_FRAUDS} frauds each with labels that arrived in time, and "
            f"fewer than {LEAST_FRAUDS} frauds seldom leave so many.",
            remedy="Ask for more transactions, or for a higher fraud rate.",
        )
