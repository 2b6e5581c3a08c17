"""A training that ends without a model in Production says why, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentinel_core.local.first_model import not_promoted
from sentinel_core.local.paths import Layout
from sentinel_core.settings import load_settings


@pytest.mark.parametrize(
    ("first_model", "why", "remedy"),
    [
        ("serve", "the gate turned it away (not enough: data validated)", "trains on newer data"),
        ("hold", "it missed its floors (not enough: data validated)", "unset SENTINEL_FIRST_MODEL"),
    ],
)
def test_the_error_names_the_reason_and_the_way_out(tmp_path: Path, first_model: str, why: str, remedy: str) -> None:
    settings = load_settings(None, home=tmp_path, first_model=first_model)
    state = Layout.of(settings).state
    state.mkdir(parents=True)
    (state / "last_training.json").write_text(json.dumps({"verdict": {"reason": "not enough: data validated"}}))
    said = str(not_promoted(settings))
    assert why in said
    assert remedy in said
    assert "sentinel promote VERSION" in said


def test_without_a_judgement_it_says_so(tmp_path: Path) -> None:
    assert "not judged" in str(not_promoted(load_settings(None, home=tmp_path)))
