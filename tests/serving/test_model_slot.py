"""The model in service: swapped, refused, remembered, shared between workers."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentinel_core.errors import RegistryError
from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES
from sentinel_core.features.encoding import fit_encoder
from sentinel_core.registry.manifest import FeatureRef
from sentinel_core.registry.rest import VersionRef
from serving.bundle_cache import KEPT, BundleCache
from serving.errors import NoModelError
from serving.model_slot import ModelSlot
from tests.registry.bundles import CATEGORIES, tiny_bundle, vectors

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Shelf:
    """A registry on disk: bundles by version, and the one in Production."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.production: VersionRef | None = None
        self.away = False
        self.downloads: list[str] = []

    def add(self, number: int, **given: object) -> VersionRef:
        name = f"v2026010{number}_000000"
        tiny_bundle(self.root / name, model_version=name, **given)  # type: ignore[arg-type]
        return VersionRef(str(number), name, "Production", "run", f"models:/m-{number}")

    def production_version(self) -> VersionRef | None:
        if self.away:
            raise RegistryError("expected MLflow to answer, got silence.")
        return self.production

    def download(self, version: VersionRef, directory: Path) -> None:
        self.downloads.append(version.name)
        if not (self.root / version.name).exists():
            raise RegistryError(f"expected the files of {version.name}, got 404.")
        shutil.copytree(self.root / version.name, directory, dirs_exist_ok=True)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def cache(tmp_path: Path) -> BundleCache:
    return BundleCache(tmp_path / "models")


@pytest.fixture
def slot(shelf: Shelf, cache: BundleCache) -> ModelSlot:
    return ModelSlot(shelf, cache, lambda: NOW)


def test_before_the_first_promotion_there_is_no_model(slot: ModelSlot) -> None:
    slot.poll()
    with pytest.raises(NoModelError, match="No model is in Production yet"):
        slot.require()
    assert slot.info() == {"model_version": None, "stage": None, "refused": None}


def test_what_moves_to_production_is_taken_into_service_and_back(shelf: Shelf, slot: ModelSlot) -> None:
    first, second = shelf.add(1, threshold=0.4), shelf.add(2, threshold=0.6)
    for version, threshold in ((first, 0.4), (second, 0.6), (first, 0.4)):
        shelf.production = version
        slot.poll()
        slot.poll()
        assert (slot.require().version, slot.require().bundle.threshold) == (version.name, threshold)
        assert slot.info()["stage"] == "Production"
    assert shelf.downloads == [first.name, second.name], "expected a rollback to find its bundle on disk"


def test_an_empty_stage_and_an_absent_registry_change_nothing(shelf: Shelf, slot: ModelSlot) -> None:
    shelf.production = shelf.add(1)
    slot.poll()
    shelf.production = None
    slot.poll()
    assert slot.require().version == "v20260101_000000"
    assert slot.info()["stage"] == "None"
    shelf.away = True
    with pytest.raises(RegistryError):
        slot.poll()
    assert slot.require().version == "v20260101_000000"


def _unknown_feature(shelf: Shelf) -> VersionRef:
    names = [*FEATURE_NAMES[:-1], "phase_of_the_moon"]
    encoder = fit_encoder(names, vectors(), CATEGORIES, category_kind="onehot", scaling="none", min_count=1)
    known = [FeatureRef(name=one.name, hash=one.definition_hash) for one in CATALOGUE[:-1]]
    features = (*known, FeatureRef(name="phase_of_the_moon", hash="0" * 16))
    return shelf.add(2, features=features, encoder=encoder.to_dict())


def _other_definition(shelf: Shelf) -> VersionRef:
    references = [FeatureRef(name=one.name, hash=one.definition_hash) for one in CATALOGUE]
    references[0] = FeatureRef(name=references[0].name, hash="f" * 16)
    return shelf.add(2, features=tuple(references))


def _damaged(shelf: Shelf) -> VersionRef:
    version = shelf.add(2)
    model = shelf.root / version.name / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    return version


