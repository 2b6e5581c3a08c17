"""One generated data set for the tests of the generator, made once."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from sentinel_core.synthetic import Simulation, simulate
from sentinel_core.synthetic.frame import to_frame

END = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="package")
def simulation() -> Simulation:
    """The default data set: 100,000 rows at 2%, seed 0."""
    return simulate(end=END)


@pytest.fixture(scope="package")
def frame(simulation: Simulation) -> pd.DataFrame:
    """The same as a frame."""
    return to_frame(simulation)
