"""The whole chain, as a newcomer sees it: `make up` in an empty folder, to a prediction read back from PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.local import orphans
from tests.e2e.asking import ask, predict, stored_prediction
from tests.e2e.stack import NAMES, Checkout, kill, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

ROWS = 100_000


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout.make(tmp_path_factory.mktemp("e2e"))
    try:
        yield made
    finally:
        made.sentinel("down")
        assert orphans.find(made.settings) == []


@pytest.fixture(scope="module")
def first(checkout: Checkout) -> tuple[dict[str, Any], bool]:
    return checkout.first_make_up(ROWS)


@pytest.fixture(scope="module")
def arrival(first: tuple[dict[str, Any], bool]) -> dict[str, Any]:
    """What the first `make up` reported."""
    return first[0]


def test_the_gate_decides_about_production(checkout: Checkout, first: tuple[dict[str, Any], bool]) -> None:
    arrival, above = first
    assert arrival["trained"] is True
    assert set(arrival["started"]) == NAMES
    moves = checkout.sentinel("models")["moves"]
    assert (moves[0]["to_stage"], moves[0]["actor"]) == ("Production", "fraud_training")
    assert moves[0]["verdict"]["passed"] is True
    assert moves[0]["verdict"]["warning"] == arrival["warning"]
    answers = [answer["response"] for answer in arrival["answers"]]
    assert all(("warning" in answer) is not above for answer in answers)


def test_one_command_ends_with_two_scored_transactions(arrival: dict[str, Any]) -> None:
    assert re.fullmatch(r"v\d{8}_\d{6}", arrival["model_version"])
    ordinary, fraudulent = (answer["response"] for answer in arrival["answers"])
    assert ordinary["fraud_score"] < fraudulent["fraud_score"]
    assert (ordinary["prediction"], fraudulent["prediction"]) == (False, True)
    assert ordinary["model_version"] == fraudulent["model_version"] == arrival["model_version"]
    assert not ordinary["degraded"]


def test_every_process_is_well_and_listens_on_loopback(checkout: Checkout, arrival: dict[str, Any]) -> None:
    until(lambda: all(process["healthy"] for process in checkout.processes().values()), 60)
    processes = checkout.processes()
    assert set(processes) == NAMES
    assert all(process["pid"] and process["memory_mb"] > 0 for process in processes.values())
    assert {process["url"].split("/")[2].split(":")[0] for process in processes.values() if process["url"]} == {
        "127.0.0.1"
    }


def test_a_prediction_is_read_back_from_postgresql(checkout: Checkout, arrival: dict[str, Any]) -> None:
    answer = predict(checkout, "e2e-1")
    until(lambda: stored_prediction(checkout, "e2e-1") is not None, 30)
    stored = stored_prediction(checkout, "e2e-1")
    assert stored.fraud_score == pytest.approx(answer["fraud_score"])
    assert stored.model_version == answer["model_version"]
    assert stored.prediction == answer["prediction"]
    assert not stored.degraded
    assert len(stored.features) == len(FEATURE_NAMES)
    assert predict(checkout, "e2e-1")["cached"] is True


def test_every_command_of_the_readme_works(checkout: Checkout, arrival: dict[str, Any]) -> None:
    readme = (checkout.root / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)
    # The checkout came up by the first; the other two are what CI runs, this test included.
    scripts = [re.sub(r"^make (up|check|test(-fast)?)$\n", "", block, flags=re.MULTILINE) for block in blocks]
    scripts = [script.replace(":8000", f":{checkout.settings.serving_port}") for script in scripts if script]
    assert len(scripts) >= 3
    printed = "".join(checkout.shell(script) for script in scripts)
    assert '"fraud_score"' in printed
    assert arrival["model_version"] in printed
    assert (checkout.root / "demo-features.parquet").stat().st_size > 0


def test_the_second_time_everything_is_in_place(checkout: Checkout, arrival: dict[str, Any]) -> None:
    again = checkout.make_up(ROWS)
    assert (again["started"], again["trained"], again["answers"]) == ([], False, [])
    assert again["model_version"] == arrival["model_version"]


def test_a_killed_service_comes_back_by_itself(checkout: Checkout, arrival: dict[str, Any]) -> None:
    before = {process.pid for process in orphans.find(checkout.settings, "serving")}
    killed = checkout.processes()["serving"]["pid"]
    assert killed in before
    kill(killed)

    def is_back() -> bool:
        # What is left of the killed one may answer, and then refuse, until the new one has taken over.
        try:
            answered = ask(checkout, "e2e-2").status_code == 200
        except httpx.TransportError:
            return False
        return answered and before.isdisjoint(p.pid for p in orphans.find(checkout.settings, "serving"))

    until(is_back, 120)
    assert predict(checkout, "e2e-2")["model_version"] == arrival["model_version"]


def test_after_down_and_a_killed_start_it_resumes_with_data_and_model(
    checkout: Checkout, arrival: dict[str, Any]
) -> None:
    assert set(checkout.sentinel("down")["stopped"]) == NAMES
    assert orphans.find(checkout.settings) == []
    assert not any(process["healthy"] for process in checkout.processes().values())

    interrupted = checkout.begin_up()
    until(lambda: checkout.processes()["postgres"]["healthy"], 120)
    kill(interrupted.pid)
    interrupted.wait()

    again = checkout.make_up(ROWS)
    assert again["trained"] is False
    assert again["model_version"] == arrival["model_version"]
    assert stored_prediction(checkout, "e2e-1") is not None
    until(lambda: stored_prediction(checkout, "e2e-2") is not None, 30)