def _not_a_bundle(shelf: Shelf) -> VersionRef:
    version = shelf.add(2)
    (shelf.root / version.name / "bundle.json").write_text(json.dumps({"format": 99}))
    return version


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_unknown_feature, "phase_of_the_moon"),
        (_other_definition, "feature 'amount' with the definition ffff"),
        (_damaged, "model.onnx"),
        (_not_a_bundle, "bundle.json"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused_and_the_old_one_stays(
    shelf: Shelf, slot: ModelSlot, make: object, reason: str
) -> None:
    shelf.production = shelf.add(1)
    slot.poll()
    shelf.production = make(shelf)  # type: ignore[operator]
    slot.poll()
    slot.poll()
    assert slot.require().version == "v20260101_000000"
    info = slot.info()
    assert info["stage"] == "None", "expected the model that still serves not to be called the one in Production"
    assert info["refused"]["version"] == "v20260102_000000"
    assert reason in info["refused"]["reason"]
    assert shelf.downloads.count("v20260102_000000") == 1, "expected a refused version not to be fetched at every look"
    shelf.production = shelf.add(3)
    slot.poll()
    assert (slot.require().version, slot.info()["refused"]) == ("v20260103_000000", None)


def test_a_version_that_cannot_be_fetched_says_so_and_is_tried_again(shelf: Shelf, slot: ModelSlot) -> None:
    shelf.production = VersionRef("7", "v20260107_000000", "Production", "run", "models:/m-7")
    for _ in range(2):
        with pytest.raises(RegistryError, match="got 404"):
            slot.poll()
    assert "got 404" in slot.info()["refused"]["reason"]
    with pytest.raises(NoModelError, match="version v20260107_000000 was refused"):
        slot.require()
    shelf.add(7)
    slot.poll()
    assert (slot.require().version, slot.info()["refused"]) == ("v20260107_000000", None)


def test_a_start_without_the_registry_serves_what_was_last_in_service(
    shelf: Shelf, slot: ModelSlot, cache: BundleCache
) -> None:
    shelf.production = shelf.add(1)
    slot.poll()
    shelf.away = True
    restarted = ModelSlot(shelf, cache, lambda: NOW)
    restarted.resume()
    assert restarted.require().version == "v20260101_000000"
    with pytest.raises(RegistryError):
        restarted.poll()
    shelf.away = False
    restarted.poll()
    assert shelf.downloads == ["v20260101_000000"]


def test_a_copy_that_the_disk_spoilt_is_fetched_again(shelf: Shelf, slot: ModelSlot, cache: BundleCache) -> None:
    shelf.production = shelf.add(1)
    slot.poll()
    (cache.directory(shelf.production) / "model.onnx").write_bytes(b"spoilt")
    restarted = ModelSlot(shelf, cache, lambda: NOW)
    restarted.resume()
    assert restarted.current is None
    restarted.poll()
    assert restarted.require().version == "v20260101_000000"
    assert len(shelf.downloads) == 2


def test_workers_that_look_at_once_fetch_once(shelf: Shelf, cache: BundleCache, tmp_path: Path) -> None:
    shelf.production = shelf.add(1)
    slots = [ModelSlot(shelf, BundleCache(tmp_path / "models"), lambda: NOW) for _ in range(4)]
    threads = [threading.Thread(target=slot.poll) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {slot.version for slot in slots} == {"v20260101_000000"}
    assert len(shelf.downloads) == 1
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == [
        cache.directory(shelf.production).name
    ]


def test_what_a_killed_worker_left_half_fetched_is_not_taken(shelf: Shelf, slot: ModelSlot, cache: BundleCache) -> None:
    shelf.production = shelf.add(1)
    half = cache.directory(shelf.production).parent / ".fetching"
    half.mkdir(parents=True)
    (half / "model.onnx").write_bytes(b"half")
    slot.poll()
    assert slot.require().version == "v20260101_000000"


def test_the_newest_bundles_stay_on_disk_and_the_one_in_service(
    shelf: Shelf, slot: ModelSlot, cache: BundleCache
) -> None:
    for number in range(1, 9):
        shelf.production = shelf.add(number)
        slot.poll()
    assert len([path for path in cache.directory(shelf.production).parent.iterdir() if path.is_dir()]) <= KEPT + 1
    assert cache.directory(shelf.production).exists()


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", ".", "a" * 300, "v\x00"])
def test_no_name_of_a_version_leads_out_of_the_folder(cache: BundleCache, tmp_path: Path, name: str) -> None:
    directory = cache.directory(VersionRef("1", name, "Production", "run", "x"))
    assert directory.parent == tmp_path / "models"
    assert len(directory.name) <= 128


def test_a_disk_that_refuses_is_like_a_registry_away(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    shelf.production = shelf.add(1)
    slot = ModelSlot(shelf, BundleCache(tmp_path / "file" / "models"), lambda: NOW)
    with pytest.raises(RegistryError, match="expected to keep bundles under"):
        slot.poll()


def test_a_directory_is_served_without_a_registry(cache: BundleCache, tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "bundle", model_version="v20260109_000000")
    slot = ModelSlot(None, cache, lambda: NOW)
    slot.serve_directory(tmp_path / "bundle")
    slot.poll()
    assert slot.require().version == "v20260109_000000"


def test_a_directory_without_a_bundle_is_refused(cache: BundleCache, tmp_path: Path) -> None:
    slot = ModelSlot(None, cache, lambda: NOW)
    slot.serve_directory(tmp_path)
    assert "expected a bundle in" in slot.info()["refused"]["reason"]
    with pytest.raises(NoModelError, match="was refused"):
        slot.require()
