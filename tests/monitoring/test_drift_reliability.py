from __future__ import annotations

from sentinel_core.local.paths import project_root
from sentinel_core.monitoring.drift_reliability import MEASURED


def test_the_figures_beside_the_verdicts_are_those_of_the_decision_page() -> None:
    page = (project_root() / "docs/decisions/0016-drift.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    measured = {row[0]: (row[2], row[3].partition(" /")[0]) for row in rows if len(row) == 4}
    for one in MEASURED:
        assert measured[one.windows] == (one.sentinel, one.evidently), one.windows
