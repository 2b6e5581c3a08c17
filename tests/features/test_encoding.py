from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_core.errors import BundleError, EmptyDataError
from sentinel_core.features.encoding import CategoryEncoding, Encoder, EncodingKind, Scaling, fit_encoder

NAMES = ("amount", "count", "constant")
VALUES = np.array([[1, 10, 5], [2, 20, 5], [3, 60, 5], [6, 110, 5]], dtype=np.float32)
CATEGORIES: dict[str, list[str | None]] = {"kind": ["b", "a", "b", None], "country": [None, None, None, None]}


def fitted(kind: EncodingKind = "label", scaling: Scaling = "none", min_count: int = 1) -> Encoder:
    return fit_encoder(NAMES, VALUES, CATEGORIES, category_kind=kind, scaling=scaling, min_count=min_count)


def test_labels_are_codes_with_one_for_null_and_one_for_the_unseen() -> None:
    encoder = fitted("label")
    assert encoder.input_names == (*NAMES, "kind")
    encoded = encoder.transform(VALUES, {"kind": ["b", "a", None, "new"]})
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded[:, :3], VALUES)
    np.testing.assert_array_equal(encoded[:, 3], [2, 3, 0, 1])


def test_one_hot_has_a_column_for_null_and_none_for_the_unseen() -> None:
    encoder = fitted("onehot")
    assert encoder.input_names == (*NAMES, "kind is null", "kind=b", "kind=a")
    got = encoder.transform(VALUES, {"kind": ["b", "a", None, "new"]})[:, 3:]
    np.testing.assert_array_equal(got, [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]])


def test_rare_values_and_empty_categories_are_left_out() -> None:
    assert [c.vocabulary for c in fitted(min_count=2).categories] == [("b",)]
    assert fitted(min_count=3).categories == ()
    assert fitted(min_count=3).input_names == NAMES


def test_the_vocabulary_does_not_depend_on_the_order_of_rows() -> None:
    texts = ["x", "y", "z", "y", "z", "w"]
    values = np.zeros((6, 1), dtype=np.float32)
    both = [
        fit_encoder(["f"], values, {"c": order}, category_kind="label", scaling="none", min_count=1).categories[0]
        for order in (texts, texts[::-1])
    ]
    assert both[0].vocabulary == both[1].vocabulary == ("y", "z", "w", "x")


def test_scaling() -> None:
    standard = fitted(scaling="standard").transform(VALUES, CATEGORIES)[:, :3]
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(standard[:, :2].std(axis=0), 1, rtol=1e-6)
    minmax = fitted(scaling="minmax").transform(VALUES, CATEGORIES)[:, :3]
    np.testing.assert_array_equal(minmax.min(axis=0), 0)
    np.testing.assert_array_equal(minmax[:, :2].max(axis=0), 1)


@given(st.floats(-1e9, 1e9, width=32), st.integers(1, 50))
@settings(deadline=None)
def test_a_constant_is_centred_and_keeps_its_unit(value: float, rows: int) -> None:
    values = np.full((rows, 1), value, dtype=np.float32)
    encoder = fit_encoder(["f"], values, {}, category_kind="label", scaling="standard")
    np.testing.assert_array_equal(encoder.transform(values, {}), 0)
    assert encoder.scale.tolist() == [1.0]


@given(st.integers(1, 30), st.sampled_from(["none", "standard", "minmax"]), st.sampled_from(["label", "onehot"]))
@settings(deadline=None, max_examples=30)
def test_one_row_is_encoded_as_in_a_table(n: int, scaling: Scaling, kind: EncodingKind) -> None:
    random = np.random.default_rng(n)
    values = (random.standard_normal((n, 4)) * 1e5).astype(np.float32)
    texts = [("DE", "FR", None, "用户")[i] for i in random.integers(0, 4, n)]
    encoder = fit_encoder("wxyz", values, {"c": texts}, category_kind=kind, scaling=scaling, min_count=2)
    table = encoder.transform(values, {"c": texts})
    assert table.shape == (n, len(encoder.input_names))
    assert np.isfinite(table).all()
    rows = [encoder.transform(values[i : i + 1], {"c": texts[i : i + 1]}) for i in range(n)]
    assert b"".join(row.tobytes() for row in rows) == table.tobytes()


@pytest.mark.parametrize("kind", ["label", "onehot"])
@pytest.mark.parametrize("scaling", ["none", "standard", "minmax"])
def test_json_keeps_every_bit(kind: EncodingKind, scaling: Scaling) -> None:
    encoder = fitted(kind, scaling)
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert (again.features, again.categories, again.scaling) == (NAMES, encoder.categories, scaling)
    assert again.transform(VALUES, CATEGORIES).tobytes() == encoder.transform(VALUES, CATEGORIES).tobytes()


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(BundleError, match=r"vectors of 3 features, got 2\. Select the bundle's features"):
        fitted().transform(VALUES[:, :2], CATEGORIES)


def test_an_absent_category_is_named() -> None:
    with pytest.raises(BundleError, match=r"the raw categories kind, found none of the name 'kind'\. Give a null"):
        fitted().transform(VALUES, {"country": [None] * 4})


def test_no_rows_cannot_be_fitted() -> None:
    with pytest.raises(EmptyDataError, match="found none"):
        fit_encoder(NAMES, VALUES[:0], {}, category_kind="label", scaling="standard")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scaling": None}, "found a fault"),
        ({"features": ["amount"]}, "a centre and a scale for each of 1 features, found 3 and 3"),
        ({"categories": [{"column": "kind", "kind": "hash", "vocabulary": []}]}, r"found 'none' and \['hash'\]"),
        ({"scaling": {"kind": "log", "center": [0, 0, 0], "scale": [1, 1, 1]}}, "found 'log'"),
        ({"scaling": {"kind": "none", "center": ["x"], "scale": [1]}}, "found a fault"),
    ],
)
def test_a_broken_form_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Encoder.from_dict({**fitted().to_dict(), **change})


def test_names_of_columns_cannot_collide() -> None:
    encoding = CategoryEncoding("c", "onehot", ("is null", "∅", "c"))
    assert len(set(encoding.names)) == 4
