"""The BentoML service: `bentoml serve serving.service:SentinelService`, or `sentinel run serving`.

The public routes are the FastAPI application mounted at "/"; beside them stands one native `predict` for BentoML's own
clients, over the same scorer. BentoML reads the number of workers and the time-out from the decorator
when it imports this module, so this one module reads the settings at import.
"""

from __future__ import annotations

import gc
import os
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import bentoml
from bentoml.exceptions import BentoMLException

from sentinel_core.errors import SentinelError
from sentinel_core.schema import Prediction, Transaction
from sentinel_core.settings import Settings, load_settings
from serving.api import make_app
from serving.errors import to_problem
from serving.logs import configure, get_logger
from serving.native import NativeRoute
from serving.runtime import Runtime

BUNDLE_INSIDE: Final = Path(__file__).parents[1] / "bundle"
"""Where a Bento carries the bundle that it was built with (serving/bentofile.yaml)."""
_WORKERS_MOST: Final = 4
_TIMEOUT_MARGIN: Final = 10.0
log = get_logger(__name__)


def read_settings() -> Settings:
    """Read the settings; a bundle inside the Bento is served unless SENTINEL_BUNDLE names another."""
    settings = load_settings()
    # An empty SENTINEL_BUNDLE, as compose files leave it, is none.
    given = None if settings.bundle == Path() else settings.bundle
    inside = BUNDLE_INSIDE if (BUNDLE_INSIDE / "bundle.json").is_file() else None
    return settings.model_copy(update={"bundle": given or inside})


def now() -> datetime:
    """Tell the time: the one clock of the service."""
    return datetime.now(UTC)


_settings = read_settings()
app = make_app()


@bentoml.service(
    name="SentinelService",
    workers=_settings.api_workers or min(_WORKERS_MOST, os.cpu_count() or 1),
    # Our own limit answers first, in our own form; this one is for what never comes back.
    traffic={"timeout": _settings.request_timeout_seconds + _TIMEOUT_MARGIN},
    # BentoML's metrics would win the path /metrics, and its access log and tracing cost more than a prediction.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(app, path="/")
class SentinelService:
    """One worker of the scoring service."""

    def __init__(self) -> None:
        configure(_settings.log_level, process="serving")
        self._runtime = Runtime(_settings, now)

    @bentoml.on_startup  # type: ignore[untyped-decorator]  # BentoML is not typed for us
    async def start(self) -> None:
        """Take a model into service and freeze the heap: collecting what is imported would stop a worker for 100 ms."""
        await self._runtime.start()
        app.state.runtime = self._runtime
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        log.info("worker started", pid=os.getpid(), model_version=self._runtime.models.version)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Commit what was begun, then let go."""
        await self._runtime.stop()

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    async def predict(self, transaction: Transaction, /) -> Prediction:
        """Score one transaction; the public route is POST /api/v1/predict."""
        try:
            (scored,) = await self._runtime.scorer.score([transaction])
        except SentinelError as error:
            raise _refusal(error) from error
        if isinstance(scored, SentinelError):
            raise _refusal(scored)
        return Prediction.model_validate(scored)


# A class for its type checker, a bentoml.Service to run.
SentinelService.add_asgi_middleware(NativeRoute, runtime=lambda: app.state.runtime)  # type: ignore[attr-defined]


def _refusal(error: SentinelError) -> BentoMLException:
    problem = to_problem(error)
    return BentoMLException(f"{problem.code}: {problem.detail}", error_code=HTTPStatus(problem.status))
