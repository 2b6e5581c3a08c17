"""A model below its floor says so beside every answer, wherever the answer comes from."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from sentinel_core.local.ports import free_port
from sentinel_core.registry.manifest import Data, Figure
from sentinel_core.schema import Prediction
from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.model_metrics import ModelMetrics, record_metrics
from sentinel_core.stores.postgres import connected
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import payload, serving
from tests.serving.test_recorder import running
from tests.serving.test_scoring import START, Clock, of, one, play, runtime

WARNING = "This model is below its floor: precision 0.790 (floor 0.800)."
TERMS = {"snapshot": "0", "content_hash": "0", "profile": "synthetic", "as_of": "2026-01-15", "label_delay_days": 7.0}


def serve(settings: Settings, folder: Path, precision: float) -> Settings:
    tiny_bundle(
        folder,
        model_version=folder.name,
        data=Data(**TERMS, floors={"precision": 0.8}),
        metrics={"test": {"precision": Figure(value=precision)}},
    )
    return settings.model_copy(update={"bundle": folder})


@pytest.fixture
def below(settings: Settings, tmp_path: Path) -> Settings:
    return serve(settings, tmp_path / "v1", 0.79)


def test_every_answer_and_the_description_of_the_model_have_it(below: Settings, redis_client: redis.Redis) -> None:
    async def scene() -> None:
        async with runtime(below, Clock()) as made:
            first = await one(made, transaction_id="t1")
            assert first["warning"] == WARNING
            assert await one(made, transaction_id="t1") == {**first, "cached": True}
            assert made.models.info()["warning"] == WARNING
            batch = await made.scorer.score([of(transaction_id=name) for name in ("t2", "t3")])
            assert [answer["warning"] for answer in batch] == [WARNING, WARNING]  # type: ignore[index]
            assert Prediction.model_validate(first).model_dump()["warning"] == WARNING

    play(scene())


def test_a_model_above_its_floor_has_no_such_field(settings: Settings, tmp_path: Path, engine: Engine) -> None:
    above = serve(settings, tmp_path / "v1", 0.81)

    async def scene() -> None:
        async with runtime(above, Clock()) as made:
            answer = await one(made, transaction_id="t1")
            assert "warning" not in answer
            assert "warning" not in Prediction.model_validate(answer).model_dump()
            assert made.models.info()["warning"] is None

    play(scene())


@pytest.mark.parametrize("registered", [False, True])
def test_an_answer_past_its_life_is_the_same_to_the_byte(
    below: Settings, tmp_path: Path, engine: Engine, redis_client: redis.Redis, registered: bool
) -> None:
    """A packaged bundle is known by the worker alone; a registered version also after another has taken its place."""
    told: dict[str, Any] = {}
    later = serve(below, tmp_path / "v2", 0.81) if registered else below

    async def answered() -> None:
        async with runtime(below, Clock()) as made:
            told.update(await one(made, transaction_id="t1"))
            with running(below):
                while await made.store.backlog():
                    await asyncio.sleep(0.02)

    async def again() -> None:
        async with runtime(later, Clock()) as made:
            redis_client.delete(Keys.of(below).answer("u1", "t1"))
            assert json.dumps(await one(made, transaction_id="t1")) == json.dumps({**told, "cached": True})
            row = await made.ledger.prediction("t1")
            assert row is not None
            assert row["warning"] == told["warning"] == WARNING

    play(answered())
    if registered:
        details = {"warning": WARNING}
        with connected(engine) as conn:
            record_metrics(conn, ModelMetrics("v1", "fraud_detector", "test", 10, START, details=details))
    play(again())


@pytest.mark.slow
def test_every_route_says_it_alike(below: Settings, engine: Engine) -> None:
    settings = below.model_copy(update={"serving_port": free_port(), "explainer_port": free_port()})
    body = payload(transaction_id="t1")
    with serving(settings, workers=1) as service:
        first = service.predict(body).json()
        batch = service.http.post("/api/v1/predict/batch", json={"transactions": [body]}).json()["predictions"]
        native = service.http.post("/predict", json=body).json()
        assert first["warning"] == WARNING
        assert batch == [native] == [{**first, "cached": True}]
        assert service.http.get("/api/v1/model/info").json()["warning"] == WARNING
        assert service.stored("t1")["prediction"]["warning"] == WARNING
        schemas = service.http.get("/openapi.json").json()["components"]["schemas"]
        assert all("warning" in schemas[name]["properties"] for name in ("PredictAnswer", "ModelInfo", "StoredAnswer"))
