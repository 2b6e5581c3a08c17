"""How pytest-xdist shares the tests among its workers."""

from __future__ import annotations

from xdist.scheduler import LoadGroupScheduling


class ModulesAndServers(LoadGroupScheduling):  # type: ignore[misc]
    """A worker gets a whole module, whose fixtures are made once, or all tests of a group (`xdist_group`)."""

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return scope.split("::", 1)[0]
