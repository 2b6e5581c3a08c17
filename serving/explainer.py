"""The explain process: from a vector and a version to reasons (`python -m serving.explainer`).

It holds what serving workers must not carry: scikit-learn, shap and the estimators themselves. The version in service
is loaded ahead of the first question, others when they are asked for. It answers on loopback, for workers only:

    POST /explain   `Question` → {"reasons": [{"feature", "value", "contribution"}, …]}
    GET  /health    which versions are held
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final, NamedTuple

import numpy as np
import uvicorn
from pydantic import BaseModel, ConfigDict, TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sentinel_core.errors import BundleError, RegistryError, SentinelError
from sentinel_core.registry.explaining import open_explainer
from sentinel_core.settings import load_settings
from sentinel_core.training.explain import Explainer
from serving.bundle_source import BundleSource, bundle_source
from serving.errors import HttpError
from serving.logs import configure, get_logger
from serving.repeated import Repeated
from serving.wire import answer, parse, problem_answer, read_body

HELD: Final = 3
"""How many versions stay in memory: the champion, the one before it, and one that somebody looks back at."""
LOOK_SECONDS: Final = 2.0
BODY_BYTES: Final = 100_000
_REFUSED_KEPT: Final = 100
log = get_logger("serving.explainer")


class Question(BaseModel):
    """What a worker asks: a logged vector by feature name, its raw categories, and after how long nobody waits."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    version: str
    features: dict[str, float]
    categories: dict[str, str | None]
    within_seconds: float


class Held(NamedTuple):
    """A version in memory: the names of its vector and its explainer."""

    names: tuple[str, ...]
    explainer: Explainer


class Desk:
    """Answer questions one after the other, beside loading: a new version delays no answer about another."""

    def __init__(self, source: BundleSource) -> None:
        self._source = source
        self._held: dict[str, Held] = {}
        self._refused: dict[str, BundleError] = {}
        self._loading: dict[str, asyncio.Task[Held]] = {}
        self._answering = ThreadPoolExecutor(1, "answer")

    @property
    def versions(self) -> list[str]:
        """The versions in memory, the one that was asked for last at the end."""
        return list(self._held)

    async def keep_up(self) -> None:
        """Load the version in service ahead of questions; raises `RegistryError` where the registry is away."""
        version = await asyncio.to_thread(self._source.in_service)
        if version is not None and version not in self._refused:
            await self._get(version)

    async def reasons(self, question: Question) -> list[dict[str, Any]]:
        """Return the largest contributions to a score.

        Raises `HttpError`: `version_unavailable`, `vector_incomplete`, or `late` where its turn came too late.
        """
        deadline = time.monotonic() + question.within_seconds
        try:
            held = await self._get(question.version)
        except (BundleError, RegistryError) as error:
            log.warning("version not explained", version=question.version, reason=str(error))
            raise HttpError(404, "version_unavailable", str(error)) from None
        return await asyncio.get_running_loop().run_in_executor(self._answering, _explain, held, question, deadline)

    def close(self) -> None:
        """Begin nothing more."""
        self._answering.shutdown(wait=False, cancel_futures=True)
        self._source.close()

    async def _get(self, version: str) -> Held:
        if version in self._refused:
            raise self._refused[version]
        if version not in self._held:
            if version not in self._loading:
                self._loading[version] = asyncio.create_task(self._load(version))
            # Who gives up waiting leaves the loading to those who come next.
            return await asyncio.shield(self._loading[version])
        held = self._held[version] = self._held.pop(version)
        return held

    async def _load(self, version: str) -> Held:
        begun = time.monotonic()
        try:
            held = await asyncio.to_thread(self._open, version)
        except BundleError as error:
            # A broken bundle stays broken: it is not fetched again with every question.
            self._refused[version] = error
            while len(self._refused) > _REFUSED_KEPT:
                del self._refused[next(iter(self._refused))]
            raise
        finally:
            del self._loading[version]
        self._held[version] = held
        while len(self._held) > HELD:
            del self._held[next(iter(self._held))]
        log.info("version explained", version=version, seconds=round(time.monotonic() - begun, 2))
        return held

    def _open(self, version: str) -> Held:
        bundle = self._source.load(version)
        return Held(bundle.manifest.names, open_explainer(bundle))


def _explain(held: Held, question: Question, deadline: float) -> list[dict[str, Any]]:
    if time.monotonic() > deadline:
        raise HttpError(503, "late", "Too many questions were before this one.")
    if absent := [name for name in held.names if name not in question.features]:
        detail = f"expected the features of version {question.version}, found no {absent[0]!r}."
        raise HttpError(422, "vector_incomplete", detail)
    values = np.array([question.features[name] for name in held.names], np.float32)
    return [asdict(reason) for reason in held.explainer.explain(values, question.categories).top()]


_QUESTION: Final = TypeAdapter(Question)


def make_app(source: BundleSource) -> Starlette:
    """Make the application over a source of bundles."""
    desk = Desk(source)

    async def explain(request: Request) -> Response:
        question = parse(_QUESTION, await read_body(request, BODY_BYTES))
        return answer({"reasons": await desk.reasons(question)})

    async def health(_request: Request) -> Response:
        return answer({"status": "healthy", "versions": desk.versions})

    async def on_problem(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HttpError):
            raise error
        return problem_answer(error)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        watch = Repeated("version in service", LOOK_SECONDS, desk.keep_up)
        watch.start()
        yield
        await watch.stop()
        desk.close()

    routes = [Route("/explain", explain, methods=["POST"]), Route("/health", health)]
    return Starlette(routes=routes, exception_handlers={HttpError: on_problem}, lifespan=lifespan)


def main() -> int:
    """Answer until SIGTERM or SIGINT."""
    try:
        settings = load_settings()
    except SentinelError as error:
        configure("INFO", process="explainer")
        log.critical("explainer cannot start", reason=str(error))
        return 1
    configure(settings.log_level, process="explainer")
    app = make_app(bundle_source(settings))
    uvicorn.run(app, host=settings.explainer_host, port=settings.explainer_port, log_config=None, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
