"""The risk table in use: the published one, else the copy that the model brought along."""

from __future__ import annotations

from typing import Final

from sentinel_core.errors import BundleError
from sentinel_core.features.risk import RiskTable
from sentinel_core.stores.redis_store import HotStore
from serving.logs import get_logger
from serving.model_slot import InService

COMPARE_EVERY: Final = 30
"""At every how many looks the whole table is compared: the table of one midnight may be made anew."""
log = get_logger(__name__)


class RiskSlot:
    """Hold the published table; whole tables are swapped, so that a micro-batch never sees half of one."""

    def __init__(self, store: HotStore) -> None:
        self._store = store
        self._table: RiskTable | None = None
        self._as_of: int | None = None
        self._blob = b""
        self._polls = 0

    def table(self, model: InService) -> RiskTable:
        """Return the table to use beside a model: the published one, unless the model's own is of a later day."""
        published, own = self._table, model.bundle.risk
        return own if published is None or published.as_of < own.as_of else published

    async def poll(self) -> None:
        """Look once, and fetch the table where another one was published. Raises `StoreError` where Redis is away."""
        as_of = await self._store.risk_as_of()
        self._polls += 1
        if as_of is None or (as_of == self._as_of and self._polls % COMPARE_EVERY):
            return
        blob = await self._store.load_risk()
        self._as_of = as_of
        if blob is None or blob == self._blob:
            return
        self._blob = blob
        try:
            self._table = RiskTable.from_bytes(blob)
        except BundleError as error:
            log.warning("risk table refused", reason=str(error))
        else:
            log.info("risk table in service", as_of=as_of)
