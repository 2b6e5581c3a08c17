"""Moves that people make in MLflow: noticed once, written down, aliases and stages together, and the gate quoted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine

from sentinel_core.errors import RegistryError, StoreError
from sentinel_core.flows.moves import list_models, move_version, observe_moves, recorder, rollback
from sentinel_core.registry.promotion import Move, Version, find_version
from sentinel_core.registry.rest import MlflowRegistry, production_version
from sentinel_core.registry.tracking import client
from sentinel_core.settings import Settings
from sentinel_core.stores.audit import list_acts
from sentinel_core.stores.gate_attempts import GateAttempt, record_attempt
from sentinel_core.stores.promotions import list_promotions
from tests.registry.test_promotion import Log, registered

if TYPE_CHECKING:
    from mlflow import MlflowClient

NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)


@pytest.fixture
def with_mlflow(settings: Settings, mlflow_uri: str) -> Settings:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    return settings.model_copy(update=update)


@pytest.fixture
def mlflow(with_mlflow: Settings) -> MlflowClient:
    return client(with_mlflow)


@pytest.fixture
def pair(with_mlflow: Settings, engine: Engine, tmp_path: Path) -> tuple[Version, Version]:
    """Two versions, the first in Production by our own command."""
    first, second = (registered(with_mlflow, tmp_path, f"v2026010{n}_000000", Log()) for n in (1, 2))
    move_version(with_mlflow, first.name, "Production", actor="ann", now=NOW)
    return first, second


def stages(settings: Settings) -> dict[str, str]:
    return {v["version"]: v["stage"] for v in list_models(settings, now=NOW)["versions"]}


def by_hand(settings: Settings, version: Version, stage: str, *, archive: Version | None = None) -> None:
    """What the stage menu of MLflow's page does; ticked, it archives what was there."""
    with MlflowRegistry.of(settings) as registry:
        registry.transition(version.number, stage)
        if archive:
            registry.transition(archive.number, "Archived")


def champion(mlflow: MlflowClient, settings: Settings) -> str:
    return str(mlflow.get_model_version_by_alias(settings.model_name, "champion").version)


