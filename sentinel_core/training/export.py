"""A fitted estimator as ONNX, accepted only where both give the same numbers, and as skops. Nothing is pickled."""

from __future__ import annotations

import copy
import io
import json
import warnings
import zipfile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.training.onnx_model import INPUT, OUTPUT, open_session, raw_scores

TOLERANCE: Final = 1e-5
"""Largest difference of a probability between scikit-learn and ONNX Runtime."""
TRUSTED_TYPES: Final = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""The types, besides skops' own list, that a bundle's estimator may hold: reviewed, plain arrays of nodes both."""
_OPSET: Final = {"": 18, "ai.onnx.ml": 3}
_IR_VERSION: Final = 9
_GRAPH: Final = "sentinel"
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


def to_onnx(estimator: Any, width: int) -> bytes:
    """Convert a fitted classifier that reads float32 [n, width] to ONNX with the output `probabilities` [n, 2].

    A row's output has the same bits alone as in a batch.
    """
    model = _linear(estimator, width) if hasattr(estimator, "coef_") else _converted(estimator, width)
    return bytes(model.SerializeToString(deterministic=True))


def _converted(estimator: Any, width: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
        from skl2onnx import to_onnx as convert
        from skl2onnx.common.data_types import FloatTensorType

        if hasattr(estimator, "bootstrap"):
            # skl2onnx reads every attribute, and a forest draws the samples of all its trees again for one of them:
            # nine tenths of the time. Without bootstrap there is nothing to draw, and the trees are the same.
            estimator = copy.copy(estimator)
            estimator.bootstrap = False
        return convert(
            estimator,
            name=_GRAPH,
            initial_types=[(INPUT, FloatTensorType([None, width]))],
            options={id(estimator): {"zipmap": False}},
            target_opset=_OPSET,
        )


def _linear(estimator: Any, width: int) -> Any:
    # skl2onnx makes a LinearClassifier of it, whose sums come out another way for one row than for several: a retry
    # scored alone would differ in its last bit. Gemm with one output column adds up every row alike.
    from onnx import TensorProto, helper

    weights = np.asarray(estimator.coef_, dtype=np.float32).ravel()
    constants = [
        helper.make_tensor("weights", TensorProto.FLOAT, [width, 1], weights.tolist()),
        helper.make_tensor("bias", TensorProto.FLOAT, [1], [float(estimator.intercept_[0])]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
    ]
    nodes = [
        helper.make_node("Gemm", [INPUT, "weights", "bias"], ["margin"]),
        helper.make_node("Sigmoid", ["margin"], ["fraud"]),
        helper.make_node("Sub", ["one", "fraud"], ["legitimate"]),
        helper.make_node("Concat", ["legitimate", "fraud"], [OUTPUT], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        _GRAPH,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 2])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET[""])], ir_version=_IR_VERSION)


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


def to_skops(estimator: Any) -> bytes:
    """Serialise an estimator in the skops format, equal bytes for equal estimators.

    skops names its parts by memory addresses and stamps them with the time; here they are numbered in order of
    appearance and have one date. Raises `TrainingError` for an estimator with types that were not reviewed.
    """
    with warnings.catch_warnings():
        # skops asks every loaded module for every name of scipy.special; Airflow's modules answer each with a warning.
        warnings.simplefilter("ignore")
        import skops.io

    blob = skops.io.dumps(estimator)
    unknown = set(skops.io.get_untrusted_types(data=blob)) - set(TRUSTED_TYPES)
    if unknown:
        raise TrainingError(
            f"expected an estimator of reviewed types, got {', '.join(sorted(unknown))} in it.",
            remedy="Review them and add them to sentinel_core.training.export.TRUSTED_TYPES.",
        )
    return _canonical(blob)


def from_skops(blob: bytes) -> Any:
    """Load an estimator that `to_skops` wrote; skops raises for a type outside `TRUSTED_TYPES`."""
    import skops.io

    return skops.io.loads(blob, trusted=list(TRUSTED_TYPES))


def _canonical(blob: bytes) -> bytes:
    numbers: dict[int, int] = {}
    files: dict[str, str] = {}

    def renumber(node: Any) -> Any:
        if isinstance(node, list):
            return [renumber(item) for item in node]
        if not isinstance(node, dict):
            return node
        renamed = {key: renumber(value) for key, value in node.items() if key not in {"__id__", "file"}}
        if isinstance(node.get("file"), str):
            renamed["file"] = files.setdefault(node["file"], f"{len(files)}.npy")
        if "__id__" in node:
            renamed["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        return renamed

    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as archive, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as canonical:
        schema = renumber(json.loads(archive.read("schema.json")))
        for name, renamed in files.items():
            _add(canonical, renamed, archive.read(name))
        _add(canonical, "schema.json", json.dumps(schema, separators=(",", ":")).encode())
    return written.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content, compress_type=zipfile.ZIP_DEFLATED, compresslevel=6)
