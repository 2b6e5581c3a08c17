"""A bundle's estimator, opened to explain its scores: with scikit-learn and more, which serving workers leave alone."""

from __future__ import annotations

from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError
from sentinel_core.registry.bundle import LoadedBundle
from sentinel_core.registry.files import ESTIMATOR, REFERENCE
from sentinel_core.training.explain import Explainer
from sentinel_core.training.export import from_skops


def open_explainer(bundle: LoadedBundle) -> Explainer:
    """Make the explainer of a bundle that was accepted; a linear model is compared with the bundle's hold-out rows.

    Raises `BundleError` where its estimator cannot be explained.
    """
    try:
        estimator = from_skops((bundle.path / ESTIMATOR).read_bytes())
        return Explainer(estimator, bundle.encoder, lambda: _reference(bundle))
    except (OSError, BadZipFile, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"expected an estimator and hold-out rows in {bundle.path}, got {type(error).__name__}: {error}.",
            remedy="The bundle is of another release or damaged: its scores stand, but have no reasons.",
        ) from error


def _reference(bundle: LoadedBundle) -> NDArray[np.float32]:
    import pyarrow.parquet as pq

    columns = [category.column for category in bundle.encoder.categories]
    table = pq.read_table(bundle.path / REFERENCE, columns=[*bundle.manifest.names, *columns])
    values = np.column_stack([table[name].to_numpy() for name in bundle.manifest.names]).astype(np.float32)
    return bundle.encoder.transform(values, {name: table[name].to_pylist() for name in columns})
