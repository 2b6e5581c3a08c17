"""Locust's profile steady500 against the whole stack, which a newcomer has after `make up`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.e2e.stack import Checkout, until
from tests.load.__main__ import run_profile
from tests.load.profiles import DEFAULT, read_profiles

ROWS: Final = 20_000


def run() -> dict[str, Any]:
    """Return what Locust measured, and what it took of the machine."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout.make(Path(folder))
        try:
            checkout.first_make_up(ROWS)
            until(lambda: all(process["healthy"] for process in checkout.processes().values()), 120)
            # The starts of Airflow's processes end within this time.
            time.sleep(20)
            url = f"http://127.0.0.1:{checkout.settings.serving_port}"
            return run_profile(read_profiles()[DEFAULT], url)
        finally:
            checkout.sentinel("down")
