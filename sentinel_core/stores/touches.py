"""What a transaction leaves at the entities that it touches, as the hot path's store takes and gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from sentinel_core.features.entities import TOUCHED, unpack

KIND: Final = {kind.name: kind for kind in TOUCHED}
NEW, SEEN, LATE = range(3)
"""The statuses of scripts/touch.lua."""


class TouchRequest(NamedTuple):
    """One entity that a transaction touches: the name of its kind, its id, and its packed record with arrival 0."""

    kind: str
    entity_id: str
    record: bytes


class Touch(NamedTuple):
    """What an entity noted: its arrival number and time (µs) for the transaction, the records that arrived before.

    `fresh` says that nothing was noted of it before.
    """

    arrival: int
    time: int
    history: NDArray[Any]
    fresh: bool


def touch_of(request: TouchRequest, raw: Sequence[Any]) -> Touch | None:
    """Read the reply of scripts/touch.lua; None where the transaction came too late to be noted.

    Raises `DataError` where the history is not ours.
    """
    status, arrival, value, time = raw
    if status == LATE:
        return None
    return Touch(arrival, time, unpack(value, KIND[request.kind].record), status == NEW)


def noted_by(touches: Mapping[str, Touch], time: int) -> dict[str, Any]:
    """Return what an `answered` entry says of the entities that noted a transaction of this time (µs).

    Those are `arrival`, and `noted_us` where an entity moved the time.
    """
    said: dict[str, Any] = {"arrival": {kind: touch.arrival for kind, touch in touches.items()}}
    moved = {kind: touch.time for kind, touch in touches.items() if touch.time != time}
    if moved:
        said["noted_us"] = moved
    return said
