"""What a newcomer reads: what a start takes before it begins, and commands that work as they are printed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from sentinel_core.cli import welcome
from sentinel_core.local.paths import Layout, project_root
from sentinel_core.settings import Settings, load_settings


@pytest.fixture
def fresh(tmp_path: Path) -> Settings:
    return load_settings(None, home=tmp_path / "home", serving_port=8123)


def test_a_first_start_says_what_it_takes(fresh: Settings) -> None:
    said = welcome.plan(fresh, 100_000, airflow=True)
    assert "100,000 generated transactions" in said
    for line in ("time    2 to 6 minutes", "memory  2.3 GB", f"disk    1 GB in {fresh.home}", "8123 (Scoring service)"):
        assert line in said
    assert f"{fresh.airflow_port} (Airflow" in said
    assert f"{fresh.airflow_port} (Airflow" not in welcome.plan(fresh, 100_000, airflow=False)
    assert not fresh.home.exists(), "saying it creates nothing"


def test_a_start_that_goes_on_says_so_and_a_later_one_says_nothing(fresh: Settings) -> None:
    Layout.of(fresh).make()
    assert welcome.plan(fresh, 1_000, airflow=True) == "Going on with a first start that did not end."
    (Layout.of(fresh).state / "history.json").write_text('{"snapshot": "x"}')
    assert welcome.plan(fresh, 1_000, airflow=True) == ""


def test_the_request_is_one_that_the_service_takes(fresh: Settings) -> None:
    from sentinel_core.schema import Transaction

    words = shlex.split(welcome.curl(fresh))
    assert words[2] == "http://127.0.0.1:8123/api/v1/predict"
    assert Transaction.model_validate(json.loads(words[words.index("-d") + 1])).user_id == "user_000042"
    assert "X-API-Key" not in welcome.curl(fresh)
    assert "$SENTINEL_API_KEY" in welcome.curl(load_settings(None, require_api_key=True))


def test_a_proxy_does_not_get_the_request(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert "--noproxy 127.0.0.1" in welcome.curl(fresh)


def test_the_way_out_fits_the_folder(fresh: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = project_root()
    said = welcome.next_steps(fresh)
    assert f"make -C {root} down" in said
    assert f"make -C {root} clean && rm -rf {fresh.home}" in said
    monkeypatch.chdir(root)
    said = welcome.next_steps(load_settings(None, home=root / ".sentinel"))
    assert "make down " in said
    assert said.endswith("make purge")
