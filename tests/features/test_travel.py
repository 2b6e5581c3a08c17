from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.features.travel import build_travel, great_circle_km
from tests.features.oracle import HOUR, Row, to_events
from tests.features.worlds import START

BERLIN, PARIS = (52.52, 13.405), (48.857, 2.352)


def test_distances_are_those_of_the_globe() -> None:
    places = np.array([[*BERLIN, *PARIS], [0, 0, 0, 180], [90, 0, -90, 77], [0, 179.5, 0, -179.5], [7, 7, 7, 7]]).T
    half = np.pi * 6371.0088
    assert great_circle_km(*places) == pytest.approx([878, half, half, half / 180, 0], rel=1e-3)


def test_distance_and_speed_are_from_the_users_last_known_place() -> None:
    rows = [
        Row("a", START),
        Row("b", START + 1),
        Row("a", START + 2 * HOUR),
        Row("a", START + 2 * HOUR),
        Row("a", START + 3 * HOUR),
        Row("a", START + 4 * HOUR),
    ]
    latitude, longitude = np.array([BERLIN, PARIS, PARIS, BERLIN, (np.nan, np.nan), PARIS]).T
    values = build_travel(to_events(rows), latitude, longitude)
    assert values[:, 0] == pytest.approx([0, 0, 878, 878, 0, 0], abs=1)
    assert values[:, 1] == pytest.approx([0, 0, 439, 878 * 60, 0, 0], rel=1e-3)
