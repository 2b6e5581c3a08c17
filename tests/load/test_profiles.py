"""The profiles of the load test: their figures, what a budget says, which targets are refused. No Locust in here."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from sentinel_core.schema import Transaction
from sentinel_core.settings import load_settings
from tests.load.__main__ import main
from tests.load.profiles import DEFAULT, judge, read_profiles
from tests.load.traffic import batch, card_testing, some_cardholder

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BUDGET = "budget = { p50_ms = 1, p99_ms = 1, failures = 0, rate_share = 1 }"


def _figures(**changed: Any) -> dict[str, Any]:
    whole = {"requests": 30_000, "failures": 0, "requests_per_s": 500.0, "p50_ms": 3.0, "p99_ms": 20.0}
    counted = {"predictions": 40_000, "degraded": changed.pop("degraded", 0)}
    return {**counted, "all": whole | changed, "by_name": {"batch": {**whole, "p99_ms": 80.0}}}


def test_the_bar_of_the_project_is_the_default_profile() -> None:
    profile = read_profiles()[DEFAULT]
    assert (profile.rate, profile.seconds) == (500, 60)
    assert (profile.budget.p99_ms, profile.budget.failures) == (50, 0)


def test_figures_within_the_budget_miss_nothing() -> None:
    assert judge(read_profiles()["steady500"], _figures()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"p99_ms": 63.0}, ["p99_ms 63 > 50"]),
        ({"failures": 2, "p50_ms": 16.0}, ["p50_ms 16 > 15", "failures 2 > 0"]),
        ({"requests_per_s": 431.0}, ["requests_per_s 431 < 490"]),
        ({"degraded": 401}, ["degraded 401 of 40000 > 1%"]),
        ({"requests": 0}, ["no request was answered"]),
    ],
)
def test_what_misses_the_budget_is_named_with_its_bound(changed: dict[str, Any], said: list[str]) -> None:
    assert judge(read_profiles()["steady500"], _figures(**changed)) == said


def test_a_kind_of_request_has_a_bound_of_its_own() -> None:
    figures = _figures()
    figures["by_name"]["batch"]["p99_ms"] = 612.0
    assert judge(read_profiles()["steady500"], figures) == ["p99_ms of batch 612 > 500"]
    assert judge(read_profiles()["steady500"], {**figures, "by_name": {}}) == ["no batch was answered"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nuser = 1\n" + BUDGET, "a: expected .*users.*, got user"),
        ("[a]\nusers = 1", "a.budget: .*missing"),
        (
            '[a]\nabout=""\nusers=1\nrate=1\nseconds=9999\nwarm_up=0\n' + BUDGET,
            "a: expected positive users, rate and seconds, at most 3600 s",
        ),
    ],
)
def test_a_wrong_profile_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "profiles.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_profiles(tmp_path / "profiles.toml")


def test_a_mix_of_unknown_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected shares of returning"):
        replace(read_profiles()["smoke"], mix={"robots": 1.0})


def test_all_that_is_sent_is_a_valid_transaction() -> None:
    rng = random.Random(0)
    attempt = next(islice(card_testing(rng), 3, None))
    for payload in [*batch(NOW, rng, 100), some_cardholder(rng).purchase(NOW, rng) | attempt]:
        Transaction.model_validate(payload)
        assert payload["user_id"].startswith("load-")


def test_a_cardholder_comes_back_with_the_same_device_and_address() -> None:
    rng = random.Random(0)
    holder = some_cardholder(rng)
    first, second = holder.purchase(NOW, rng), holder.purchase(NOW, rng)
    assert first["transaction_id"] != second["transaction_id"]
    assert all(first[name] == second[name] for name in ("user_id", "device_id", "ip_address", "location_country"))


def test_another_machine_is_not_loaded_unless_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--headless", "--host", "http://192.0.2.1:8000"], load_settings(None)) == 2
    said = capsys.readouterr().err
    assert "expected a service on this machine, got http://192.0.2.1:8000" in said
    assert "--allow-remote" in said


def test_a_service_that_is_not_there_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--profile", "smoke", "--host", "http://127.0.0.1:9"], load_settings(None)) == 2
    assert "Start it with `make up`" in capsys.readouterr().err


def test_neither_the_command_nor_its_tests_import_locust() -> None:
    """Its import would replace sockets and threads in the whole process."""
    code = "import sys, tests.load.__main__; sys.exit('gevent' in sys.modules or 'locust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
