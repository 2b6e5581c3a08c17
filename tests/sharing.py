"""How tests are marked by the servers that they need, and shared among the workers of pytest-xdist."""

from __future__ import annotations

import os
from typing import Any

import pytest

from sentinel_core.local import ports

SERVERS = {"servers", "mlflow_uri"}
SHARED = ("service", "mlflow_uri")
"""Fixtures of a session that are dear: all their tests run in one worker, so that one server starts."""
PORTS = 1_000


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker ports of its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        first = ports._FIRST + PORTS * (int(worker.removeprefix("gw")) % 12)
        ports._FIRST, ports._LAST = first, first + PORTS  # type: ignore[misc]


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a server by their fixtures; the groups that take longest come first."""
    places: dict[pytest.Item, int] = {}
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & SERVERS:
            item.add_marker(pytest.mark.server)
        shared = [name for name in SHARED if name in fixtures]
        if shared:
            item.add_marker(pytest.mark.xdist_group(shared[0]))
        whole_stack = "e2e" in item.path.parts
        places[item] = SHARED.index(shared[0]) if shared else len(SHARED) + (not whole_stack)
    items.sort(key=places.__getitem__)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker a whole module, whose fixtures are made once, or all tests of a shared server (`xdist_group`)."""
    from xdist.scheduler import LoadGroupScheduling

    class ModulesAndServers(LoadGroupScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            scope: str = super()._split_scope(nodeid)
            return scope.split("::", 1)[0]

    return ModulesAndServers(config, log)