def brief(found: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    assert all(move["action"] == "observed" for move in found)
    return {(move["model_version"], move["from_stage"], move["to_stage"]) for move in found}


def test_a_stage_moved_by_hand_is_written_down_once_and_the_alias_follows(
    with_mlflow: Settings, mlflow: MlflowClient, engine: Engine, pair: tuple[Version, Version]
) -> None:
    first, second = pair
    assert observe_moves(with_mlflow, now=NOW) == []
    by_hand(with_mlflow, second, "Production", archive=first)
    found = observe_moves(with_mlflow, now=NOW + timedelta(minutes=7))
    assert brief(found) == {(second.name, "None", "Production"), (first.name, "Production", "Archived")}
    assert {move["actor"] for move in found} == {"somebody in MLflow"}
    assert all("noticed at 2026-06-01 10:37:00 UTC" in move["reason"] for move in found)
    assert champion(mlflow, with_mlflow) == second.number
    assert observe_moves(with_mlflow, now=NOW) == []
    with engine.connect() as conn:
        assert len([m for m in list_promotions(conn, with_mlflow.model_name) if m["action"] == "observed"]) == 2
    # What was noticed counts: a rollback goes to where the person came from.
    assert rollback(with_mlflow, actor="ann", now=NOW)["version"] == first.name


def test_an_alias_moved_by_hand_takes_the_stage_with_it(
    with_mlflow: Settings, mlflow: MlflowClient, pair: tuple[Version, Version]
) -> None:
    first, second = pair
    mlflow.set_registered_model_alias(with_mlflow.model_name, "champion", second.number)
    found = observe_moves(with_mlflow, now=NOW)
    assert brief(found) == {(second.name, "None", "Production"), (first.name, "Production", "Archived")}
    assert "alias champion" in found[0]["reason"]
    served = production_version(with_mlflow)
    assert served is not None
    assert served.name == second.name


def test_the_challenger_that_is_crowned_in_mlflow_stays_champion(
    with_mlflow: Settings, mlflow: MlflowClient, pair: tuple[Version, Version]
) -> None:
    first, second = pair
    move_version(with_mlflow, second.name, "Staging", actor="ann", now=NOW)
    # MLflow's editor adds an alias; the version keeps `challenger`.
    mlflow.set_registered_model_alias(with_mlflow.model_name, "champion", second.number)
    found = observe_moves(with_mlflow, now=NOW)
    assert brief(found) == {(second.name, "Staging", "Production"), (first.name, "Production", "Archived")}
    assert mlflow.get_registered_model(with_mlflow.model_name).aliases == {"champion": second.number}
    assert observe_moves(with_mlflow, now=NOW) == []
    assert stages(with_mlflow) == {second.name: "Production", first.name: "Archived"}


def test_a_second_alias_on_the_champion_takes_nothing_out_of_production(
    with_mlflow: Settings, mlflow: MlflowClient, pair: tuple[Version, Version]
) -> None:
    first, _ = pair
    mlflow.set_registered_model_alias(with_mlflow.model_name, "challenger", first.number)
    assert observe_moves(with_mlflow, now=NOW) == []
    assert mlflow.get_registered_model(with_mlflow.model_name).aliases == {"champion": first.number}
    served = production_version(with_mlflow)
    assert served is not None
    assert served.name == first.name


def test_of_many_that_look_at_once_one_writes_it_down(
    with_mlflow: Settings, engine: Engine, pair: tuple[Version, Version]
) -> None:
    first, second = pair
    by_hand(with_mlflow, second, "Production", archive=first)
    with ThreadPoolExecutor(6) as pool:
        looks = list(pool.map(lambda _: observe_moves(with_mlflow, now=NOW), range(6)))
    assert sorted(map(len, looks)) == [0, 0, 0, 0, 0, 2]
    with engine.connect() as conn:
        assert len([m for m in list_promotions(conn, with_mlflow.model_name) if m["action"] == "observed"]) == 2


def test_moved_twice_between_two_looks_is_written_down_as_it_ended(
    with_mlflow: Settings, pair: tuple[Version, Version]
) -> None:
    _, second = pair
    by_hand(with_mlflow, second, "Staging")
    by_hand(with_mlflow, second, "Archived")
    assert brief(observe_moves(with_mlflow, now=NOW)) == {(second.name, "None", "Archived")}


def rejected(settings: Settings, engine: Engine, version: Version) -> dict[str, Any]:
    """Let the gate have refused a version; return its verdict."""
    verdict = {"outcome": "reject", "reason": "not enough: recall"}
    fields = {"lineage": "history", "holdout_start": NOW, "holdout_end": NOW, "label_day": date(2026, 6, 1)}
    judged = {"number": 1, "error_rate": 0.05, "outcome": "reject", "verdict": verdict, "created_at": NOW}
    attempt = GateAttempt(settings.model_name, version.name, None, **fields, **judged)  # type: ignore[arg-type]
    with engine.begin() as conn:
        record_attempt(conn, attempt)
    return verdict


def test_a_version_that_failed_the_gate_is_named(
    with_mlflow: Settings, engine: Engine, pair: tuple[Version, Version]
) -> None:
    _, second = pair
    verdict = rejected(with_mlflow, engine, second)
    by_hand(with_mlflow, second, "Production")
    found = {move["model_version"]: move for move in observe_moves(with_mlflow, now=NOW)}
    assert found[second.name]["reason"].startswith("AGAINST THE GATE, which said reject (not enough: recall)")
    assert found[second.name]["verdict"] == verdict
    with engine.connect() as conn:
        (act,) = list_acts(conn, subject=second.name)
    assert act["action"] == "override"
    listed = {v["version"]: v for v in list_models(with_mlflow, now=NOW)["versions"]}
    assert listed[second.name]["gate"] == "reject"
    warnings = list_models(with_mlflow, now=NOW)["warnings"]
    expected = f"{second.name} is in Production against the gate, which said reject (not enough: recall)."
    assert expected in warnings


def test_our_own_command_against_the_gate_is_named_too(
    with_mlflow: Settings, engine: Engine, pair: tuple[Version, Version], caplog: pytest.LogCaptureFixture
) -> None:
    _, second = pair
    rejected(with_mlflow, engine, second)
    move_version(with_mlflow, second.name, "Production", actor="ann", reason="we need it today", now=NOW)
    with engine.connect() as conn:
        newest = list_promotions(conn, with_mlflow.model_name)[0]
        (act,) = list_acts(conn, subject=second.name)
    assert newest["reason"] == "AGAINST THE GATE, which said reject (not enough: recall); we need it today"
    assert (act["actor"], act["action"]) == ("ann", "override")
    assert "AGAINST THE GATE" in caplog.text


def test_of_two_in_production_the_one_that_serves_has_the_alias_and_the_log_says_so(
    with_mlflow: Settings, mlflow: MlflowClient, pair: tuple[Version, Version]
) -> None:
    first, second = pair
    by_hand(with_mlflow, second, "Production")
    (move,) = observe_moves(with_mlflow, now=NOW)
    together = f"{second.name}, {first.name} are in Production together: {second.name}, the highest number, counts."
    assert together in list_models(with_mlflow, now=NOW)["warnings"]
    assert f"{second.name}, {first.name} are in Production together, and {second.name} counts" in move["reason"]
    assert champion(mlflow, with_mlflow) == second.number
    served = production_version(with_mlflow)
    assert served is not None
    assert served.name == second.name


def test_a_deleted_version_is_written_down_as_gone(
    with_mlflow: Settings, mlflow: MlflowClient, pair: tuple[Version, Version]
) -> None:
    first, _ = pair
    mlflow.delete_model_version(with_mlflow.model_name, first.number)
    assert brief(observe_moves(with_mlflow, now=NOW)) == {(first.name, "Production", "None")}
    assert observe_moves(with_mlflow, now=NOW) == []


def test_a_promotion_that_was_killed_before_it_was_recorded_is_noticed(
    with_mlflow: Settings, pair: tuple[Version, Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    monkeypatch.setattr("sentinel_core.flows.moves.record_promotion", _killed)
    with pytest.raises(KeyboardInterrupt):
        move_version(with_mlflow, second.name, "Production", actor="ann", now=NOW)
    monkeypatch.undo()
    assert brief(observe_moves(with_mlflow, now=NOW)) == {
        (second.name, "None", "Production"),
        (first.name, "Production", "Archived"),
    }
    assert stages(with_mlflow) == {second.name: "Production", first.name: "Archived"}


def test_a_move_that_is_under_way_is_not_taken_for_somebodys(
    with_mlflow: Settings, pair: tuple[Version, Version]
) -> None:
    _, second = pair
    found: list[dict[str, Any]] = []
    looking = threading.Thread(target=lambda: found.extend(observe_moves(with_mlflow, now=NOW)))
    with recorder(with_mlflow, NOW) as record:
        by_hand(with_mlflow, second, "Staging")
        looking.start()
        looking.join(1.0)
        assert looking.is_alive()
        record(Move(find_version(with_mlflow, second.name), "promote", "None", "Staging", "ann", "ours"))
    looking.join(30)
    assert found == []


def test_a_rollback_goes_to_the_version_that_is_named_and_keeps_the_reason(
    with_mlflow: Settings, engine: Engine, pair: tuple[Version, Version]
) -> None:
    first, second = pair
    done = rollback(with_mlflow, actor="model_rollback", to=second.name, reason="alarms doubled", now=NOW)
    assert (done["version"], done["before"]) == (second.name, first.name)
    with engine.connect() as conn:
        newest = list_promotions(conn, with_mlflow.model_name)[0]
    assert (newest["action"], newest["actor"], newest["reason"]) == ("rollback", "model_rollback", "alarms doubled")
    with pytest.raises(RegistryError, match="got 'v9'"):
        rollback(with_mlflow, actor="ann", to="v9", now=NOW)


def test_one_rollback_after_another_goes_further_back(with_mlflow: Settings, tmp_path: Path, pair: Any) -> None:
    first, second = pair
    third = registered(with_mlflow, tmp_path, "v20260103_000000", Log())
    for version in (second, third):
        move_version(with_mlflow, version.name, "Production", actor="ann", now=NOW)
    assert rollback(with_mlflow, actor="ann", now=NOW)["version"] == second.name
    assert rollback(with_mlflow, actor="ann", now=NOW)["version"] == first.name
    with pytest.raises(RegistryError, match="expected an earlier version"):
        rollback(with_mlflow, actor="ann", now=NOW)


def test_a_rollback_leaves_out_what_was_deleted_and_fills_an_empty_production(
    with_mlflow: Settings, mlflow: MlflowClient, tmp_path: Path, pair: Any
) -> None:
    first, second = pair
    third = registered(with_mlflow, tmp_path, "v20260103_000000", Log())
    for version in (second, third):
        move_version(with_mlflow, version.name, "Production", actor="ann", now=NOW)
    mlflow.delete_model_version(with_mlflow.model_name, second.number)
    by_hand(with_mlflow, third, "Archived")
    assert any("Nothing is in Production" in line for line in list_models(with_mlflow, now=NOW)["warnings"])
    assert rollback(with_mlflow, actor="ann", now=NOW) == {"version": third.name, "stage": "Production", "before": None}
    assert rollback(with_mlflow, actor="ann", now=NOW)["version"] == first.name


def test_nothing_is_asked_of_mlflow_that_could_not_be_recorded(with_mlflow: Settings) -> None:
    away = with_mlflow.model_copy(update={"database_url_given": "postgresql://nobody@127.0.0.1:9/none"})
    with pytest.raises(StoreError):
        observe_moves(away, now=NOW)
    lost = with_mlflow.model_copy(update={"mlflow_tracking_uri_given": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError):
        observe_moves(lost, now=NOW)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
