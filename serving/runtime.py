"""What one worker holds while it runs: stores, model, risk table, scorer, and the work in its background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from fastapi import Request

from sentinel_core.errors import SentinelError, StoreError
from sentinel_core.features.catalog import CATALOGUE, catalogue_hash
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.settings import Settings
from sentinel_core.stores.postgres import make_engine
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore
from serving.bundle_cache import BundleCache
from serving.fallback import Fallback
from serving.figures import describe, read_figures
from serving.gate import Gate
from serving.health import Dependency
from serving.ledger import Ledger
from serving.logs import get_logger
from serving.metrics import Metrics
from serving.model_slot import ModelSlot
from serving.reasons import Reasons
from serving.repeated import Repeated
from serving.risk_slot import RiskSlot
from serving.scoring import Scorer

PROBE_SECONDS: Final = 1.0
REDIS_SECONDS: Final = 0.25
"""How long a Redis that is back is not used, at most."""
RISK_SECONDS: Final = 2.0
FIGURES_SECONDS: Final = 1.0
"""How long figures are kept: many dashboards cost the database one query a second and worker."""
PAST_SECONDS: Final = 1.0
"""How long a retry past its answer's life waits for PostgreSQL, before it is scored again to the same end."""
log = get_logger(__name__)


class Runtime:
    """The parts of a worker: `start` before the first request, `stop` after the last.

    `clock` gives aware UTC times. Nothing is connected before `start`, and `start` succeeds whoever is away.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._clock = clock
        self._client = make_async_client(settings)
        self._engine = make_engine(settings, pool_size=2, max_overflow=2)
        self._registry = MlflowRegistry.of(settings) if settings.bundle is None else None
        self.store = HotStore(self._client, settings)
        self.gate = Gate(settings, self._client, self.metrics)
        self.models = ModelSlot(
            self._registry,
            BundleCache(settings.home / "serving" / "models"),
            clock,
            on_refusal=self.metrics.refused_bundles.inc,
        )
        self.ledger = Ledger(self._engine, self.store.backlog, clock, self.models.warning_of)
        self.reasons = Reasons(settings, self.ledger, self.metrics)
        self.risk = RiskSlot(self.store)
        self._redis = Dependency("redis", self._ask_redis, clock)
        self._postgres = Dependency("postgresql", self.ledger.ping, clock)
        self._mlflow = Dependency("mlflow", self._poll_registry, clock)
        self._fallback = Fallback(settings, self._redis, self.metrics, clock)
        self.spool_size = self._fallback.size()
        self.scorer = Scorer(
            settings,
            self.store,
            self.models,
            self.metrics,
            self._fallback,
            risk=self.risk.table,
            past=self._past_answer,
            clock=clock,
        )
        self.gate.queue_is_full = lambda: self.scorer.full
        self._policy_unknown = False
        self._announced = False
        self._figures: tuple[float, dict[str, Any]] | None = None
        self._figures_turn = asyncio.Lock()

    @property
    def dependencies(self) -> list[Dependency]:
        """What this worker depends on; MLflow only where it watches the registry."""
        watched = [self._mlflow] if self._registry is not None else []
        return [self._redis, self._postgres, *watched]

    async def start(self) -> None:
        """Take a model into service, if there is one, and begin the work in the background.

        Raises `StoreError` where Redis would drop keys when its memory is full: histories and events would be lost.
        """
        if self.settings.bundle is not None:
            self.models.serve_directory(self.settings.bundle)
        else:
            await asyncio.to_thread(self.models.resume)
        await self._first_looks()
        try:
            if self._redis.up:
                await self.store.refuse_eviction_policy()
        except StoreError:
            await self._close()
            raise
        self._policy_unknown = not self._redis.up
        self._background = [
            Repeated("redis", REDIS_SECONDS, self._look_at_redis),
            Repeated("spool", PROBE_SECONDS, self._look_at_spool),
            Repeated("postgresql", PROBE_SECONDS, self._postgres.look),
            Repeated("risk", RISK_SECONDS, self.risk.poll),
        ]
        if self._registry is not None:
            self._background.append(Repeated("registry", self.settings.registry_poll_seconds, self._mlflow.look))
        self.scorer.warm_up()
        for work in self._background:
            work.start()

    async def stop(self) -> None:
        """Finish what was begun and let go of every connection."""
        for work in self._background:
            await work.stop()
        await self.scorer.drain()
        self._fallback.close()
        await self._close()

    def health(self) -> dict[str, Any]:
        """Describe this worker for /health; answers at once, from what the background work saw last."""
        model = self.models.current
        away = any(one.down for one in self.dependencies) or self._fallback.streams_full
        return {
            "status": "no_model" if model is None else "degraded" if away else "healthy",
            "model_loaded": model is not None,
            "model_version": self.models.version,
            "dependencies": {one.name: one.describe() for one in self.dependencies},
            "spool": {**self.spool_size._asdict(), "writing": self._fallback.writing},
        }

    async def figures(self) -> dict[str, Any]:
        """Return the figures for /api/v1/monitoring/metrics. Raises `StoreError` where PostgreSQL is away."""
        async with self._figures_turn:
            if self._figures is None or time.monotonic() - self._figures[0] > FIGURES_SECONDS:
                now = self._clock()
                read = await self.ledger.read(lambda conn: read_figures(conn, now, self.settings.model_name))
                self._figures = time.monotonic(), describe(*read)
            return {"model_version": self.models.version, **self._figures[1]}

    async def _close(self) -> None:
        await self.reasons.close()
        await self._client.aclose()
        self._engine.dispose()
        if self._registry is not None:
            self._registry.close()

    async def _first_looks(self) -> None:
        looks = [one.look for one in self.dependencies]
        # An empty database takes nothing from a score: it is said here, since answers go on without it.
        looks += [self.risk.poll, self.ledger.look_at_tables]
        for found in await asyncio.gather(*(look() for look in looks), return_exceptions=True):
            if isinstance(found, SentinelError):
                log.warning("started without", reason=str(found))
            elif isinstance(found, BaseException):
                raise found

    async def _past_answer(self, transaction_id: str) -> dict[str, Any] | None:
        if self._postgres.down:
            raise StoreError("expected PostgreSQL to look an answer up, but its last look failed.")
        try:
            async with asyncio.timeout(PAST_SECONDS):
                return await self.ledger.answer(transaction_id)
        except TimeoutError:
            raise StoreError(f"expected PostgreSQL to answer within {PAST_SECONDS:g} s, and it did not.") from None

    async def _poll_registry(self) -> None:
        await asyncio.to_thread(self.models.poll)

    async def _ask_redis(self) -> None:
        await self.store.ping()
        if self._policy_unknown:
            # It was away at the start: as long as it would drop keys it counts as away.
            await self.store.refuse_eviction_policy()
            self._policy_unknown = False

    async def _look_at_spool(self) -> None:
        self._fallback.hand_over()
        self.spool_size = self._fallback.size()
        await self._fallback.look_at_streams(self.store)

    async def _look_at_redis(self) -> None:
        await self._redis.look()
        self._fallback.hand_over()
        if not self._announced:
            features = [{"name": one.name, "hash": one.definition_hash} for one in CATALOGUE]
            await self.store.publish_feature_set(catalogue_hash(), features)
            self._announced = True


def runtime_of(request: Request) -> Runtime:
    """Return the runtime of the application that serves a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime
