from __future__ import annotations

import pytest

from sentinel_core.local.paths import project_root
from sentinel_core.monitoring.drift_reliability import MEASURED


@pytest.mark.parametrize(("page", "cells"), [("decisions/0016-drift.md", 4), ("monitoring.md", 3)])
def test_the_figures_beside_the_verdicts_are_those_of_the_documentation(page: str, cells: int) -> None:
    text = (project_root() / "docs" / page).read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    measured = {row[0]: (row[-2], row[-1].partition(" /")[0]) for row in rows if len(row) == cells}
    for one in MEASURED:
        assert measured[one.windows] == (one.sentinel, one.evidently), one.windows
