"""A bundle is accepted only as it was written, and needs NumPy and ONNX Runtime alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sentinel_core.errors import BundleError
from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES
from sentinel_core.registry.bundle import load_bundle, stamp
from sentinel_core.registry.manifest import Calibration, CostTerms, Data, FeatureRef, Figure, Policy
from tests.registry.bundles import CATEGORIES, tiny_bundle, vectors

HEAVY = ("pandas", "sklearn", "mlflow", "onnx", "skl2onnx", "pyarrow", "matplotlib", "scipy")


def test_a_loaded_bundle_scores_decides_and_says_how_sure_it_is(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b", threshold=0.4, weights={"amount_log": 1.0, "card_type=credit": 2.0})
    bundle = load_bundle(tmp_path / "b")
    values = vectors()
    scores = bundle.score(bundle.select(values), CATEGORIES)
    z = values[:, FEATURE_NAMES.index("amount_log")] - 3 + np.array([0, 2, 0])
    assert scores == pytest.approx(1 / (1 + np.exp(-z)), abs=2e-4)
    assert bundle.threshold_at(1_00) == bundle.threshold_at(10_000_00) == 0.4
    assert [bundle.confidence(s, s >= 0.4) for s in (0.05, 0.2, 0.39, 0.4, 0.7, 0.95)] == [
        "high", "medium", "low", "low", "medium", "high",
    ]  # fmt: skip
    # Each edge belongs to the band above it.
    assert [bundle.confidence(s, True) for s in (0.6499, 0.65, 0.8499, 0.85, 0.8734)] == [
        "low", "medium", "medium", "high", "high",
    ]  # fmt: skip
    assert [bundle.confidence(s, False) for s in (0.3501, 0.35, 0.1501, 0.15)] == ["low", "medium", "medium", "high"]


def test_where_the_policy_weighs_costs_a_high_amount_is_declined_at_a_lower_score(tmp_path: Path) -> None:
    policy = Policy(name="lowest_cost", costs=CostTerms(loss=1.0, fee=0.0, false_alarm=10.0))
    tiny_bundle(tmp_path / "b", policy=policy)
    bundle = load_bundle(tmp_path / "b")
    assert bundle.threshold_at(10_00) == pytest.approx(0.5)
    assert bundle.threshold_at(990_00) == pytest.approx(0.01)


def test_a_row_scores_alone_as_it_does_in_a_batch(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b", weights=dict.fromkeys(FEATURE_NAMES, 0.01))
    bundle = load_bundle(tmp_path / "b")
    values = vectors(64, seed=3)
    categories = {name: column * 22 for name, column in CATEGORIES.items()}
    together = bundle.score(values, {name: column[:64] for name, column in categories.items()})
    alone = [
        bundle.score(values[i : i + 1], {name: column[i : i + 1] for name, column in categories.items()})[0]
        for i in range(64)
    ]
    assert together.tolist() == alone


def test_features_are_taken_from_the_catalogue_by_name(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b")
    bundle = load_bundle(tmp_path / "b")
    values = vectors()
    np.testing.assert_array_equal(bundle.select(values), values)
    wider = np.concatenate([values, np.ones((3, 1), np.float32)], axis=1)
    assert (bundle.select(wider) == values).all()


def test_loading_and_scoring_import_nothing_heavy(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b")
    script = (
        "import sys; from pathlib import Path; from sentinel_core.registry.bundle import load_bundle;"
        f"load_bundle(Path({str(tmp_path / 'b')!r})); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_the_hash_is_of_the_content_and_not_of_names_times_and_runs(tmp_path: Path) -> None:
    first = tiny_bundle(tmp_path / "a", model_version="v20260101_000000", created_at="2026-01-01", run_id="1")
    second = tiny_bundle(tmp_path / "b", model_version="v20270101_000000", created_at="2027-01-01", run_id="2")
    other = tiny_bundle(tmp_path / "c", threshold=0.6)
    assert first.bundle_hash == second.bundle_hash != other.bundle_hash


def test_the_registrys_name_is_stamped_without_breaking_the_bundle(tmp_path: Path) -> None:
    before = tiny_bundle(tmp_path / "b")
    stamp(tmp_path / "b", model_version="v20260101_000000", run_id="r")
    after = load_bundle(tmp_path / "b").manifest
    assert (after.model_version, after.run_id, after.bundle_hash) == ("v20260101_000000", "r", before.bundle_hash)


def test_an_unknown_feature_is_named(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b")
    path = tmp_path / "b" / "bundle.json"
    document = json.loads(path.read_text())
    document["features"][3]["name"] = document["encoder"]["features"][3] = "user_shoe_size"
    _rewrite(path, document)
    with pytest.raises(BundleError, match="user_shoe_size"):
        load_bundle(tmp_path / "b")


def test_a_feature_that_was_redefined_is_named(tmp_path: Path) -> None:
    references = [FeatureRef(name=f.name, hash=f.definition_hash) for f in CATALOGUE]
    references[1] = FeatureRef(name=references[1].name, hash="f" * 16)
    tiny_bundle(tmp_path / "b", features=tuple(references))
    with pytest.raises(BundleError, match=r"amount_log.*f{16}.*defines it as"):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize("name", ["model.onnx", "risk.npz", "selfcheck.json"])
def test_a_missing_or_changed_file_is_named(tmp_path: Path, name: str) -> None:
    tiny_bundle(tmp_path / "b")
    file = tmp_path / "b" / name
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(BundleError, match=rf"{name} with SHA-256 .* changed or is incomplete"):
        load_bundle(tmp_path / "b")
    file.unlink()
    with pytest.raises(BundleError, match=f"expected {name} in the bundle"):
        load_bundle(tmp_path / "b")


def test_a_changed_threshold_is_noticed(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b")
    path = tmp_path / "b" / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threshold": 0.9}))
    with pytest.raises(BundleError, match=r"bundle\.json .* it was changed"):
        load_bundle(tmp_path / "b")


def test_a_bundle_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    # The stored scores were made with slope 1.
    tiny_bundle(tmp_path / "b")
    path = tmp_path / "b" / "bundle.json"
    document = json.loads(path.read_text())
    document["calibration"] = Calibration(slope=2.0, intercept=0.0, smoothing=1e-4).model_dump()
    _rewrite(path, document)
    with pytest.raises(BundleError, match=r"expected the score 0\.\d+ for row \d .* got 0\.\d+"):
        load_bundle(tmp_path / "b")


def test_a_folder_without_a_manifest_or_with_a_foreign_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no bundle\.json"):
        load_bundle(tmp_path)
    (tmp_path / "bundle.json").write_text('{"format": 2}')
    with pytest.raises(BundleError, match=r"manifest of format 1 in .*format: Input should be 1"):
        load_bundle(tmp_path)


def test_a_model_that_is_not_onnx_is_refused(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b")
    path = tmp_path / "b" / "bundle.json"
    document = json.loads(path.read_text())
    (tmp_path / "b" / "model.onnx").write_bytes(b"not a model")
    import hashlib

    document["files"]["model.onnx"] = hashlib.sha256(b"not a model").hexdigest()
    _rewrite(path, document)
    with pytest.raises(BundleError, match="ONNX Runtime refuses it"):
        load_bundle(tmp_path / "b")


def test_a_bundle_is_written_once_and_whole(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b")
    with pytest.raises(BundleError, match="expected a new folder"):
        tiny_bundle(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def _rewrite(path: Path, document: dict[str, object]) -> None:
    """Write a manifest with the right hash, as somebody with other code would have."""
    from sentinel_core.registry.manifest import Manifest

    manifest = Manifest.model_validate(document)
    path.write_text(manifest.model_copy(update={"bundle_hash": manifest.content_hash()}).model_dump_json())


def _judged_by(**floors: float) -> Data:
    terms = {"snapshot": "0", "content_hash": "0", "profile": "mine", "as_of": "2026-01-15", "label_delay_days": 7.0}
    return Data(**terms, floors=floors)


def test_a_bundle_says_by_itself_that_it_is_below_its_floor(tmp_path: Path) -> None:
    metrics = {"test": {"f1": Figure(value=0.7), "recall": Figure(value=0.9)}}
    tiny_bundle(tmp_path / "below", data=_judged_by(f1=0.82, recall=0.85), metrics=metrics)
    warning = load_bundle(tmp_path / "below").warning
    assert warning == "This model is below its floor: f1 0.700 (floor 0.820)."
    tiny_bundle(tmp_path / "above", data=_judged_by(recall=0.85), metrics=metrics)
    assert load_bundle(tmp_path / "above").warning is None


def test_a_bundle_without_floors_warns_of_nothing(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "b", data=_judged_by())
    assert load_bundle(tmp_path / "b").warning is None
