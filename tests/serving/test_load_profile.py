"""The load test against the real service: a headless run of a few seconds, and a budget that it cannot keep."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.load import __main__ as load
from tests.load.profiles import read_profiles
from tests.serving.conftest import Service


@pytest.mark.slow
def test_the_smoke_profile_is_answered_and_a_budget_that_is_too_small_fails(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load, "FOLDER", tmp_path)
    smoke = read_profiles()["smoke"]
    figures = load.run_profile(smoke, service.url, folder=tmp_path)
    assert figures["all"]["failures"] == 0, figures["errors"]
    assert set(figures["by_name"]) >= {"predict", "predict in a burst", "batch", "retry"}
    assert figures["seconds"] > smoke.seconds / 2
    assert figures["all"]["requests"] >= 50
    assert "<html" in (tmp_path / "smoke.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "smoke.json").read_text())["figures"] == figures

    small = replace(smoke, seconds=1, budget=replace(smoke.budget, p99_ms=0.0))
    monkeypatch.setattr(load, "read_profiles", lambda: {"smoke": small})
    assert load.main(["--profile", "smoke", "--host", service.url], service.settings) == 1
    assert re.search(r"^smoke missed its budget: .*p99_ms [0-9.]+ > 0\b.*\.$", capfd.readouterr().err, re.M)
