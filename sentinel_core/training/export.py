"""A fitted estimator as ONNX, accepted only where both give the same numbers."""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.training.onnx_model import INPUT, open_session, raw_scores

TOLERANCE: Final = 1e-5
"""Largest difference of a probability between scikit-learn and ONNX Runtime."""
_OPSET: Final = {"": 18, "ai.onnx.ml": 3}


def to_onnx(estimator: Any, width: int) -> bytes:
    """Convert a fitted classifier that reads float32 [n, width] to ONNX with the output `probabilities` [n, 2]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
        from skl2onnx import to_onnx as convert
        from skl2onnx.common.data_types import FloatTensorType

        model = convert(
            estimator,
            initial_types=[(INPUT, FloatTensorType([None, width]))],
            options={id(estimator): {"zipmap": False}},
            target_opset=_OPSET,
        )
    return bytes(model.SerializeToString())


def check_agreement(model: bytes, estimator: Any, matrix: NDArray[np.float32]) -> float:
    """Return the largest difference between the two on `matrix` [n, width]; raises `TrainingError` above 1e-5."""
    scores = raw_scores(open_session(model), matrix)
    expected = estimator.predict_proba(matrix)[:, 1]
    worst = float(np.abs(scores - expected).max(initial=0.0))
    if not worst <= TOLERANCE:
        raise TrainingError(
            f"expected ONNX and scikit-learn to agree within {TOLERANCE} on {len(matrix):,} hold-out rows,"
            f" but {type(estimator).__name__} differs by {worst:.3g}.",
            remedy="Do not serve it: try other hyperparameters, and report the estimator's settings.",
        )
    return worst
