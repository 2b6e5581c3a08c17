"""A tiny bundle made by hand: a linear model on the whole catalogue, for tests that need any model at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES
from sentinel_core.features.encoding import fit_encoder
from sentinel_core.features.risk import RiskTable
from sentinel_core.registry.bundle import Manifest, SelfCheck, write_bundle
from sentinel_core.registry.manifest import Calibration, Data, FeatureRef, Figure, Part, Policy
from sentinel_core.training.calibrate import Platt
from sentinel_core.training.export import to_skops
from sentinel_core.training.onnx_model import open_session, raw_scores

CATEGORIES = {"merchant_category": ["grocery", None, "travel"], "card_type": ["debit", "credit", None]}


def linear_onnx(weights: NDArray[np.float32], bias: float) -> bytes:
    """Return an ONNX model with the output `probabilities` = (1 − p, p), p = sigmoid(X·weights + bias)."""
    constants = [
        helper.make_tensor("w", TensorProto.FLOAT, [len(weights), 1], weights.tolist()),
        helper.make_tensor("b", TensorProto.FLOAT, [1], [bias]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
    ]
    nodes = [
        helper.make_node("Gemm", ["X", "w", "b"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Sub", ["one", "p"], ["q"]),
        helper.make_node("Concat", ["q", "p"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, len(weights)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def vectors(rows: int = 3, seed: int = 0) -> NDArray[np.float32]:
    """Return plausible catalogue vectors, float32 [rows, len(FEATURE_NAMES)]."""
    return np.random.default_rng(seed).gamma(2.0, 2.0, (rows, len(FEATURE_NAMES))).astype(np.float32)


def tiny_bundle(
    directory: Path,
    *,
    threshold: float = 0.5,
    weights: dict[str, float] | None = None,
    bias: float = -3.0,
    explained: bool = False,
    **given: Any,
) -> Manifest:
    """Write a bundle into the new folder `directory`; by default only the amount counts.

    With `explained` it holds the estimator and the rows that reasons need. `given` replaces fields of the manifest,
    such as model_version="v20260101_000000" or features=….
    """
    values = vectors()
    encoder = fit_encoder(FEATURE_NAMES, values, CATEGORIES, category_kind="onehot", scaling="none", min_count=1)
    coefficients = np.zeros(len(encoder.input_names), dtype=np.float32)
    for name, weight in (weights or {"amount_log": 1.0}).items():
        coefficients[encoder.input_names.index(name)] = weight
    model = linear_onnx(coefficients, bias)
    calibration = Calibration(slope=1.0, intercept=0.0, smoothing=1e-4)
    raw = raw_scores(open_session(model), encoder.transform(values, CATEGORIES))
    scores = Platt(calibration.slope, calibration.intercept, calibration.smoothing)(raw)
    fields: dict[str, Any] = {
        "model_name": "fraud_detector",
        "algorithm": "logistic_regression",
        "features": tuple(FeatureRef(name=f.name, hash=f.definition_hash) for f in CATALOGUE),
        "encoder": encoder.to_dict(),
        "calibration": calibration,
        "threshold": threshold,
        "policy": Policy(name="best_f1"),
        "metrics": {"test": {"roc_auc": Figure(value=0.9, low=0.85, high=0.95)}},
        "parts": {"test": Part(rows=3, frauds=1, first="2026-01-01T00:00:00+00:00", last="2026-01-08T00:00:00+00:00")},
        "data": Data(
            snapshot="0" * 16,
            content_hash="0" * 32,
            profile="synthetic",
            as_of="2026-01-15T00:00:00+00:00",
            label_delay_days=7.0,
        ),
        "hyperparameters": {},
        "seed": 0,
        "git_commit": "0" * 40,
        "libraries": {},
    }
    files = {
        "model.onnx": model,
        "selfcheck.json": SelfCheck(values, CATEGORIES, scores).to_json().encode(),
        "risk.npz": RiskTable.empty().to_bytes(),
        "reference.parquet": b"",
        "model_card.md": b"# fraud_detector\n",
        "estimator.skops": b"",
    }
    if explained:
        files |= {"estimator.skops": _estimator(coefficients, bias), "reference.parquet": _reference(values)}
    return write_bundle(directory, Manifest(**(fields | given)), files)


def _estimator(weights: NDArray[np.float32], bias: float) -> bytes:
    from sklearn.linear_model import LogisticRegression

    estimator = LogisticRegression()
    estimator.coef_ = weights[None, :].astype(np.float64)
    estimator.intercept_ = np.array([bias])
    estimator.classes_ = np.array([False, True])
    return to_skops(estimator)


def _reference(values: NDArray[np.float32]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: values[:, position] for position, name in enumerate(FEATURE_NAMES)}
    written = io.BytesIO()
    pq.write_table(pa.table({**columns, **{name: pa.array(texts) for name, texts in CATEGORIES.items()}}), written)
    return written.getvalue()
