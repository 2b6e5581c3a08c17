"""From a feature vector and raw categories to a model's input: encoding and scaling.

An `Encoder` is fitted on training rows and travels in the model's bundle as JSON; the service and
the training apply the same elementwise float32 arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError, EmptyDataError

Float32 = NDArray[np.float32]
Categories = Mapping[str, Sequence[str | None]]
EncodingKind = Literal["label", "onehot"]
Scaling = Literal["none", "standard", "minmax"]

NULL_CODE: Final = 0
OTHER_CODE: Final = 1
FIRST_CODE: Final = 2


@dataclass(frozen=True, slots=True)
class CategoryEncoding:
    """How one raw category becomes numbers.

    `label`: one column with the code of the value: 0 for null, 1 for a value that training never saw, 2 and up in the
    order of the vocabulary. `onehot`: a column for null and one for each known value; all are 0 for an unseen one.
    """

    column: str
    kind: EncodingKind
    vocabulary: tuple[str, ...]
    _codes: Mapping[str | None, int] = field(init=False, repr=False, compare=False)
    _rows: Float32 = field(init=False, repr=False, compare=False)
    """What each code becomes."""

    def __post_init__(self) -> None:
        codes: dict[str | None, int] = {value: FIRST_CODE + i for i, value in enumerate(self.vocabulary)}
        codes[None] = NULL_CODE
        size = FIRST_CODE + len(self.vocabulary)
        if self.kind == "label":
            rows = np.arange(size, dtype=np.float32)[:, None]
        else:
            # Row OTHER_CODE is all zeros.
            rows = np.zeros((size, len(self.names)), dtype=np.float32)
            rows[NULL_CODE, 0] = 1.0
            rows[FIRST_CODE:, 1:] = np.eye(len(self.vocabulary), dtype=np.float32)
        object.__setattr__(self, "_codes", codes)
        object.__setattr__(self, "_rows", rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that it makes."""
        if self.kind == "label":
            return (self.column,)
        return (f"{self.column} is null", *(f"{self.column}={value}" for value in self.vocabulary))

    def transform(self, values: Sequence[str | None]) -> Float32:
        """Encode values; float32, shape (n, len(names))."""
        coded = [self._codes.get(value, OTHER_CODE) for value in values]
        return self._rows[coded]


@dataclass(frozen=True, slots=True)
class Encoder:
    """A fitted encoding: the numeric features, scaled, then the encoded categories.

    `center` and `scale`, float32, have one element a feature; the input is (value − center)/scale.
    """

    features: tuple[str, ...]
    categories: tuple[CategoryEncoding, ...]
    scaling: Scaling
    center: Float32
    scale: Float32

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the model's input columns, in order."""
        return (*self.features, *(name for category in self.categories for name in category.names))

    def transform(self, values: Float32, categories: Categories) -> Float32:
        """Make the model's input, float32 of shape (n, len(input_names)), from vectors of shape (n, len(features))."""
        if values.shape[1] != len(self.features):
            raise BundleError(
                f"expected vectors of {len(self.features)} features, got {values.shape[1]}.",
                remedy="Select the bundle's features from the catalogue by name.",
            )
        scaled = values if self.scaling == "none" else (values - self.center) / self.scale
        if absent := [c.column for c in self.categories if c.column not in categories]:
            raise BundleError(
                f"expected the raw categories {', '.join(c.column for c in self.categories)},"
                f" found none of the name {absent[0]!r}.",
                remedy="Give a null for each row of a category that is not known.",
            )
        encoded = [category.transform(categories[category.column]) for category in self.categories]
        return np.ascontiguousarray(np.concatenate([scaled, *encoded], axis=1), dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; float32 values survive it exactly."""
        return {
            "features": list(self.features),
            "categories": [
                {"column": c.column, "kind": c.kind, "vocabulary": list(c.vocabulary)} for c in self.categories
            ],
            "scaling": {"kind": self.scaling, "center": self.center.tolist(), "scale": self.scale.tolist()},
        }

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Encoder:
        """Read what `to_dict` wrote; raises `BundleError` where a part is missing or of the wrong length."""
        try:
            categories = tuple(
                CategoryEncoding(c["column"], c["kind"], tuple(c["vocabulary"])) for c in form["categories"]
            )
            scaling = form["scaling"]
            encoder = cls(
                tuple(form["features"]),
                categories,
                scaling["kind"],
                np.array(scaling["center"], dtype=np.float32),
                np.array(scaling["scale"], dtype=np.float32),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"expected an encoder with features, categories and scaling, found a fault: {error!r}.",
                remedy="The bundle is broken: train and register it again.",
            ) from None
        kinds = {category.kind for category in categories}
        if encoder.scaling not in get_args(Scaling) or not kinds <= set(get_args(EncodingKind)):
            raise BundleError(
                f"expected scaling of {get_args(Scaling)} and categories of {get_args(EncodingKind)},"
                f" found {encoder.scaling!r} and {sorted(kinds)}.",
                remedy="The bundle is of another release: train and register it again.",
            )
        if not len(encoder.features) == len(encoder.center) == len(encoder.scale):
            raise BundleError(
                f"expected a centre and a scale for each of {len(encoder.features)} features,"
                f" found {len(encoder.center)} and {len(encoder.scale)}.",
                remedy="The bundle is broken: train and register it again.",
            )
        return encoder


def fit_encoder(
    features: Sequence[str],
    values: Float32,
    categories: Categories,
    *,
    category_kind: EncodingKind,
    scaling: Scaling,
    min_count: int = 20,
) -> Encoder:
    """Fit an encoder on training rows: vectors of shape (n, len(features)) and the raw categories that the data has.

    Vocabularies hold the values seen at least `min_count` times, most frequent first, then by name; a category
    without any is left out. `standard` scales to mean 0 and deviation 1, `minmax` to 0 and 1; a constant is centred.
    Raises `EmptyDataError` without rows.
    """
    if len(values) == 0:
        raise EmptyDataError(
            "expected rows to fit the encoder on, found none.", remedy="Check the split: is the training part empty?"
        )
    encodings = []
    for column, texts in categories.items():
        counts = Counter(text for text in texts if text is not None)
        kept = [text for text, count in counts.items() if count >= min_count]
        if kept:
            vocabulary = tuple(sorted(kept, key=lambda text: (-counts[text], text)))
            encodings.append(CategoryEncoding(column, category_kind, vocabulary))
    center, scale = _scaling(values, scaling)
    return Encoder(tuple(features), tuple(encodings), scaling, center, scale)


def _scaling(values: Float32, scaling: Scaling) -> tuple[Float32, Float32]:
    exact = values.astype(np.float64)
    spread = np.ptp(exact, axis=0)
    if scaling == "none":
        center, scale = np.zeros_like(spread), np.ones_like(spread)
    elif scaling == "standard":
        center, scale = exact.mean(axis=0), exact.std(axis=0)
    else:
        center, scale = exact.min(axis=0), spread
    # The deviation of a constant need not come out as exactly 0.
    scale = np.where(spread > 0, scale, 1.0)
    return center.astype(np.float32), scale.astype(np.float32)
