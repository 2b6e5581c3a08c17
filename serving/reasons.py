"""Reasons for a score, asked of the explain process: short of time, never in the way of an answer.

What a score was made from is at hand right after scoring, and in the log later; the explain process computes the same
reasons from either, so that none are stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx
import orjson

from sentinel_core.errors import StoreError
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.schema import CATEGORY_COLUMNS, Transaction
from sentinel_core.settings import Settings
from serving.ledger import Ledger
from serving.logs import get_logger
from serving.metrics import Metrics
from serving.scoring import Vectors

LATER_SECONDS: Final = 3.0
"""How long reading a stored prediction waits for its reasons: an older version may have to be fetched first."""
NOTES: Final[Mapping[str, str]] = {
    "away": "The explain process is away.",
    "late": "The explain process did not answer in time; GET /api/v1/predictions/{transaction_id} gives reasons later.",
    "not_logged": "The vector of this transaction is not in the log, or not yet.",
    "version_unavailable": "The version of the model that gave this score can no longer be loaded.",
    "vector_incomplete": "The vector was logged without a feature that the model reads.",
}
"""Why there are no reasons, by outcome; some are errors of the explain process."""
log = get_logger(__name__)


class Reasons:
    """Ask for reasons; every answer has `reasons`, and where they are None a `reasons_note` that says why."""

    def __init__(self, settings: Settings, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._seconds = settings.explain_timeout_ms / 1000
        # A proxy that the environment names is for the world, not for a process of ours.
        self._client = httpx.AsyncClient(base_url=settings.explainer_address, trust_env=False)

    async def of_answer(self, scored: Mapping[str, Any], transaction: Transaction, vectors: Vectors) -> dict[str, Any]:
        """Return the reasons of an answer; one that was stored before is looked up in the log."""
        vector = vectors.get(scored["transaction_id"])
        try:
            async with asyncio.timeout(self._seconds):
                if vector is None:
                    row = await self._ledger.prediction(scored["transaction_id"])
                    return await self._of_row(row, self._seconds)
                features = dict(zip(FEATURE_NAMES, vector.tolist(), strict=True))
                categories = {name: getattr(transaction, name) for name in CATEGORY_COLUMNS}
                return await self._ask(scored["model_version"], features, categories, self._seconds)
        except TimeoutError:
            return self._none("late")
        except StoreError as error:
            log.warning("vector not read", reason=str(error))
            return self._none("not_logged")

    async def of_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reasons of a row of `get_prediction`, from the vector and the version that were logged."""
        try:
            async with asyncio.timeout(LATER_SECONDS):
                return await self._of_row(row, LATER_SECONDS)
        except TimeoutError:
            return self._none("late")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _of_row(self, row: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
        if row is None or not row["features"] or not row["feature_set"] or row["model_version"] is None:
            return self._none("not_logged")
        features = dict(zip((one["name"] for one in row["feature_set"]), row["features"], strict=True))
        categories = {name: row[name] for name in CATEGORY_COLUMNS}
        return await self._ask(row["model_version"], features, categories, seconds)

    async def _ask(
        self, version: str, features: Mapping[str, float], categories: Mapping[str, str | None], seconds: float
    ) -> dict[str, Any]:
        question = {"version": version, "features": features, "categories": categories, "within_seconds": seconds}
        try:
            found = await self._client.post("/explain", content=orjson.dumps(question), timeout=seconds)
            body = orjson.loads(found.content)
        except httpx.TimeoutException:
            return self._none("late")
        except (httpx.HTTPError, orjson.JSONDecodeError) as error:
            log.debug("explain process not reached", reason=str(error))
            return self._none("away")
        # Somebody else may listen there and answer anything.
        if not isinstance(body, dict) or "reasons" not in body:
            code = str(body.get("error")) if isinstance(body, dict) else ""
            return self._none(code if code in NOTES else "away")
        self._metrics.reasons.labels("given").inc()
        return {"reasons": body["reasons"]}

    def _none(self, outcome: str) -> dict[str, Any]:
        self._metrics.reasons.labels(outcome).inc()
        return {"reasons": None, "reasons_note": NOTES[outcome]}
