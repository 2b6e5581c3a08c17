"""A small random share of what is declined goes through: drawn alike by everybody who draws, recorded once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client import generate_latest
from sqlalchemy import Engine, text

from sentinel_core.errors import SettingsError
from sentinel_core.exploration import Exploration
from sentinel_core.local.ports import free_port
from sentinel_core.schema import Prediction
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.postgres import connected
from sentinel_core.stores.recording import write_batch
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import payload, serving, until
from tests.serving.test_degraded import OwnRedis, own_redis, recorded
from tests.serving.test_recorder import running
from tests.serving.test_scoring import START, Clock, of, play, runtime
from tests.stores.makers import DAY, NOW, accepted_event, answered_event

__all__ = ["own_redis"]
SHARE = 0.2
IDS = [f"t{number}" for number in range(60)]
GOLDEN = ["t71", "t99"]
"""The ids that 0.05 lets through under the secret "mine", of the first hundred."""


@pytest.fixture
def exploring(settings: Settings, tmp_path: Path, redis_client: redis.Redis) -> Settings:
    """A service that declines everything, and explores."""
    tiny_bundle(tmp_path / "bundle", model_version="v1", bias=10.0)
    on = {"bundle": tmp_path / "bundle", "explore_share": SHARE, "explore_key": "of this test"}
    return settings.model_copy(update=on)


def expected(settings: Settings) -> set[str]:
    draw = Exploration.of(settings)
    found = {name for name in IDS if draw.lets_through(name)}
    assert 0 < len(found) < len(IDS) / 2
    return found


def outcomes(engine: Engine) -> dict[str, Any]:
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT * FROM outcomes")).all()
    assert len({row.transaction_id for row in rows}) == len(rows), "expected each of them once"
    return {row.transaction_id: row for row in rows}


async def answers(made: Any, names: list[str] | None = None) -> dict[str, dict[str, Any]]:
    found = await made.scorer.score([of(transaction_id=name) for name in names or IDS])
    return {answer["transaction_id"]: answer for answer in found}


def test_the_share_is_the_propensity_and_nobody_foresees_the_draw() -> None:
    names = [f"t{number}" for number in range(100_000)]
    mine, other, more = Exploration(0.05, "mine"), Exploration(0.05, "other"), Exploration(0.1, "mine")
    drawn = {name for name in names if mine.lets_through(name)}
    assert abs(len(drawn) - 5_000) < 5 * (100_000 * 0.05 * 0.95) ** 0.5
    assert drawn == {name for name in names if Exploration(0.05, "mine").lets_through(name)}
    both = sum(other.lets_through(name) for name in drawn)
    assert abs(both - 250) < 5 * 250**0.5
    assert all(more.lets_through(name) for name in drawn), "expected a larger share to hold the smaller one"
    assert not any(Exploration(0.0, "mine").lets_through(name) for name in names[:1000])
    # In another process, on another machine, in another year.
    assert [name for name in names[:100] if mine.lets_through(name)] == GOLDEN


def test_it_is_off_unless_asked_for_and_wants_a_key(tmp_path: Path) -> None:
    off = load_settings(None, home=tmp_path)
    assert not any(Exploration.of(off).lets_through(name) for name in IDS)
    message = r"expected SENTINEL_EXPLORE_KEY beside SENTINEL_EXPLORE_SHARE=0\.1, found none.*the same for every worker"
    with pytest.raises(SettingsError, match=message):
        Exploration.of(load_settings(None, home=tmp_path, explore_share=0.1))
    for share in (-0.01, 0.21, "nan"):
        with pytest.raises(SettingsError, match="EXPLORE_SHARE"):
            load_settings(None, home=tmp_path, explore_share=share)


def test_an_answer_says_it_only_where_it_is_so() -> None:
    given = {"transaction_id": "t", "fraud_score": 0.9, "prediction": True, "confidence": "high", "model_version": "v"}
    plain = Prediction(**given, inference_time_ms=1.0)  # type: ignore[arg-type]
    assert "explored" not in json.loads(plain.model_dump_json())
    explored = Prediction(**given, inference_time_ms=1.0, explored=True)  # type: ignore[arg-type]
    assert json.loads(explored.model_dump_json())["explored"] is True
    assert plain.explored is False


def test_a_share_of_the_declined_goes_through_and_is_recorded_once(
    exploring: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    wanted = expected(exploring)

    async def scene() -> None:
        clock = Clock()
        async with runtime(exploring, clock) as made, runtime(exploring, clock) as second:
            told = await answers(made)
            assert all(answer["prediction"] for answer in told.values())
            assert {name for name, answer in told.items() if answer.get("explored")} == wanted
            assert all("explored" not in told[name] for name in IDS if name not in wanted)
            assert await answers(second) == {name: {**one, "cached": True} for name, one in told.items()}
            assert (
                f'sentinel_explored_total{{model_version="v1"}} {len(wanted)}.0'
                in generate_latest(made.metrics.registry).decode()
            )
            with running(exploring):
                while await made.store.backlog():
                    await asyncio.sleep(0.02)
            # Past its life an answer is the same to the byte, and nothing is drawn again.
            name = min(wanted)
            redis_client.delete(Keys.of(exploring).answer("u1", name))
            again = (await answers(made, [name]))[name]
            assert json.dumps(again) == json.dumps({**told[name], "cached": True})

    play(scene())
    found = outcomes(engine)
    assert set(found) == wanted
    for row in found.values():
        assert (row.outcome, row.propensity, row.source, row.decided_at) == ("explored", SHARE, "exploration", START)


def test_without_redis_it_draws_alike_and_the_recorder_brings_it_later(
    exploring: Settings, own_redis: OwnRedis, engine: Engine
) -> None:
    alone = exploring.model_copy(update={"redis_url_given": own_redis.url, "redis_deadline_ms": 200})
    wanted = expected(alone)

    async def scene() -> None:
        async with runtime(alone, Clock()) as made:
            own_redis.kill()
            told = await answers(made)
            assert all(answer["degraded"] for answer in told.values())
            assert {name for name, answer in told.items() if answer.get("explored")} == wanted
            own_redis.restart()
            while made.health()["dependencies"]["redis"]["status"] != "up":
                await asyncio.sleep(0.02)
            async with recorded(alone, made):
                pass

    play(scene())
    assert set(outcomes(engine)) == wanted


def test_of_a_transaction_that_was_scored_twice_the_first_answer_says_whether_it_was_explored(engine: Engine) -> None:
    events = [
        accepted_event("a"),
        answered_event("a", 1, answer={"prediction": True, "propensity": 0.1}),
        answered_event("a", 2, answer={"event_id": "again", "prediction": True, "propensity": 0.1}),
        accepted_event("b", 3),
        answered_event("b", 4, answer={"prediction": False}),
        answered_event("b", 5, answer={"event_id": "b again", "prediction": True, "propensity": 0.1}),
    ]
    for batch in (events[:2], events, events[4:]):
        with connected(engine) as conn:
            write_batch(conn, batch, now=NOW + DAY)
    (row,) = outcomes(engine).values()
    assert (row.transaction_id, row.decided_at, row.created_at) == ("a", NOW, NOW + DAY)


@pytest.mark.slow
def test_every_route_says_it_alike(servers: Any, exploring: Settings, engine: Engine) -> None:
    settings = exploring.model_copy(update={"serving_port": free_port(), "explainer_port": free_port()})
    name = min(expected(exploring))
    body = payload(transaction_id=name)
    with serving(settings, workers=1) as service:
        first = service.predict(body).json()
        batch = service.http.post("/api/v1/predict/batch", json={"transactions": [body]}).json()["predictions"]
        native = service.http.post("/predict", json=body).json()
        assert (first["prediction"], first["explored"]) == (True, True)
        assert batch == [native] == [{**first, "cached": True}]
        stored = service.stored(name)
        assert (stored["outcome"], stored["propensity"], stored["prediction"]["explored"]) == ("explored", SHARE, True)
        until("its outcome", lambda: name in outcomes(engine))
