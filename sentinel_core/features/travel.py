"""How far, and how fast, a user went since the last attempt; for the ablation alone.

A history's record holds no coordinates, so that these are computed for whole tables only and are in no vector.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.catalog import Feature
from sentinel_core.features.entities import MICROS_PER_HOUR
from sentinel_core.features.events import Events

EARTH_RADIUS_KM: Final = 6371.0088
SHORTEST_HOURS: Final = 1 / 60
"""Two attempts count as at least a minute apart, so that simultaneous ones have a speed."""

TRAVEL: Final[tuple[Feature, ...]] = (
    Feature(
        "distance_from_last",
        "change",
        "great-circle distance from the last earlier attempt; 0 where either place is unknown",
        "kilometres",
        0.0,
        "user",
        "(−∞, t]",
    ),
    Feature(
        "speed_from_last",
        "change",
        "distance_from_last over the time between, of a minute at least",
        "km/h",
        0.0,
        "user",
        "(−∞, t]",
    ),
)


def build_travel(events: Events, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float32]:
    """Compute `TRAVEL` for a table whose order is that of arrival; degrees, NaN where unknown: float32, shape (n, 2).

    The last attempt is the one before in order of (time, arrival): for rows that came late an approximation.
    """
    order = np.lexsort((events.arrival, events.time, events.user))
    here, before = order[1:], order[:-1]
    followed = (events.user[here] == events.user[before]) & ~np.isnan(latitude[here] + latitude[before])
    here, before = here[followed], before[followed]
    km = great_circle_km(latitude[before], longitude[before], latitude[here], longitude[here])
    hours = np.maximum((events.time[here] - events.time[before]) / MICROS_PER_HOUR, SHORTEST_HOURS)
    values = np.zeros((len(events), len(TRAVEL)), dtype=np.float32)
    values[here, 0] = km
    values[here, 1] = km / hours
    return values


def great_circle_km(
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    to_latitude: NDArray[np.float64],
    to_longitude: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the distance between places in degrees, by the haversine formula (Sinnott, 1984).

    >>> round(float(great_circle_km(*map(np.array, (52.52, 13.405, 48.857, 2.352)))))
    878
    """
    one, other = np.radians(latitude), np.radians(to_latitude)
    across = np.radians(to_longitude - longitude)
    haversine = np.sin((other - one) / 2) ** 2 + np.cos(one) * np.cos(other) * np.sin(across / 2) ** 2
    distance: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return distance
