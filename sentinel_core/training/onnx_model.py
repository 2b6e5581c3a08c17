"""An estimator as ONNX: one input matrix, one output of probabilities, one thread a call.

Training scores with it too, so that a metric and an answer come from the same arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError

if TYPE_CHECKING:
    import onnxruntime

INPUT: Final = "X"
OUTPUT: Final = "probabilities"


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model for one thread a call; raises `BundleError` where ONNX Runtime refuses it."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, InvalidProtobuf

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
        raise BundleError(
            f"expected an ONNX model of format 1, but ONNX Runtime refuses it: {error}.",
            remedy="Train again, or serve another version.",
        ) from None


def raw_scores(session: onnxruntime.InferenceSession, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's uncalibrated probability of fraud, float32 [n], of an encoded matrix float32 [n, m]."""
    (probabilities,) = session.run([OUTPUT], {INPUT: matrix})
    scores: NDArray[np.float32] = probabilities[:, 1]
    return scores
